"""One cluster with this checkout's operator, for several test processes at the same time.

Tests wait for the node most of the time, so workers (and runs) share it. Who finds another
installation there waits until nobody uses it. Locks are the kernel's: a killed run holds none.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster import provider, release
from cluster.node import Node
from cluster.paths import locked, log, state_dir
from cluster.provider import Provider

RECORDER = "fairlead-recorder"
_CLASS = "fairlead-e2e"
_CLAIM = f"data-{RECORDER}-0"
# Short ages, so that a drained revision is gone in seconds and not in minutes.
_VALUES = (
    "operator.connectionAgeSeconds=5",
    "operator.drainSeconds=12",
    "operator.settleSeconds=10",
    "operator.resyncSeconds=20",
    "recorder.enabled=true",
    "recorder.resources.requests.cpu=10m",
)
Names = dict[str, str]


def values(cluster: Provider) -> tuple[str, ...]:
    """Return the chart's values for tests."""
    if isinstance(cluster, Node):
        return (*_VALUES, f"recorder.persistence.storageClassName={_CLASS}")
    return _VALUES


@contextmanager
def installed(cluster: Provider) -> Iterator[Names]:
    """Have the cluster up and this checkout's chart installed meanwhile; give the images' names.

    A cluster that was there before tests came stays, with the chart's own values.
    """
    folder = state_dir("e2e")
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "installed.json"
    with (folder / "users.lock").open("a") as users:
        with locked(folder / "setup.lock", "another run of the tests brings up the cluster"):
            cluster_was_up = cluster.running()
            known: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {}
            names = known.get("names") or {}
            if not cluster_was_up or known.get("chart") != _fingerprint(cluster):
                fcntl.flock(users, fcntl.LOCK_EX)
                stays = known.get("stays", True) if cluster_was_up else False
                cluster.up()
                names = _install(cluster)
                chart = _fingerprint(cluster)
                record.write_text(json.dumps({"chart": chart, "names": names, "stays": stays}))
            fcntl.flock(users, fcntl.LOCK_SH)
        yield names
    with locked(folder / "setup.lock", "another run of the tests leaves the cluster"):
        _leave(cluster, folder, record)


@contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """Run a test beside others, or alone: then wait for all others to end, and let none begin."""
    folder = state_dir("e2e")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "turns.lock").open("a") as turns:
        # Who wants to be alone holds the turnstile meanwhile, or others would come for ever.
        with (folder / "turnstile.lock").open("a") as turnstile:
            fcntl.flock(turnstile, fcntl.LOCK_EX)
            fcntl.flock(turns, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


def _leave(cluster: Provider, folder: Path, record: Path) -> None:
    if not record.exists():
        return
    with (folder / "users.lock").open("a") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # somebody else is there
        known = json.loads(record.read_text())
        record.unlink()
        if known["stays"]:
            release.install(cluster, names=known["names"])
        else:
            cluster.down()


def _fingerprint(cluster: Provider) -> str:
    """Return what makes an installation another one: images and chart."""
    from cluster import images

    digest = hashlib.sha256(json.dumps(values(cluster)).encode())
    for name in images.NAMES:
        digest.update(images.tag(name).encode())
    for path in sorted(release.CHART.rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _install(cluster: Provider) -> Names:
    if isinstance(cluster, Node):
        empty_recorder(cluster)
    log("the chart, for tests")
    return release.install(cluster, *values(cluster))


def empty_recorder(cluster: Node) -> None:
    """Stop the recorder, and give the next one an empty volume."""
    disk = state_dir("e2e") / "recorder"
    shutil.rmtree(disk, ignore_errors=True)
    disk.mkdir(mode=0o777)
    disk.chmod(0o777)  # whatever the umask: the recorder is no root
    config = cluster.kubeconfig
    # What an earlier run left: its volume's folder is gone, and a claim is bound once.
    release.namespace_with_restricted_pods(config, release.NAMESPACE)
    scale = ("scale", f"statefulset/{RECORDER}", "--replicas=0")
    provider.kubectl(config, "-n", release.NAMESPACE, *scale, check=False)
    claim = ("delete", "pvc", _CLAIM, "--ignore-not-found", "--timeout=90s")
    provider.kubectl(config, "-n", release.NAMESPACE, *claim)
    provider.kubectl(config, "delete", "pv", _CLASS, "--ignore-not-found", "--timeout=60s")
    provider.kubectl(config, "apply", "-f", "-", stdin=_volume(cluster, disk))


def _volume(cluster: Node, disk: Path) -> str:
    """Return a folder of this machine, which is the node, as a volume."""
    found = provider.kubectl(cluster.kubeconfig, "get", "nodes", "-o", "json")
    [node] = json.loads(found)["items"]
    host = {
        "key": "kubernetes.io/hostname",
        "operator": "In",
        "values": [node["metadata"]["labels"]["kubernetes.io/hostname"]],
    }
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": _CLASS},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": _CLASS,
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": release.NAMESPACE, "name": _CLAIM},
            "local": {"path": str(disk)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [host]}]}},
        },
    }
    return json.dumps(volume)

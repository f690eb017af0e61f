"""The chart's recorder on a real node, with a volume of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from cluster import forward, provider, release
from cluster.node import Node
from cluster.provider import Provider
from tests.e2e.world import JSONObject

NAME = "fairlead-recorder"
AUDIENCE = "fairlead-recorder"
_CLASS = "fairlead-e2e"
_CLAIM = f"data-{NAME}-0"


class Counting:
    """The recorder, as applications and people use it."""

    def __init__(self, cluster: Provider) -> None:
        self._cluster = cluster

    def read(self, path: str) -> str:
        """Read a page of it, through the API server."""
        proxy = f"/api/v1/namespaces/{release.NAMESPACE}/services/{NAME}:http/proxy"
        return self._kubectl("get", "--raw", f"{proxy}{path}")

    def summary(self, namespace: str, name: str) -> JSONObject:
        """Return what was counted for an Experiment."""
        found: JSONObject = json.loads(self.read(f"/v1/experiments/{namespace}/{name}/summary"))
        return found

    def units(self, namespace: str, name: str) -> int:
        """Return how many users were exposed and have not departed."""
        epochs = self.summary(namespace, name)["epochs"]
        return sum(arm["units"] for epoch in epochs for arm in epoch["arms"].values())

    def report(self, namespace: str, name: str, outcomes: Sequence[JSONObject]) -> Any:
        """Send outcomes with a token of the namespace's own, as an application does."""
        token = provider.kubectl(
            self._cluster.kubeconfig, "-n", namespace, "create", "token", "default",
            "--audience", AUDIENCE,
        )  # fmt: skip
        with forward.forwarded(
            self._cluster.kubeconfig, release.NAMESPACE, f"service/{NAME}", 8080
        ) as url:
            answer = httpx.post(
                f"{url}/v1/experiments/{namespace}/{name}/outcomes",
                json={"outcomes": list(outcomes)},
                headers={"Authorization": f"Bearer {token.strip()}"},
                trust_env=False,
                timeout=30,
            )
        assert answer.status_code == 200, answer.text
        return answer.json()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Take it away meanwhile; its volume stays."""
        self._kubectl("scale", f"statefulset/{NAME}", "--replicas=0")
        self._kubectl("wait", "--for=delete", f"pod/{NAME}-0", "--timeout=60s")
        try:
            yield
        finally:
            self._kubectl("scale", f"statefulset/{NAME}", "--replicas=1")
            self._kubectl("rollout", "status", f"statefulset/{NAME}", "--timeout=120s")

    def _kubectl(self, *args: str) -> str:
        return provider.kubectl(self._cluster.kubeconfig, "-n", release.NAMESPACE, *args)


@contextmanager
def counting(
    cluster: Provider, names: dict[str, str], folder: Path, *values: str
) -> Iterator[Counting]:
    """Install the chart with a recorder meanwhile.

    Args:
        cluster: The cluster.
        names: The images.
        folder: Where the recorder's volume is, where the cluster makes none.
        values: Values of the chart, kept afterwards.
    """
    chosen = list(values)
    if isinstance(cluster, Node):
        provider.kubectl(cluster.kubeconfig, "apply", "-f", "-", stdin=_volume(cluster, folder))
        chosen.append(f"recorder.persistence.storageClassName={_CLASS}")
    release.install(cluster, *chosen, "recorder.enabled=true", names=names)
    try:
        yield Counting(cluster)
    finally:
        release.install(cluster, *values, names=names)
        config = cluster.kubeconfig
        claim = ("delete", "pvc", _CLAIM, "--ignore-not-found", "--timeout=60s")
        provider.kubectl(config, "-n", release.NAMESPACE, *claim)
        provider.kubectl(config, "delete", "pv", _CLASS, "--ignore-not-found", "--timeout=60s")


def _volume(cluster: Provider, folder: Path) -> str:
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
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [host]}]}},
        },
    }
    return json.dumps(volume)

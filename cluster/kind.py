"""A kind cluster, where a container engine answers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from cluster import addons, build, node
from cluster.kubectl import kubectl
from cluster.paths import ClusterError, log, state_dir

NAME = "fairlead"
_ENGINES = ("docker", "podman")
_ANSWER_S = 10
_NETWORK = "kind"
"""The engine's network that all kind clusters of a machine share."""
_NETWORK_IS_OURS = "network-is-ours"
_METRICS_IMAGE = "localhost/fairlead/metrics-server:1"


def engine() -> str | None:
    """Return the container engine that answers, or None: a client alone runs nothing."""
    for name in _ENGINES:
        if shutil.which(name) is None:
            continue
        try:
            done = subprocess.run(
                [name, "info"], capture_output=True, check=False, timeout=_ANSWER_S
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return name
    return None


class Kind:
    """The kind cluster named `fairlead`; clusters of other names are never touched."""

    def __init__(self, container_engine: str) -> None:
        self._engine = container_engine
        self.kubeconfig: Path = state_dir("kind") / "kubeconfig"

    def running(self) -> bool:
        """Whether the cluster is there and its API server answers."""
        if not self.kubeconfig.is_file() or NAME not in self._kind("get", "clusters").split():
            return False
        return self._kubectl("get", "--raw", "/readyz", check=False) == "ok"

    def up(self) -> None:
        """Create the cluster unless it runs already."""
        if self.running():
            log("the kind cluster runs already")
            return
        self.down()
        self.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        image = os.environ.get("FAIRLEAD_KIND_IMAGE")
        log(f"creating the kind cluster {NAME} with {self._engine}")
        if not self._has_network():
            (self.kubeconfig.parent / _NETWORK_IS_OURS).touch()
        args = ["create", "cluster", "--name", NAME, "--wait", "180s"]
        try:
            self._kind(*args, *(["--image", image] if image else []), quiet=False)
        except ClusterError:
            self.down()
            raise ClusterError(
                f"kind made no cluster with {self._engine}; its reason is above. "
                "FAIRLEAD_KIND_IMAGE names another node image (`python3 -m cluster kind-image` "
                "makes one), FAIRLEAD_CLUSTER=node takes a single node without kind"
            ) from None
        self.load_archive(node.own_image("metrics-server", _METRICS_IMAGE))
        items = addons.metrics_server(_METRICS_IMAGE)
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        self._kubectl("apply", "-f", "-", stdin=document)

    def down(self) -> None:
        """Delete the cluster, if it is there."""
        if NAME in self._kind("get", "clusters").split():
            self._kind("delete", "cluster", "--name", NAME)
        # Kind leaves its network; it is removed where `up` found none and no cluster is on it.
        if (self.kubeconfig.parent / _NETWORK_IS_OURS).exists():
            self._run_engine("network", "rm", _NETWORK)
        shutil.rmtree(self.kubeconfig.parent, ignore_errors=True)

    def load_archive(self, archive: Path) -> None:
        """Load an image archive into the cluster's nodes."""
        self._kind("load", "image-archive", str(archive), "--name", NAME)

    def images(self) -> set[str]:
        """Return the names of the images that the nodes have."""
        listed = self._kubectl(
            "get", "nodes", "-o", "jsonpath={.items[*].status.images[*].names[*]}", check=False
        )
        return set(listed.split())

    def _has_network(self) -> bool:
        return self._run_engine("network", "inspect", _NETWORK)

    def _run_engine(self, *args: str) -> bool:
        done = subprocess.run([self._engine, *args], capture_output=True, check=False)
        return done.returncode == 0

    def _kind(self, *args: str, quiet: bool = True) -> str:
        env = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "KIND_EXPERIMENTAL_PROVIDER": self._engine,
        }
        done = subprocess.run(
            [shutil.which("kind") or str(build.program("kind")), *args],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE if quiet else None,
            text=True, check=False, env=env,
        )  # fmt: skip
        if done.returncode != 0:
            raise ClusterError(f"kind {args[0]} failed: {(done.stderr or '').strip()[-500:]}")
        return done.stdout

    def _kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        return kubectl(self.kubeconfig, *args, stdin=stdin, check=check)

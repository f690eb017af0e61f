"""What an end-to-end test does with the cluster: apply, wait, ask, and look."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cluster import provider
from cluster.paths import ROOT, ClusterError
from cluster.provider import Provider

JSONObject = dict[str, Any]
T = TypeVar("T")
EXAMPLES = ROOT / "examples"
CLIENT = Path(__file__).with_name("client.py")
PATIENCE_S = 120.0
RATE = 10.0
"""Requests a second of a paced client: far below the 50 that a functional test may send."""
_LOCKED_DOWN = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def until(what: str, look: Callable[[], T | None], patience_s: float = PATIENCE_S) -> T:
    """Look until there is something to see, and return it."""
    deadline = time.monotonic() + patience_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"after {patience_s:.0f} s still not: {what}")
        time.sleep(0.5)


@dataclass(frozen=True)
class World:
    """One namespace of the cluster."""

    cluster: Provider
    namespace: str
    images: dict[str, str]

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace."""
        config = self.cluster.kubeconfig
        return provider.kubectl(config, "-n", self.namespace, *args, stdin=stdin)

    def apply(self, *documents: JSONObject) -> None:
        """Apply manifests."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def get(self, kind: str, name: str) -> JSONObject:
        """Read one object."""
        document: JSONObject = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return document

    def all(self, kind: str, labels: str = "") -> list[JSONObject]:
        """Read all objects of a kind."""
        args = ["-l", labels] if labels else []
        listed: JSONObject = json.loads(self.kubectl("get", kind, *args, "-o", "json"))
        items: list[JSONObject] = listed["items"]
        return items

    def model_file(self, name: str, path: Path) -> None:
        """Make a ConfigMap with a model."""
        self.kubectl("create", "configmap", name, f"--from-file=model.onnx={path}")

    def deploy(self, name: str, model: JSONObject, **spec: Any) -> None:
        """Apply a ModelDeployment, whose candidates get everything when they are ready."""
        spec = {"validation": {"enabled": False}, "rollout": {"steps": []}, **spec}
        self.apply(
            {
                "apiVersion": "fairlead.dev/v1alpha1",
                "kind": "ModelDeployment",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {"model": model, **spec},
            }
        )

    def ready(self, name: str, *, version: str, patience_s: float = PATIENCE_S) -> JSONObject:
        """Wait until a ModelDeployment is Ready with this version."""

        def look() -> JSONObject | None:
            live = self.get("modeldeployment", name)
            status = live.get("status") or {}
            fresh = status.get("observedGeneration") == live["metadata"]["generation"]
            fine = condition(live, "Ready").get("status") == "True"
            return live if fresh and fine and status.get("version") == version else None

        return until(f"{name} is Ready with version {version}", look, patience_s)

    def reason(self, name: str, wanted: str, *, patience_s: float = PATIENCE_S) -> JSONObject:
        """Wait until the condition Ready has this reason; return the condition."""

        def look() -> JSONObject | None:
            found = condition(self.get("modeldeployment", name), "Ready")
            return found if found.get("reason") == wanted else None

        return until(f"{name} says {wanted}", look, patience_s)

    @contextmanager
    def client(
        self, name: str, features: list[float], *, seconds: float, suffix: str = ""
    ) -> Iterator[list[Any]]:
        """Send paced requests to a model's address from inside the cluster meanwhile.

        Yields:
            A list that holds every answer after the end.
        """
        host = f"{name}.{self.namespace}.svc"
        body = json.dumps({"features": features})
        self.script("client", CLIENT.read_text())
        command = ["python3", "/script/main.py", host, str(RATE), str(seconds), body]
        pod = f"client-{name}-{suffix}".rstrip("-")
        with self.sending(pod, command, script="client") as answers:
            yield answers

    @contextmanager
    def sending(self, pod: str, command: list[str], *, script: str) -> Iterator[list[Any]]:
        """Let a pod send requests meanwhile, which prints a line of JSON for each answer.

        Yields:
            A list that holds every answer after the end.
        """
        self.apply(self.pod(pod, command, self.images["runtime"], script=script))
        until(f"{pod} sends", lambda: '"version"' in self.log(pod, 3))
        answers: list[Any] = []
        try:
            yield answers
        finally:
            if '"done"' not in self.log(pod, 1):
                self.kubectl("exec", pod, "--", "sh", "-c", "kill -TERM 1")
            until(f"{pod} ends", lambda: '"done"' in self.log(pod, 1))
            lines = self.log(pod).splitlines()
            answers += [json.loads(line) for line in lines if "number" in line]
            self.kubectl("delete", "pod", pod, "--grace-period=1")

    def log(self, pod: str, tail: int = -1) -> str:
        """Return the last lines of a pod's log, empty where it has not started yet."""
        try:
            return self.kubectl("logs", pod, f"--tail={tail}")
        except ClusterError:
            return ""

    def newest(self, pod: str) -> JSONObject:
        """Return the last line that a pod that sends requests has printed."""
        line: JSONObject = json.loads(self.log(pod, 1) or "{}")
        return line

    def script(self, name: str, text: str, **files: str) -> None:
        """Make a ConfigMap with a Python program, and with files that it reads."""
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": self.namespace},
                "data": {"main.py": text, **files},
            }
        )

    def pod(self, name: str, command: list[str], image: str, *, script: str) -> JSONObject:
        """Return a pod that fits the restricted Pod Security Standard."""
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace, "labels": {"app": name}},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "securityContext": _POD_SECURITY,
                "containers": [
                    {
                        "name": "main",
                        "image": image,
                        "command": command,
                        # Without a request it would get what all others leave of a full node.
                        "resources": {"requests": {"cpu": "10m"}},
                        "securityContext": _LOCKED_DOWN,
                        "volumeMounts": [{"name": "script", "mountPath": "/script"}],
                    }
                ],
                "volumes": [{"name": "script", "configMap": {"name": script}}],
            },
        }


def condition(live: JSONObject, kind: str) -> JSONObject:
    """Return a condition of an object, empty where it has none."""
    for found in (live.get("status") or {}).get("conditions") or ():
        if found["type"] == kind:
            return dict(found)
    return {}

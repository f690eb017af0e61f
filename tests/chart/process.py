"""The operator as a process with the chart's arguments and rights, and how to wait for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cluster import controlplane
from cluster.controlplane import ControlPlane
from tests.chart.rendering import Document, only

_WAIT_S = 90.0


def until(condition: Callable[[], object], what: Callable[[], object]) -> None:
    """Wait until the condition holds; where it does not, fail and show what there is instead."""
    deadline = time.monotonic() + _WAIT_S
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.3)


def items(plane: ControlPlane, namespace: str, kind: str, *args: str) -> list[Document]:
    """Return the objects of a kind in a namespace."""
    answer = json.loads(plane.kubectl("-n", namespace, "get", kind, "-o", "json", *args))
    found: list[Document] = answer["items"]
    return found


class OperatorProcess:
    """The operator as a process, with the arguments and the rights that the chart gives it."""

    def __init__(self, plane: ControlPlane, home: str, name: str, directory: Path) -> None:
        self.user = f"system:serviceaccount:{home}:{name}"
        self._plane = plane
        deployment = only(items(plane, home, "deployments"), "Deployment", name)
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        token = plane.kubectl("-n", home, "create", "token", name, "--duration=1h").strip()
        config = directory / "kubeconfig"
        controlplane.write_kubeconfig(
            config, server=plane.server, authority=plane.directory / "ca.crt", token=token
        )
        self._log = directory / "operator.log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "fairlead_operator", *container["args"],
                    "--health-port=0", "--metrics-port=0",
                ],
                stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=directory,
                env={**os.environ, "KUBECONFIG": str(config)},
                preexec_fn=controlplane.die_with_parent,  # noqa: PLW1509 - a test has no threads
            )  # fmt: skip

    def logs(self) -> str:
        """Return what it has logged."""
        return self._log.read_text(errors="replace")

    def stop(self) -> int:
        """Ask it to end as a kubelet would, and return its exit status."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end:\n{self.logs()}") from None
        finally:
            self._process.kill()
            self._process.wait()

    def requests(self) -> list[Document]:
        """Return its requests as the API server has recorded them."""
        lines = self._plane.audit_log.read_text().splitlines()
        events = [json.loads(line) for line in lines if self.user in line]
        return [event for event in events if event["user"]["username"] == self.user]

    def did(self, verb: str, resource: str, sub: str = "") -> bool:
        """Whether it has made such a request with success."""
        return any(
            event["verb"] == verb
            and event["objectRef"]["resource"] == resource
            and event["objectRef"].get("subresource", "") == sub
            and event.get("responseStatus", {}).get("code", 0) < 300
            for event in self.requests()
            if "objectRef" in event
        )

"""The operator as a real process, with rights of its own and nothing more."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

from cluster.controlplane import ControlPlane, free_ports, write_kubeconfig
from cluster.paths import ROOT
from tests.apiserver.api import JSON, ROLE, ROLE_BINDING, SERVICE_ACCOUNT, Api, until

_CHILD = ["get", "list", "watch", "create", "patch", "delete"]
RULES = [
    {
        "apiGroups": ["fairlead.dev"],
        "resources": ["modeldeployments", "experiments"],
        "verbs": ["get", "list", "watch"],
    },
    {
        "apiGroups": ["fairlead.dev"],
        "resources": ["modeldeployments/status", "experiments/status"],
        "verbs": ["patch"],
    },
    {
        "apiGroups": ["apps"],
        "resources": ["deployments", "controllerrevisions"],
        "verbs": _CHILD,
    },
    {"apiGroups": [""], "resources": ["services", "configmaps"], "verbs": _CHILD},
    {
        "apiGroups": ["autoscaling"],
        "resources": ["horizontalpodautoscalers"],
        "verbs": _CHILD,
    },
    {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": _CHILD},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": _CHILD},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": _CHILD},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "patch"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["get", "create", "update"],
    },
]
"""Everything that the operator may do; the chart's role has to say the same."""


async def operator_kubeconfig(api: Api, plane: ControlPlane, namespace: str, path: Path) -> Path:
    """Make a ServiceAccount with the operator's rights in one namespace, and its kubeconfig."""
    name = "fairlead"
    await api.create(SERVICE_ACCOUNT, namespace, {"metadata": {"name": name}})
    await api.create(ROLE, namespace, {"metadata": {"name": name}, "rules": RULES})
    await api.create(
        ROLE_BINDING,
        namespace,
        {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    )
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = await api.create(SERVICE_ACCOUNT, namespace, request, f"{name}/token")
    token = answer["status"]["token"]
    authority = plane.directory / "ca.crt"
    write_kubeconfig(path, server=plane.server, authority=authority, token=token)
    return path


def user(namespace: str) -> str:
    """Return the name by which the audit log knows the operator of a namespace."""
    return f"system:serviceaccount:{namespace}:fairlead"


class OperatorProcess:
    """`fairlead-operator run` over one namespace."""

    def __init__(
        self, kubeconfig: Path, namespace: str, log: Path, *, flags: Sequence[str] = ()
    ) -> None:
        self._health, self._metrics = free_ports(2)
        self._log = log
        self._command = [
            sys.executable, "-m", "fairlead_operator", "run",
            "--namespace", namespace, "--lease-namespace", namespace,
            "--lease-name", "fairlead-operator", "--runtime-image", "fairlead/runtime:1",
            "--health-port", str(self._health), "--metrics-port", str(self._metrics),
            *flags,
        ]  # fmt: skip
        self._environment = {
            "KUBECONFIG": str(kubeconfig),
            "PATH": "/usr/bin:/bin",
            # This checkout's code, wherever the environment's own is from.
            "PYTHONPATH": os.pathsep.join(str(ROOT / each) for each in ("operator", "runtime")),
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> OperatorProcess:
        """Start it and wait until its caches are warm."""
        self.launch()
        await until("the operator is ready", self._ready)
        return self

    def launch(self) -> None:
        """Start it and do not wait."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=output, env=self._environment
            )

    def stop(self) -> int:
        """Stop it in good order and return its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it as a crash of its node would."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze it: it still believes what it believed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def lines(self) -> Iterator[JSON]:
        """Return its log; a line that is not JSON is an error."""
        for line in self._log.read_text().splitlines():
            yield json.loads(line)

    def errors(self) -> list[JSON]:
        """Return what the operator itself logs as an error; Kopf's own are its own."""
        return [
            line
            for line in self.lines()
            if line["level"] in ("error", "critical") and not line["logger"].startswith("kopf")
        ]

    def health(self, path: str = "/healthz") -> httpx.Response:
        """Ask its health port."""
        return httpx.get(f"http://127.0.0.1:{self._health}{path}", trust_env=False, timeout=5)

    @property
    def metrics_port(self) -> int:
        """Where its metrics are."""
        return self._metrics

    def metrics(self) -> dict[str, float]:
        """Return its metrics by name with labels."""
        url = f"http://127.0.0.1:{self._metrics}/metrics"
        text = httpx.get(url, trust_env=False, timeout=5).text
        pairs = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in pairs}

    async def _ready(self) -> bool:
        if not self.alive():
            raise AssertionError(f"the operator ended:\n{self._log.read_text()[-2000:]}")
        try:
            answer = await asyncio.to_thread(self.health, "/readyz")
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
        try:
            return self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process = None

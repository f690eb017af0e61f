"""The operator as a process of its own, under its own ServiceAccount, and what it uses."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench import usage
from cluster.controlplane import ControlPlane, die_with_parent, free_ports, write_kubeconfig
from cluster.paths import ClusterError

_NAMESPACE = "fairlead-system"
_NAME = "fairlead-operator"
USER = f"system:serviceaccount:{_NAMESPACE}:{_NAME}"
"""The operator's name in the audit log: nobody else uses it."""

_START_S = 60.0
_STOP_S = 15.0
_SAMPLE = re.compile(r'^fairlead_operator_passes_total\{outcome="(\w+)"\} (\S+)$', re.MULTILINE)
_LEADER = re.compile(r"^fairlead_operator_leader 1\.0$", re.MULTILINE)


class OperatorProcess:
    """A running `fairlead-operator run`."""

    def __init__(self, process: subprocess.Popen[bytes], metrics_port: int, log_file: Path) -> None:
        self._process = process
        self._metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        self._log_file = log_file

    def cpu_s(self) -> float:
        """Return the user and system time so far."""
        return usage.cpu_s(self._process.pid)

    def peak_rss_mib(self) -> float:
        """Return the largest resident set so far."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        if found is None:
            raise ClusterError("the kernel does not tell VmHWM: this needs Linux")
        return int(found[1]) / 1024

    def passes(self) -> dict[str, float]:
        """Return how many passes there were so far, by outcome."""
        return {outcome: float(number) for outcome, number in _SAMPLE.findall(self._metrics())}

    def check(self) -> None:
        """Raise a ClusterError with its last lines where it has ended."""
        if self._process.poll() is not None:
            tail = self._log_file.read_text(errors="replace")[-1500:]
            raise ClusterError(f"the operator ended by itself:\n{tail}")

    def wait_until_leading(self) -> None:
        """Wait until its caches are warm and it holds the Lease."""
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            self.check()
            if _LEADER.search(self._metrics()):
                return
            time.sleep(0.1)
        raise ClusterError(f"the operator did not take the Lease within {_START_S:.0f} s")

    def _metrics(self) -> str:
        try:
            with urllib.request.urlopen(self._metrics_url, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:  # not up yet
            return ""


@contextlib.contextmanager
def running(plane: ControlPlane, *, resync_s: float) -> Iterator[OperatorProcess]:
    """Run the operator against a control plane until the end of the block."""
    kubeconfig = plane.directory / "operator.kubeconfig"
    plane.kubectl("create", "namespace", _NAMESPACE)
    plane.kubectl("create", "serviceaccount", _NAME, f"--namespace={_NAMESPACE}")
    plane.kubectl(
        "create", "clusterrolebinding", _NAME, "--clusterrole=cluster-admin",
        f"--serviceaccount={_NAMESPACE}:{_NAME}",
    )  # fmt: skip
    token = plane.kubectl("create", "token", _NAME, f"--namespace={_NAMESPACE}", "--duration=4h")
    authority = plane.directory / "ca.crt"
    write_kubeconfig(kubeconfig, server=plane.server, authority=authority, token=token.strip())
    health, metrics = free_ports(2)
    command = [
        str(Path(sys.executable).parent / "fairlead-operator"), "run",
        "--resync-seconds", f"{resync_s:g}", "--lease-namespace", _NAMESPACE,
        "--health-port", str(health), "--metrics-port", str(metrics),
    ]  # fmt: skip
    log_file = plane.directory / "operator.log"
    with log_file.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no thread is running here
            cwd=plane.directory,
            env={**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(plane.directory)},
        )  # fmt: skip
    try:
        operator = OperatorProcess(process, metrics, log_file)
        operator.wait_until_leading()
        yield operator
    finally:
        process.terminate()
        try:
            process.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

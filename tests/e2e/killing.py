"""The operator, killed with SIGKILL at the first sight of a state."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cluster import build, provider, release
from cluster.provider import Provider
from tests.e2e.world import World, until

_LABELS = "app.kubernetes.io/component=operator"


def _pod(cluster: Provider) -> str:
    """Return the name of the operator's pod that is not going; empty where there is none."""
    listed = provider.kubectl(
        cluster.kubeconfig, "-n", release.NAMESPACE, "get", "pods", "-l", _LABELS, "-o", "json"
    )
    pods = (pod["metadata"] for pod in json.loads(listed)["items"])
    return next((str(pod["name"]) for pod in pods if "deletionTimestamp" not in pod), "")


def _process(pod: str) -> int | None:
    """Return the process of a pod on this machine, which is the node: its host name tells."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        if b"operator" in command and f"HOSTNAME={pod}".encode() in variables:
            return int(entry.name)
    return None


def _running(cluster: Provider, patience_s: float = 60) -> tuple[str, int]:
    """Wait until the operator has a process; return its pod and the process."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        pod = _pod(cluster)
        process = _process(pod) if pod else None
        if process is not None:
            return pod, process
        time.sleep(0.2)
    raise AssertionError(f"after {patience_s:.0f} s the operator has no process")


class Killer:
    """Follows the column STEP of `fraud`, and kills the operator once in each of some states.

    Attributes:
        seen: Every value of the column, as they came.
        killed: The states in which the operator was killed: what status said after it was dead.
    """

    def __init__(self, world: World, states: Sequence[str]) -> None:
        self._world, self._states = world, set(states)
        self._next: tuple[str, int] | None = None
        self.seen: list[str] = []
        self.killed: list[str] = []
        self.problem: BaseException | None = None

    def follow(self, line: str) -> None:
        """Take in what the watch says: the column after a change."""
        if not self.seen or self.seen[-1] != line:
            self.seen.append(line)
        if line not in self._states or line in self.killed or self._next is None:
            return
        pod, process = self._next
        os.kill(process, signal.SIGKILL)
        try:
            self.killed.append(self._column())
        finally:
            self._replace(pod)

    def until_killed(self, *states: str) -> None:
        """Wait until it was killed in these states, or in all of its own; others are left out."""
        wanted = self._states & set(states) if states else self._states
        until(f"it was killed in {wanted}", lambda: wanted <= set(self.killed))

    def prepare(self) -> None:
        """Look for the process ahead of time: a state may be short."""
        if self._states:
            self._next = _running(self._world.cluster)

    def _replace(self, pod: str) -> None:
        """Let the Deployment make another pod: the kubelet would wait longer with each crash."""
        provider.kubectl(
            self._world.cluster.kubeconfig, "-n", release.NAMESPACE, "delete", "pod", pod,
            "--grace-period=0", "--force", "--ignore-not-found",
        )  # fmt: skip
        self.prepare()

    def _column(self) -> str:
        found = self._world.get("modeldeployment", "fraud")["status"].get("step", "")
        return str(found)


@contextmanager
def killing(world: World, *states: str) -> Iterator[Killer]:
    """Kill the operator once in each of these states, by the column STEP, meanwhile."""
    killer = Killer(world, states)
    killer.prepare()
    command = [
        str(build.program("kubectl")), "--kubeconfig", str(world.cluster.kubeconfig),
        "-n", world.namespace, "get", "modeldeployment", "fraud", "-w",
        "-o", 'jsonpath={.status.step}{"\\n"}',
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
        thread = threading.Thread(target=_follow, args=(killer, watch), daemon=True)
        thread.start()
        try:
            yield killer
        finally:
            watch.terminate()
            thread.join(90)
    if killer.problem is not None:
        raise killer.problem


def _follow(killer: Killer, watch: subprocess.Popen[str]) -> None:
    assert watch.stdout is not None
    try:
        for line in watch.stdout:
            killer.follow(line.strip())
    except (OSError, AssertionError, RuntimeError) as error:
        killer.problem = error

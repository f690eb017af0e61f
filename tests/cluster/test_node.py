"""A node comes up and goes without a trace, also after a crash; control planes are many."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster import build, controlplane, debian, leftovers, network
from cluster.node import Node, obstacle
from cluster.paths import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
_NEEDS_NODE = pytest.mark.skipif(obstacle() is not None, reason=str(obstacle()))


def traces(node: Node) -> dict[str, list[str]]:
    """Return everything of a node that the machine shows."""
    layout = node.layout
    ours = (str(layout.state), str(layout.run))
    processes = [line for _, line in _commands() if any(folder in line for folder in ours)]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    cgroups = [str(p / layout.cgroup.strip("/")) for p in leftovers.hierarchies()]
    return {
        "processes": processes,
        "mounts": [line for line in mounts if any(f" {folder}/" in line for folder in ours)],
        "interfaces": sorted(
            p.name for p in Path("/sys/class/net").iterdir()
            if p.name == network.BRIDGE or p.name.startswith("veth")
        ),
        "tables": sorted(network.tables()),
        "cgroups": [path for path in cgroups if Path(path).exists()],
        "folders": [folder for folder in ours if Path(folder).exists()],
        "sysctls": [
            f"{name}={(Path('/proc/sys') / name).read_text().strip()}"
            for name in network.SYSCTLS
            if (Path("/proc/sys") / name).exists()
        ],
        "notes": [p.name for p in Path("/var/lib/cni/results").glob("fairlead-*")],
    }  # fmt: skip


@pytest.fixture
def node() -> Node:
    """Return the node, which must not be in use: these tests kill it."""
    debian.ensure(debian.PROGRAMS)  # what a node needs stays when it goes
    node = Node()
    if node.running():
        pytest.skip("the node is in use: `make cluster-down` first")
    node.down()
    return node


@_NEEDS_NODE
def test_a_node_leaves_no_trace(node: Node) -> None:
    before = traces(node)
    node.up()
    try:
        assert node.running()
        during = traces(node)
        assert during["processes"]
        assert network.BRIDGE in during["interfaces"]
    finally:
        node.down()
    assert traces(node) == before


@_NEEDS_NODE
def test_a_crashed_node_leaves_no_trace_and_comes_up_again(node: Node) -> None:
    before = traces(node)
    node.up()
    try:
        state = node.layout.state
        for record in sorted((state / "pids").iterdir()):
            record.unlink()  # a crash may lose what was remembered, too
        programs = str(build.folder_of(build.COMPONENTS["kubernetes"]))
        killed = [pid for pid, line in _commands() if programs in line and str(state) in line]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        assert len(killed) >= 5
        node.up()
        assert node.running()
    finally:
        node.down()
    assert traces(node) == before


def test_control_planes_stand_side_by_side_and_are_fresh(tmp_path: Path) -> None:
    with (
        controlplane.start(tmp_path / "one") as one,
        controlplane.start(tmp_path / "two") as two,
    ):
        one.kubectl("create", "namespace", "only-here")
        assert one.server != two.server
        assert "only-here" not in two.kubectl("get", "namespaces")


def test_a_control_plane_dies_with_the_process_that_made_it(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from cluster import controlplane\n"
        f"plane = controlplane.start(Path({str(tmp_path / 'plane')!r}))\n"
        "print('up', flush=True); time.sleep(300)\n"
    )
    maker = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert maker.stdout is not None
    assert maker.stdout.readline() == "up\n"
    assert _of(tmp_path)
    maker.kill()
    maker.wait()
    maker.stdout.close()
    deadline = time.monotonic() + 10
    while _of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _of(tmp_path)


def _commands() -> list[tuple[int, str]]:
    """Return all other processes with their command lines."""
    found: list[tuple[int, str]] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.append((int(entry.name), line))
    return found


def _of(folder: Path) -> list[str]:
    return [line for _, line in _commands() if str(folder) in line and "kube" in line]

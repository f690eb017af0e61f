"""Removes what a node leaves on the machine: shims, containers, mounts, cgroups, namespaces.

Works from what the machine shows now and not from memory, so it also serves after a crash.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from cluster import daemons
from cluster.nodeconfig import Layout, cni_name

_CGROUPS = Path("/sys/fs/cgroup")
_CNI_RESULTS = Path("/var/lib/cni/results")
_PATIENCE_S = 10.0


def hierarchies() -> list[Path]:
    """Return the roots of the machine's cgroup hierarchies: one (v2) or one per controller (v1)."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS]
    return sorted(path for path in _CGROUPS.iterdir() if path.is_dir() and not path.is_symlink())


def make_cgroup(layout: Layout) -> None:
    """Make the cgroup under which all pods live, in each hierarchy."""
    for root in hierarchies():
        folder = root / layout.cgroup.strip("/")
        folder.mkdir(exist_ok=True)
        if root.name == "cpuset":  # version 1: a new cpuset is empty and takes no process
            for name in ("cpuset.cpus", "cpuset.mems"):
                with contextlib.suppress(OSError):
                    (folder / name).write_text((root / name).read_text())
    if len(hierarchies()) == 1:
        wanted = (_CGROUPS / "cgroup.controllers").read_text().split()
        for folder in (_CGROUPS, _CGROUPS / layout.cgroup.strip("/")):
            with contextlib.suppress(OSError):
                (folder / "cgroup.subtree_control").write_text(" ".join(f"+{w}" for w in wanted))


def kill_components(layout: Layout) -> None:
    """Kill components of this node that nobody has a record of: a crash may lose the records."""
    own = (f"{layout.state}/", f"{layout.run}/")
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                argv = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                program = Path(argv[0]).name
                ours = program == "containerd" or Path(argv[0]).parent == layout.bin
                if ours and any(folder in part for part in argv[1:] for folder in own):
                    os.kill(int(entry.name), signal.SIGKILL)


def kill_containers(layout: Layout) -> None:
    """Kill every process of every pod, and the shims that would report it."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        shims = daemons.find("-address", layout.socket)
        pods = sorted(_members(layout))
        if not shims and not pods:
            return
        for pid in (*shims, *pods):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def unmount(layout: Layout) -> None:
    """Unmount everything below the node's folders, the innermost first."""
    for _ in range(5):
        points = sorted(_mounts(layout), key=len, reverse=True)
        if not points:
            return
        for point in points:
            subprocess.run(["umount", "-l", point], capture_output=True, check=False)


def remove(layout: Layout) -> None:
    """Remove the node's cgroups, CNI's notes about its pods, and its folders."""
    for root in hierarchies():
        top = root / layout.cgroup.strip("/")
        for folder in sorted(_below(top), key=lambda path: len(path.parts), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
    if _CNI_RESULTS.is_dir():
        for note in _CNI_RESULTS.glob(f"{cni_name(layout)}-*"):
            note.unlink(missing_ok=True)
    for folder in (layout.run, layout.state):
        shutil.rmtree(folder, ignore_errors=True)


def _below(top: Path) -> Iterator[Path]:
    if top.is_dir():
        for folder, _, _ in os.walk(top):
            yield Path(folder)


def _members(layout: Layout) -> set[int]:
    pids: set[int] = set()
    for root in hierarchies():
        for folder in _below(root / layout.cgroup.strip("/")):
            with contextlib.suppress(OSError):
                pids.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
    return pids - {os.getpid()}


def _mounts(layout: Layout) -> list[str]:
    found: list[str] = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if any(point.startswith(f"{folder}/") for folder in (layout.state, layout.run)):
            found.append(point)
    return found

"""CPU time by program, of everything that one control plane's directory holds."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path


def cpu_s(pid: int | str) -> float:
    """Return the user and system time of a process so far.

    Raises:
        OSError: It has ended.
    """
    stat = Path(f"/proc/{pid}/stat").read_text()
    ticks = stat.rpartition(")")[2].split()[11:13]  # the name before may hold anything
    return sum(int(each) for each in ticks) / os.sysconf("SC_CLK_TCK")


def by_program(directory: Path, before: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return the CPU time of this program and of those that run in a directory.

    Args:
        directory: Their working directory.
        before: An earlier answer, to be taken off.
    """
    used = {"this benchmark": cpu_s("self")}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink() == directory:
                words = (entry / "cmdline").read_text().split("\0")
                names = [Path(word).name for word in words[:2]]
                name = names[1] if names[0].startswith("python") else names[0]
                used[name] = used.get(name, 0.0) + cpu_s(entry.name)
    return {name: seconds - (before or {}).get(name, 0.0) for name, seconds in used.items()}

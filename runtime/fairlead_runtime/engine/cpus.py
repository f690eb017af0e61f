"""How many CPUs this process may use: inside a container far fewer than the machine has."""

from __future__ import annotations

import math
import os
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def cpu_limit() -> int:
    """Return how many CPUs this process may use: its affinity, cut by the cgroups' quota."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = cpu_quota()
    return max(1, min(available or 1, math.ceil(quota)) if quota else available or 1)


def cpu_quota(groups: Path = _GROUPS, own: Path = _OWN) -> float | None:
    """Return the smallest quota of this process's cgroup and those above it; None for no quota.

    Both versions of cgroups are read, side by side where a machine has both. In a container the
    own cgroup is usually the root of what can be seen; elsewhere it is some way down.

    Args:
        groups: Where cgroups are mounted.
        own: Names this process's, as `/proc/self/cgroup` does.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = []
    second, first = "/", "/"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            second = path
        elif "cpu" in controllers.split(","):
            first = path
    found = [_of_version_2(each) for each in _upwards(groups, second)]
    found += [_of_version_2(each) for each in _upwards(groups / "unified", second)]
    for name in ("cpu", "cpu,cpuacct", "cpuacct,cpu"):
        found += [_of_version_1(each) for each in _upwards(groups / name, first)]
    return min((quota for quota in found if quota), default=None)


def _upwards(root: Path, path: str) -> list[Path]:
    """Return a cgroup's folder and those above it, up to the root of the mount."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    return [root.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]


def _of_version_2(group: Path) -> float | None:
    try:
        quota, period = (group / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _of_version_1(group: Path) -> float | None:
    try:
        quota = int((group / "cpu.cfs_quota_us").read_text())
        period = int((group / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 and period > 0 else None

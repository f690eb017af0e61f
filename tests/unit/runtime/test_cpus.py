"""How many CPUs a container may use, in both versions of cgroups."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead_runtime.engine.cpus import cpu_quota


def tree(root: Path, own: str, **files: str) -> tuple[Path, Path]:
    """Write a mount of cgroups, and what `/proc/self/cgroup` says."""
    for name, text in files.items():
        path = root / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "own").write_text(own)
    return root / "groups", root / "own"


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        ("0::/\n", {"cpu.max": "nonsense"}, None),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000", "a/b/cpu.max": "max 100000"}, 0.5),
        ("0::/a/b\n", {"a/cpu.max": "400000 100000", "a/b/cpu.max": "200000 100000"}, 2.0),
        ("0::/host/path\n", {"cpu.max": "300000 100000"}, 3.0),
        ("0::/../x\n", {"cpu.max": "300000 100000"}, 3.0),
        (
            "3:cpu,cpuacct:/\n",
            {"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"},
            2.5,
        ),
        (
            "3:cpu,cpuacct:/\n",
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            None,
        ),
        (
            "3:cpu:/k/pod\n0::/\n",
            {"cpu/k/pod/cpu.cfs_quota_us": "50000", "cpu/k/pod/cpu.cfs_period_us": "50000"},
            1.0,
        ),
        (
            "3:cpuset:/wrong\n2:cpu:/right\n",
            {
                "cpu/wrong/cpu.cfs_quota_us": "100000", "cpu/wrong/cpu.cfs_period_us": "100000",
                "cpu/right/cpu.cfs_quota_us": "700000", "cpu/right/cpu.cfs_period_us": "100000",
            },
            7.0,
        ),
        (
            "2:cpu:/\n0::/slice\n",
            {
                "unified/slice/cpu.max": "100000 100000",
                "cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000",
            },
            1.0,
        ),
    ],
    ids=[
        "v2", "v2-max", "nothing", "nonsense", "v2-above", "v2-both", "v2-not-seen", "v2-outside",
        "v1", "v1-none", "v1-own", "v1-right-controller", "both",
    ],
)  # fmt: skip
def test_the_quota_is_the_smallest_of_the_own_cgroup_and_those_above(
    own: str, files: dict[str, str], quota: float | None, tmp_path: Path
) -> None:
    groups, proc = tree(tmp_path, own, **files)
    assert cpu_quota(groups, proc) == quota


def test_without_proc_the_root_is_read(tmp_path: Path) -> None:
    groups, _ = tree(tmp_path, "", **{"cpu.max": "150000 100000"})
    assert cpu_quota(groups, tmp_path / "nowhere") == 1.5

"""One version in the whole tree, and the changelog's section of it."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from cluster import versions
from cluster.paths import ROOT, ClusterError

_TODAY = dt.date(2026, 2, 3)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of every file that names the version."""
    for name in (*versions.PLACES, "CHANGELOG.md"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return tmp_path


def test_the_tree_names_one_version() -> None:
    ((version,),) = {tuple(here) for here in versions.found().values()}
    versions.check(version)


def test_a_new_version_is_written_everywhere_and_only_there(tree: Path) -> None:
    old = {name: (tree / name).read_text() for name in versions.PLACES}
    (before,) = next(iter(versions.found(tree).values()))
    changed = versions.write("7.8.9", _TODAY, tree)
    assert sorted(changed) == sorted([*versions.PLACES, "CHANGELOG.md"])
    versions.check("7.8.9", tree)
    for name, text in old.items():
        assert (tree / name).read_text().replace("7.8.9", before) == text
    assert versions.write("7.8.9", _TODAY, tree) == []


def test_the_open_section_becomes_the_versions_own(tree: Path) -> None:
    open_before = versions.notes("Unreleased", (tree / "CHANGELOG.md").read_text())
    versions.write("7.8.9", _TODAY, tree)
    text = (tree / "CHANGELOG.md").read_text()
    assert "\n## Unreleased\n\n## 7.8.9 (2026-02-03)\n" in text
    assert versions.notes("7.8.9", text) == open_before
    assert versions.notes("7.8.8", text) is None


def test_a_tree_of_another_version_is_refused_with_the_command_that_mends_it(tree: Path) -> None:
    versions.write("7.8.9", _TODAY, tree)
    text = (tree / "README.md").read_text()
    (tree / "README.md").write_text(text.replace("7.8.9", "7.8.8"))
    with pytest.raises(ClusterError, match=r"README\.md\. Run `make version VERSION=7\.8\.9`"):
        versions.check("7.8.9", tree)


@pytest.mark.parametrize("version", ["", "1.2", "v1.2.3", "1.2.3-rc1", "1.2.3 "])
def test_what_is_no_version_is_refused(tree: Path, version: str) -> None:
    for refuse in (lambda: versions.check(version), lambda: versions.write(version, _TODAY, tree)):
        with pytest.raises(ClusterError, match="is no version"):
            refuse()


def test_a_file_without_its_version_is_named(tree: Path) -> None:
    (tree / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(ClusterError, match=r"pyproject\.toml names no version"):
        versions.write("7.8.9", _TODAY, tree)

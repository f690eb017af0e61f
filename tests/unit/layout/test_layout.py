"""Traps of the folder names, and promises about the packages."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = [
    path.parent
    for top in (
        "operator/fairlead_cli",
        "operator/fairlead_operator",
        "runtime/fairlead_runtime",
        "cluster",
    )
    for path in sorted((ROOT / top).rglob("__init__.py"))
]


def test_the_operator_folder_is_no_package() -> None:
    """It would shadow the standard library's module of that name."""
    assert not (ROOT / "operator" / "__init__.py").exists()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_each_room_says_in_a_sentence_what_lives_there(package: Path) -> None:
    doc = ast.get_docstring(ast.parse((package / "__init__.py").read_text()))
    assert doc
    assert doc.splitlines()[0].endswith(".")

"""The page of complaints names tests that exist, and leaves no number out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "complaints.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)), ids=lambda part: part)
def test_every_named_test_exists(path: str, name: str) -> None:
    found = {
        node.name
        for node in ast.parse((ROOT / path).read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert name in found


def test_every_complaint_has_a_number_and_a_test() -> None:
    sections = re.findall(r"^## (\d+)\. .*?(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
    assert [int(number) for number in sections] == list(range(1, 13))
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "| test |" not in line]
    assert len(rows) > 50
    assert [row for row in rows if not re.search(r"`tests/[\w/]+\.py::test_\w+` \|$", row)] == []

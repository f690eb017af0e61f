"""The table: documented row by row, and total."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead_operator.rollout.memory import Phase
from fairlead_operator.rollout.table import TABLE, Go, Row

_PAGE = (Path(__file__).resolve().parents[3] / "docs" / "rollouts.md").read_text()
_ORDER = list(Phase)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.go.name}: {row.words[:40]}")
def test_every_row_stands_in_the_documentation(row: Row) -> None:
    phases = ", ".join(phase.value for phase in sorted(row.at, key=_ORDER.index))
    assert f"| {phases} | {row.words} |" in _PAGE


def test_the_documentation_has_the_rows_in_their_order() -> None:
    places = [_PAGE.index(f"| {row.words} |") for row in TABLE]
    assert places == sorted(places)


def test_every_phase_has_a_way_out_and_every_way_is_used() -> None:
    assert {phase for row in TABLE for phase in row.at} == set(Phase)
    assert {row.go for row in TABLE} == set(Go)

"""Colours say what a condition or a verdict means, and none is given to what nobody knows."""

from __future__ import annotations

import pytest

from fairlead_cli.views import conditions, rollout
from tests.unit.cli.world import NOW, a_condition


def _tone(kind: str, state: str) -> str:
    spans = conditions.line(a_condition(kind, state, "Because"), NOW).spans
    return str(spans[0].style) if spans and spans[0].style != "dim" else ""


@pytest.mark.parametrize(
    ("kind", "state", "colour"),
    [
        ("Ready", "True", "green"),
        ("Ready", "False", "red"),
        ("Ready", "Unknown", "yellow"),
        ("Stalled", "True", "red"),
        ("Stalled", "False", "green"),
        ("Reconciling", "True", "yellow"),
        ("Drifted", "False", "green"),
        ("Drifted", "True", "red"),
        ("OfNextYear", "True", ""),
    ],
)
def test_a_condition_has_the_colour_of_its_meaning(kind: str, state: str, colour: str) -> None:
    assert _tone(kind, state) == colour


@pytest.mark.parametrize(
    ("verdict", "colour"),
    [("PASS", "green"), ("Fail", "red"), ("Breach", "red"), ("INCONCLUSIVE", "dim")],
)
def test_a_verdict_has_the_colour_of_its_meaning(verdict: str, colour: str) -> None:
    assert str(rollout.check_line({"gate": "errors", "verdict": verdict}).spans[0].style) == colour

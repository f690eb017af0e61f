"""What the recorder says, by the example in its own documentation, and what it is told."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from cluster.paths import ROOT
from fairlead_operator.api.v1alpha1 import ExperimentSpec
from fairlead_operator.evidence import recorded
from fairlead_operator.evidence.recorder import ConflictingError, RecorderError, _checked
from fairlead_operator.experiment import ratio
from fairlead_operator.stats.aggregates import Binary, Moments
from fairlead_recorder.http.wire import EXPERIMENT, JUDGEMENT
from tests.unit.experiment.world import World, counted, later, requests

_PAGE = (ROOT / "docs" / "recorder.md").read_text()
SUMMARY: dict[str, Any] = next(
    document
    for text in re.findall(r"```json\n(.*?)```", _PAGE, re.DOTALL)
    if "counters" in (document := json.loads(text))
)


def test_the_documented_summary_becomes_aggregates() -> None:
    found = recorded.aggregates(SUMMARY["uid"], SUMMARY)
    assert found is not None
    control = found.epochs[1]["control"]
    assert (control.units, control.departed, control.crossed) == (1000, 0, 0)
    assert control.metrics["conversion"] == Binary(1000, 120)
    assert control.metrics["revenue"] == Moments(1000, 1500.25, 20100.5)
    assert found.staying == {1: {"control": 5000, "bigger": 5000}}
    assert (found.unexposed, found.outside, found.gaps, found.gap_seconds) == (40, 10, 1, 4.2)
    assert not found.settling
    checked = ratio.check(found, ("control", "bigger"))
    assert checked is not None
    assert not checked.mismatch


def test_a_summary_of_another_experiment_is_none() -> None:
    assert recorded.aggregates("another", SUMMARY) is None


@pytest.mark.parametrize("gone", ["epochs", "counters", "settling", "gaps", "metrics", "at"])
def test_what_is_no_summary_is_refused(gone: str) -> None:
    broken = {key: value for key, value in SUMMARY.items() if key != gone}
    with pytest.raises((KeyError, TypeError, ValueError)):
        recorded.aggregates(SUMMARY["uid"], broken)


def test_a_registration_is_what_the_recorder_takes() -> None:
    world = World(
        metrics=[{"name": "conversion", "type": "binary"}, {"name": "revenue", "type": "mean"}],
        analysis={"plannedSamplesPerVariant": 9000, "outcomeWindow": "36h"},
    )
    memory = world.run().memory
    body = recorded.registration("uid-1", ExperimentSpec.model_validate(world.spec), memory)
    read = EXPERIMENT.validate_json(json.dumps(body))
    assert read.outcome_window_seconds == 36 * 3600
    assert read.analysis.planned_units == 18_000
    assert [(run.arm, run.slots) for run in read.epochs[0].table] == [
        ("control", 5000),
        ("bigger", 5000),
    ]


def test_a_judgement_is_what_the_recorder_takes_and_shows_the_worst_arm() -> None:
    world = World(
        guardrails=[{"metric": "error", "maxBasisPoints": 100}],
        variants=[
            {"name": "control", "modelDeployment": "ranker", "weight": 40},
            {"name": "bigger", "modelDeployment": "ranker-large", "weight": 30},
            {"name": "small", "modelDeployment": "ranker-small", "weight": 30},
        ],
    )
    world.run()
    world.aggregates = counted({"control": (900, 90), "bigger": (600, 60), "small": (600, 60)})
    world.windows = (
        requests(later(), later(hours=1), control=(500, 0), bigger=(500, 0), small=(500, 300)),
    )
    decision = world.step(later(hours=1))
    body = recorded.judgement("uid-1", decision, world.status)
    read = JUDGEMENT.validate_json(json.dumps(body))
    assert (read.phase, read.guardrails[0].verdict) == ("Stopped", "Breach")
    assert "small" in read.guardrails[0].name


def test_errors_of_the_recorder_are_told_in_its_words() -> None:
    assert _checked(200, b'{"a": 1}') == {"a": 1}
    with pytest.raises(ConflictingError, match="salt is other"):
        _checked(409, b'{"error": "salt is other"}')
    with pytest.raises(RecorderError, match=r"wrong \(epochs.0: no; x\)"):
        _checked(422, b'{"error": "wrong", "problems": ["epochs.0: no", "x"]}')
    with pytest.raises(RecorderError, match="502 and no JSON"):
        _checked(502, b"<html>")
    with pytest.raises(RecorderError, match="no object"):
        _checked(200, b"[]")

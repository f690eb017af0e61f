"""What two revisions counted becomes the scores of the gates on drift and prediction shift."""

from __future__ import annotations

import datetime as dt

import pytest

from fairlead_operator.rollout.drift_gate import compared
from fairlead_operator.rollout.quality import Quality
from fairlead_runtime.contract.drift import psi
from fairlead_runtime.contract.drift_counts import FeatureCounts, MergeError, Window
from fairlead_runtime.contract.drift_report import Reference, Report

EVEN, SKEW = (60,) * 10, (6, 12, 18, 24, 42, 60, 78, 96, 120, 144)
FEATURES = tuple(
    Reference(name=name, role=role, kind="number", cut=name, bins=(100,) * 10, missing=0)
    for name, role in (("a", "input"), ("b", "input"), ("y", "output"))
)


def report(profile: str, *bins: tuple[int, ...], minute: int = 1) -> Report:
    window = Window(
        profile=profile, start_s=60.0 * minute, end_s=60.0 * minute + 60, rows=600,
        features=tuple(FeatureCounts(bins=each, missing=0, total=0) for each in bins),
    )  # fmt: skip
    return Report(
        instance=profile, version="1", model="m", profile=profile, rows=600, skipped=0,
        features=FEATURES, counted=window, windows=(window,),
    )  # fmt: skip


STABLE = report("p", EVEN, EVEN, EVEN)


def test_a_broken_preprocessing_step_is_a_difference_of_inputs() -> None:
    found = compared(Quality(), [STABLE], [report("q", EVEN, SKEW, EVEN)])
    assert found.inputs is not None
    assert found.predictions is not None
    assert found.inputs.feature == "b"
    assert found.inputs.milli == round(1000 * psi(EVEN, SKEW))
    assert (found.inputs.significant, found.inputs.samples) == (True, 600)
    assert found.inputs.end == dt.datetime(1970, 1, 1, 0, 2, tzinfo=dt.UTC)
    assert (found.predictions.milli, found.predictions.significant) == (0, False)


def test_a_model_that_answers_otherwise_is_a_prediction_shift() -> None:
    found = compared(Quality(), [STABLE], [report("q", EVEN, EVEN, SKEW)])
    assert found.predictions is not None
    assert found.inputs is not None
    assert found.predictions.significant
    assert not found.inputs.significant


def test_chance_is_not_significant() -> None:
    nearly = (58, 63, 61, 57, 60, 64, 59, 56, 62, 60)
    found = compared(Quality(), [STABLE], [report("q", nearly, EVEN, nearly)])
    assert found.inputs is not None
    assert not found.inputs.significant
    assert found.inputs.milli > 0


def test_too_few_rows_are_never_significant() -> None:
    found = compared(Quality(), [STABLE], [report("q", SKEW, SKEW, SKEW)], minimum_rows=601)
    assert found.inputs is not None
    assert not found.inputs.significant


def test_without_common_minutes_or_reports_there_is_no_evidence() -> None:
    assert compared(Quality(), [STABLE], []) == Quality()
    assert compared(Quality(), [STABLE], [report("q", EVEN, EVEN, SKEW, minute=2)]) == Quality()


def test_replicas_that_cannot_be_added_are_refused() -> None:
    with pytest.raises(MergeError):
        compared(Quality(), [STABLE, report("q", EVEN, EVEN, EVEN)], [STABLE])

"""What `fairlead drift` reads in metrics and status, and what it shows."""

from __future__ import annotations

from typing import Any

from fairlead_cli.views import drift
from tests.unit.cli.world import a_model, shown

_METRICS = """\
# HELP model_input_drift x
# TYPE model_input_drift gauge
model_input_drift{feature_name="age"} 0.25
model_input_drift{feature_name="income"} NaN
# TYPE model_prediction_drift gauge
model_prediction_drift 0.5
# TYPE model_drift_score gauge
model_drift_score{feature_name="age",statistic="psi"} 0.125
# TYPE model_predictions_total counter
model_predictions_total{status="success"} 7
"""


def test_scores_are_read_from_metrics_and_what_is_no_number_is_not() -> None:
    assert drift.scores(_METRICS) == [
        {"feature": "age", "statistic": "shift", "score": 0.25},
        {"feature": "(prediction)", "statistic": "shift", "score": 0.5},
        {"feature": "age", "statistic": "psi", "score": 0.125},
    ]


def _document(scores: list[dict[str, Any]], **status: Any) -> dict[str, Any]:
    of_pod = [{"pod": "fraud-0", **each} for each in scores]
    verdict = drift.verdict(a_model(**status))
    return {"name": "fraud", **verdict, "pods": ["fraud-0"], "scores": of_pod, "unread": []}


def test_the_largest_scores_of_each_statistic_are_shown_below_the_verdict() -> None:
    many = [
        {"feature": f"f{number}", "statistic": "psi", "score": number / 100} for number in range(30)
    ]
    text = shown(drift.text(_document([*many, *drift.scores(_METRICS)], drift="Drifted")))
    lines = text.splitlines()
    assert lines[0] == "drift  Drifted"
    assert lines[1].split() == ["FEATURE", "STATISTIC", "SCORE", "POD"]
    features = [line.split()[0] for line in lines[2:]]
    assert features[:2] == ["f29", "f28"]
    assert "f0" not in features
    assert features[-2:] == ["(prediction)", "age"]


def test_a_model_without_a_profile_says_what_is_missing() -> None:
    assert shown(drift.text(_document([]))) == drift.NONE + "\n"
    assert "profileUri" in drift.NONE


def test_more_that_a_status_says_of_drift_is_shown_as_it_is() -> None:
    found = drift.verdict(a_model(drift="None", driftedFeatures=["age"], driftEmpty=[]))
    assert found == {"drift": "None", "driftedFeatures": ["age"]}

"""A candidate that answers otherwise to the same traffic is stopped where that is a gate."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import models
from tests.command import runtime
from tests.e2e.rollouts import Deployment, failures, gates

pytestmark = pytest.mark.slow


def with_profile(deployment: Deployment, name: str, bins: Path | None, **how: float) -> Path:
    """Make a ConfigMap with a table and its profile; return the profile."""
    folder = deployment.folder / name
    model = models.table(folder / "model.onnx", shift=how.get("shift", 0.0))
    rows, profile = folder / "training.csv", folder / "profile.json"
    rows.write_text("index\n" + "".join(f"{number % 5}\n" for number in range(2_000)))
    same = ("--bins", bins) if bins else ()
    done = runtime("profile", "--model", model, "--data", rows, "--output", profile, *same)
    assert done.status == 0, done.err
    deployment.world.kubectl(
        "create", "configmap", name,
        f"--from-file=model.onnx={model}", f"--from-file=profile.json={profile}",
    )  # fmt: skip
    return profile


def test_a_candidate_whose_predictions_shift_is_stopped_where_a_limit_is_written(
    deployment: Deployment,
) -> None:
    """Every answer is another one of the numbers that there are; no error, no NaN, no delay."""
    rollout = gates(maxPredictionShiftMilli=250, maxDriftMilli=250)
    bins = with_profile(deployment, "one", None)
    deployment.deploy("1", "one", profile="configmap://one/profile.json", rollout=rollout)
    deployment.world.ready("fraud", version="1")
    with_profile(deployment, "shifted", bins, shift=0.1)
    with deployment.asked(1, 3) as answers, deployment.watched() as story:
        profile = "configmap://shifted/profile.json"
        deployment.deploy("2", "shifted", profile=profile, rollout=rollout)
        assert deployment.ended(2, patience_s=420) == "GateFailed"
    print(story.read_text())
    message = deployment.ready["message"]
    print(message)
    assert "PredictionShift: " in message
    assert "Drift: " not in message, "both versions were asked the same"
    assert failures(answers) == []
    drift = deployment.check("Drift")
    print(drift)
    assert drift["verdict"] in ("Pass", "Inconclusive")

"""Each bad candidate is caught by the gate that is meant for it, on a real node."""

from __future__ import annotations

import pytest

from fairlead_operator.api.times import instant
from tests import models
from tests.e2e.rollouts import Deployment, failures, gates
from tests.e2e.world import condition

pytestmark = pytest.mark.slow


def refused(deployment: Deployment, outcome: str) -> str:
    """Wait until version 2 is refused while version 1 serves; return why."""
    assert deployment.ended(2) == outcome
    live = deployment.live()
    assert live["status"]["version"] == "1"
    assert condition(live, "Available")["status"] == "True"
    message: str = condition(live, "Ready")["message"]
    print(message)
    ended = live["status"]["rollout"]["history"][-1]
    assert instant(ended["endedAt"]) >= instant(ended["startedAt"])
    return message


def test_a_model_that_is_too_slow_is_refused_with_the_figure(deployment: Deployment) -> None:
    deployment.first(objectives={"maxLatencyMs": 5})
    path = models.slow(deployment.folder / "slow.onnx", rounds=3000, size=64)
    deployment.world.model_file("slow", path)
    deployment.deploy("2", "slow", objectives={"maxLatencyMs": 5})
    message = refused(deployment, "ValidationFailed")
    assert "TooSlow: p99 " in message
    assert "limit 5 ms" in message


def test_a_model_that_answers_nan_is_refused_by_validation(deployment: Deployment) -> None:
    deployment.first()
    deployment.model("nan", holes=[0, 1])
    with deployment.asked(1, count=1) as answers:
        deployment.deploy("2", "nan")
        message = refused(deployment, "ValidationFailed")
    assert "NotFinite" in message
    assert failures(answers) == []
    assert {answer["version"] for answer in answers} == {"1"}


def test_a_candidate_that_answers_nan_to_some_is_rolled_back_by_their_share(
    deployment: Deployment,
) -> None:
    """Validation asks for 0 and 1, where it is right; half of the clients ask for 3."""
    deployment.first()
    deployment.model("holes", holes=[3])
    with deployment.asked(1, 3) as answers:
        deployment.deploy("2", "holes")
        message = refused(deployment, "GateFailed")
    assert "NonFinite: " in message
    assert failures(answers) == []


def test_a_candidate_that_crashes_under_load_is_rolled_back_by_its_restarts(
    deployment: Deployment,
) -> None:
    """A third of the clients ask for what ends its process; the stable answers when it is away."""
    rollout = gates(ignore=["Errors"])
    deployment.first(rollout=rollout)
    deployment.model("fatal", fatal=4)
    with deployment.asked(1, count=2), deployment.asked(4, count=1):
        deployment.deploy("2", "fatal", rollout=rollout)
        message = refused(deployment, "GateFailed")
    assert "Restarts: " in message
    assert "OutOfMemory" not in message


def test_a_candidate_that_runs_out_of_memory_is_rolled_back(deployment: Deployment) -> None:
    """The kernel ends it at its memory limit; restarts alone would not name the cause."""
    runtime = {"resources": {"limits": {"memory": "400Mi"}}}
    rollout = gates(ignore=["Errors"])
    deployment.first(runtime=runtime, rollout=rollout)
    deployment.model("hungry", bytes_above=10**9)
    with deployment.asked(1, count=2), deployment.asked(2, count=1):
        deployment.deploy("2", "hungry", runtime=runtime, rollout=rollout)
        message = refused(deployment, "GateFailed")
    assert "OutOfMemory: " in message


def test_a_candidate_that_is_slow_for_some_is_rolled_back_by_its_p99(
    deployment: Deployment,
) -> None:
    """Validation finds it fast: only an index above 1 takes its time."""
    rollout = gates(maxLatencyP99Ms=25)
    deployment.first(rollout=rollout)
    deployment.model("slow-for-some", bytes_above=16_000_000)
    with deployment.asked(1, 3) as answers:
        deployment.deploy("2", "slow-for-some", rollout=rollout)
        message = refused(deployment, "GateFailed")
    assert "LatencyP99: " in message
    assert failures(answers) == []

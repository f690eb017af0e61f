"""Whenever the operator is killed, a rollout comes to the end that it would have come to anyway.

Each rollout is done twice: undisturbed, and with an operator that is killed in each of its states.
"""

from __future__ import annotations

import pytest

from tests.e2e.killing import killing
from tests.e2e.rollouts import GATES, NOWHERE, Deployment, failures
from tests.e2e.world import JSONObject, until
from tests.rolloutends import end_of

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(1200, func_only=True)]


def rest(deployment: Deployment) -> JSONObject:
    """Wait until only the version that serves is left; return what it has come to."""
    until("one version is left", lambda: len(deployment.world.all("deployments")) == 1)
    until("the address is direct", lambda: not deployment.live()["status"].get("traffic"))
    return end_of(deployment.live())


def test_an_operator_killed_in_each_state_of_a_good_rollout_promotes_it(
    deployment: Deployment,
) -> None:
    rollout: JSONObject = {
        "mirror": {"percent": 100, "hold": "5s"},
        "steps": [{"weight": 25, "hold": "10s"}, {"weight": 50, "hold": "5s"}],
        "gates": GATES,
    }
    states = (
        "validating", "starting", "shadow 100%", "1/2 25%", "1/2 25% paused", "2/2 50%",
        "promoting",
    )  # fmt: skip
    deployment.first(rollout=rollout)
    ends = []
    for version, model, kills in (("2", "two", ()), ("3", "three", states)):
        deployment.model(model)
        with deployment.asked(1, count=3) as answers, killing(deployment.world, *kills) as killer:
            deployment.deploy(version, model, rollout=rollout)
            deployment.until_step("1/2 25%", 240)
            deployment.say("pause")
            deployment.until_step("1/2 25% paused", 120)
            killer.until_killed("1/2 25% paused")
            deployment.say("resume")
            assert deployment.ended(int(version), 400) == "Promoted"
            deployment.world.ready("fraud", version=version)
            ends.append(rest(deployment))
        print(" > ".join(killer.seen), "| killed in:", ", ".join(killer.killed))
        assert set(killer.killed) == set(kills)
        assert failures(answers) == []
    assert ends[0] == ends[1]


def test_an_operator_killed_in_each_state_of_a_rollback_rolls_back(deployment: Deployment) -> None:
    rollout: JSONObject = {"steps": [{"weight": 50, "hold": "2m"}], "gates": GATES}
    states = ("1/1 50%", "rolling back", "rolled back")
    deployment.first(rollout=rollout)
    ends = []
    for version, model, kills in (("2", "two", ()), ("3", "three", states)):
        deployment.model(model, bytes_above=NOWHERE)
        with (
            deployment.asked(3, count=1) as lost,
            deployment.asked(1, count=2) as answers,
            killing(deployment.world, *kills) as killer,
        ):
            deployment.deploy(version, model, rollout=rollout)
            assert deployment.ended(int(version), 400) == "GateFailed"
            killer.until_killed()
            ends.append(rest(deployment))
        print(" > ".join(killer.seen), "| killed in:", ", ".join(killer.killed))
        assert set(killer.killed) == set(kills)
        assert failures(lost), "the candidate got no traffic"
        assert failures(answers) == []
    assert ends[0] == ends[1]
    assert ends[0]["failed"] == ["Errors"]


def test_an_operator_killed_while_a_rollout_is_held_goes_on_when_told(
    deployment: Deployment,
) -> None:
    rollout: JSONObject = {
        "steps": [{"weight": 50, "hold": "5s"}],
        "gates": GATES,
        "progressDeadline": "30s",
    }
    deployment.first(rollout=rollout)
    ends = []
    for version, model, kills in (
        ("2", "two", ()), ("3", "three", ("1/1 50% held", "promoting")),
    ):  # fmt: skip
        deployment.model(model)
        with killing(deployment.world, *kills) as killer:
            deployment.deploy(version, model, rollout=rollout)
            deployment.until_step("1/1 50% held", 240)
            killer.until_killed("1/1 50% held")
            deployment.say("promote")
            assert deployment.ended(int(version), 240) == "Promoted"
            ends.append(rest(deployment))
        print(" > ".join(killer.seen), "| killed in:", ", ".join(killer.killed))
        assert set(killer.killed) == set(kills)
    assert ends[0] == ends[1]

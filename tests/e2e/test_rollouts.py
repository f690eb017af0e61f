"""Rollouts on a real node: real validation, real routers, real counts, paced clients."""

from __future__ import annotations

import pytest

from tests.e2e.rollouts import NOWHERE, ROLLOUT, Deployment, failures, told
from tests.e2e.world import condition


def test_a_good_update_is_promoted_and_no_request_fails(deployment: Deployment) -> None:
    deployment.first()
    deployment.model("two", shift=0.01)
    with deployment.asked(1, 3) as answers, deployment.watched() as story:
        deployment.deploy("2", "two")
        assert deployment.ended(2) == "Promoted"
        deployment.world.ready("fraud", version="2")
    print(story.read_text())
    assert told(
        story,
        ("True", "Ready"),
        ("validating", "Validating"),
        ("1/1 50%", "RolloutProgressing"),
        ("True", "Ready"),
    )
    assert failures(answers) == []
    assert {answer["version"] for answer in answers} == {"1", "2"}
    [entry] = [each for each in deployment.live()["status"]["revisions"] if each["version"] == "2"]
    assert entry["throughputRps"] > 0


def test_a_candidate_of_which_half_fails_has_no_traffic_after_fifteen_seconds(
    deployment: Deployment,
) -> None:
    """20 requests a second on the candidate, half of which fail; the default gates.

    Where the node is too busy for that many it takes longer to see, and is bounded all the same.
    """
    rollout = {"steps": [{"weight": 50, "hold": "2m"}]}
    deployment.first(rollout=rollout)
    deployment.model("broken", bytes_above=NOWHERE)
    with deployment.asked(1, 3) as answers, deployment.watched() as story:
        deployment.deploy("2", "broken", rollout=rollout)
        assert deployment.ended(2) == "GateFailed"
    print(story.read_text())
    assert told(
        story,
        ("validating", "Validating"),
        ("1/1 50%", "RolloutProgressing"),
        ("rolled back", "RolledBack"),
    )
    found = failures(answers)
    assert found
    first = min(each["at"] for each in found)
    lasted = max(each["at"] for each in found) - first
    theirs = [each["at"] for each in answers if each.get("version") == "2"]
    last = max(theirs) - first
    rate = (len(theirs) + len(found)) / (max(theirs) - min(theirs))
    print(
        f"from the first failed request to the last: {lasted:.1f} s, {len(found)} failed; to the "
        f"candidate's last answer: {last:.1f} s; {rate:.0f} requests/s on it"
    )
    assert max(lasted, last) <= 15
    live = deployment.live()
    ready = condition(live, "Ready")
    assert (ready["reason"], condition(live, "Available")["status"]) == ("RolledBack", "True")
    assert "Errors: " in ready["message"]
    assert live["status"]["version"] == "1"


def test_a_model_that_is_wrong_on_golden_examples_gets_no_request(deployment: Deployment) -> None:
    golden = {"inputs": {"index": [1, 3]}, "outputs": {"picked": [0.1, 0.3]}}
    deployment.world.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "golden", "namespace": deployment.world.namespace},
            "data": {"examples.json": str(golden).replace("'", '"')},
        }
    )
    validation = {"enabled": True, "examplesUri": "configmap://golden/examples.json"}
    deployment.first(validation=validation)
    deployment.model("wrong", shift=0.5)
    with deployment.asked(1, count=1) as answers:
        deployment.deploy("2", "wrong", validation=validation)
        assert deployment.ended(2) == "ValidationFailed"
    assert failures(answers) == []
    assert {answer["version"] for answer in answers} == {"1"}
    message = condition(deployment.live(), "Ready")["message"]
    assert "ExamplesDiffer" in message


@pytest.mark.slow
def test_no_traffic_holds_and_says_so(deployment: Deployment) -> None:
    rollout = {**ROLLOUT, "progressDeadline": "30s"}
    deployment.first(rollout=rollout)
    deployment.model("two", shift=0.01)
    deployment.deploy("2", "two", rollout=rollout)
    deployment.world.reason("fraud", "RolloutHeld", patience_s=240)
    live = deployment.live()
    assert condition(live, "Stalled")["status"] == "True"
    assert "no request" in condition(live, "Ready")["message"]
    assert live["status"]["step"] == "1/1 50% held"

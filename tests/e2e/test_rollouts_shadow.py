"""Shadow traffic on a real node: answers are compared, and nobody gets the candidate's."""

from __future__ import annotations

import pytest

from tests.e2e.rollouts import GATES, Deployment, failures
from tests.e2e.world import JSONObject, until

pytestmark = pytest.mark.slow
ROLLOUT: JSONObject = {
    "mirror": {"percent": 100, "hold": "10s"},
    "steps": [{"weight": 50, "hold": "5s"}],
    "gates": {**GATES, "maxMirrorDifferenceBasisPoints": 1000},
}


def compared(deployment: Deployment) -> JSONObject:
    """Wait until answers are compared; return what status says of it."""

    def look() -> JSONObject | None:
        found = deployment.check("MirrorDifference")
        return found if found.get("samples", 0) > 0 else None

    return until("answers are compared", look)


def test_answers_to_copies_are_compared_and_nobody_gets_them(deployment: Deployment) -> None:
    deployment.first(rollout=ROLLOUT)
    deployment.model("other", shift=0.5)
    with deployment.asked(1, count=2) as answers, deployment.watched() as story:
        deployment.deploy("2", "other", rollout=ROLLOUT)
        deployment.until_step("shadow 100%")
        assert deployment.live()["status"]["weight"] == 0
        assert deployment.ended(2) == "GateFailed"
    print(story.read_text())
    message = deployment.ready["message"]
    print(message)
    assert "MirrorDifference: 100%, limit 10%" in message
    assert failures(answers) == []
    assert {answer["version"] for answer in answers} == {"1"}

    deployment.model("same")
    with deployment.asked(1, count=2) as answers, deployment.watched() as story:
        deployment.deploy("3", "same", rollout=ROLLOUT)
        deployment.until_step("shadow 100%")
        check = compared(deployment)
        print(check)
        assert (check["value"], check["source"]) == ("0", "pods")
        assert deployment.live()["status"]["weight"] == 0
        assert deployment.ended(3) == "Promoted"
    print(story.read_text())
    assert failures(answers) == []
    assert {answer["version"] for answer in answers} == {"1", "3"}

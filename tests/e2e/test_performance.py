"""Performance on a real node: pods record what they answered, an application what turned out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.counting import Counting
from tests.e2e.drifting import Feed, Rows, Watched
from tests.e2e.world import JSONObject, World, condition, until

SPEC: JSONObject = {"window": "1m", "reference": {"outcomes": 1000, "errors": 50}}


@pytest.fixture
def watched(world: World, held_out: Rows) -> Watched:
    return Watched(world, held_out)


def degraded(watched: Watched, status: str) -> JSONObject:
    def look() -> JSONObject | None:
        found = condition(watched.live(), "Degraded")
        return found if found.get("status") == status else None

    return until(f"Degraded is {status}", look, 200)


def outcomes(answers: list[Any], wrong: int) -> list[JSONObject]:
    """Return what turned out: of ten rows of a request, so many other than predicted."""
    return [
        {
            "requestId": answer["request"],
            "row": row,
            "outcome": 1 - label if row < wrong else label,
        }
        for answer in answers
        for row, label in enumerate(answer["predictions"])
    ]


@pytest.mark.slow
def test_a_model_that_is_wrong_more_often_than_before_is_degraded(watched: Watched) -> None:
    world, counting = watched.world, Counting(watched.world.cluster)
    watched.model("one")
    watched.deploy("1", "one", runtime={"recordPredictionsPercent": 100}, performance=SPEC)
    world.ready("fraud", version="1")

    def ask(name: str) -> list[Any]:
        with watched.fed(Feed(size=10, requests=40), name) as answers:
            until("all is sent", lambda: '"done"' in world.log(f"client-{name}", 1))
        assert [each for each in answers if "error" in each] == []
        return answers

    taken = counting.turned_out(world.namespace, "fraud", outcomes(ask("well"), wrong=0))
    assert taken["accepted"] == 400
    found = degraded(watched, "False")
    assert found["reason"] == "AsGoodAsBefore"
    assert watched.live()["status"]["performance"]["outcomes"] == 400

    counting.turned_out(world.namespace, "fraud", outcomes(ask("worse"), wrong=3))
    found = degraded(watched, "True")
    print(found["message"])
    print(json.dumps(watched.live()["status"]["performance"]))
    assert found["reason"] == "ErrorsIncreased"
    assert ("Warning", "ErrorsIncreased") in watched.events()
    assert condition(watched.live(), "Ready")["status"] == "True"

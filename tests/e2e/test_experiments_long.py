"""What goes on around an Experiment on a real node: outages, breaches, other weights, its end."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests import models
from tests.e2e.operating import kill_operator, without_operator
from tests.e2e.splits import failed
from tests.e2e.trial import NAME, USERS, Trial, standing
from tests.e2e.world import JSONObject, condition, until

pytestmark = pytest.mark.slow
_AWAY_S = 60
_NOWHERE = 2**62
"""Bytes that no machine has: the request fails, and nothing else."""


@pytest.mark.alone
def test_without_a_difference_there_is_no_winner_also_when_the_recorder_is_away_for_a_minute(
    trial: Trial,
) -> None:
    trial.serve(bigger="one")
    trial.create(analysis={"maxDuration": "5m"})
    trial.until("Running")
    first, rest = USERS[:300], USERS[300:]
    with trial.clients(first) as answers:
        era = trial.era()
        trial.until_counted(len(first))
        trial.report(_third, first)
    with trial.clients(USERS) as more:
        began = time.monotonic()
        with trial.counting.away():
            trial.world.kubectl(
                "patch", "experiment", NAME, "--type=json", "--patch",
                json.dumps([
                    {"op": "replace", "path": f"/spec/variants/{i}/weight", "value": weight}
                    for i, weight in enumerate((80, 20))
                ]),
            )  # fmt: skip
            until("it says that there is no evidence", lambda: "no evidence" in _message(trial))
            message = _message(trial)
            assert len(trial.status()["assignment"]["epochs"]) == 1, "the recorder knows one table"
            kill_operator(trial.world)
            time.sleep(max(0.0, _AWAY_S - (time.monotonic() - began)))
            trial.create(analysis={"maxDuration": "5m"})  # the weights as they were
        away_s = time.monotonic() - began
        trial.until_counted(len(USERS))
        trial.report(_third, rest)
        live = trial.until("Inconclusive", 360)
        trial.check_end(live)
        era.end()
    assert failed(answers) == failed(more) == []
    assert sum(era.check([*answers, *more]).values()) > 1_000
    print(f"while the recorder was away: {message}")
    print(trial.world.kubectl("get", "experiments"))
    print(condition(live, "Ready")["message"])

    status = live["status"]
    assert "decision" not in status
    assert {each["name"]: each["units"] for each in status["variants"]} == {
        arm: sum(era.arm(user) == arm for user in USERS) for arm in ("control", "bigger")
    }
    evidence = status["evidence"]
    print(f"evidence: {evidence}")
    assert evidence["gaps"] == 1
    assert _AWAY_S - 5 <= evidence["gapSeconds"] <= away_s + 5
    assert len(status["assignment"]["epochs"]) == 1
    assert standing(trial.killed_and_looked_again()) == standing(status)


def _third(user: str, _: str) -> bool:
    return int(user[1:]) % 3 == 0


def _message(trial: Trial) -> str:
    return str(condition(trial.live(), "Ready").get("message", ""))


def test_a_breach_gives_everybody_the_control_within_fifteen_seconds(
    trial: Trial, tmp_path: Path
) -> None:
    """An arm that has served its users begins to fail all that it is asked."""
    trial.world.model_file("good", models.table(tmp_path / "good.onnx"))
    broken = models.table(tmp_path / "broken.onnx", bytes_above=_NOWHERE)
    trial.world.model_file("broken", broken)
    trial.serve("good", "broken")
    trial.create()
    trial.until("Running")
    with trial.clients(features=[1], kinds=("kept", "new")) as answers:
        era = trial.era()
        until("it counts requests", lambda: _verdict(trial) == "Pass")
        era.end()
    assert failed(answers) == []
    era.check(answers)
    with trial.clients(features=[3], kinds=("kept", "new")) as broke:
        live = trial.until("Stopped")
        time.sleep(10)
    found = failed(broke)
    lasted = max(each["at"] for each in found) - min(each["at"] for each in found)
    print(f"from the first failed request to the last: {lasted:.1f} s, {len(found)} failed")
    assert lasted <= 15
    status = live["status"]
    assert status["reason"] == "GuardrailBreached"
    assert condition(live, "Stalled")["status"] == "True"
    [rail] = status["guardrails"]
    assert (rail["variant"], rail["verdict"]) == ("bigger", "Breach")
    assert {each["version"] for each in broke[-10:]} == {"1"}
    print(trial.world.kubectl("get", "experiments"))
    print(condition(live, "Ready")["message"])


def _verdict(trial: Trial) -> str:
    rails = trial.status().get("guardrails") or [{}]
    return str(rails[0].get("verdict"))


@pytest.mark.alone
def test_weights_change_arms_are_pinned_and_nothing_fails_when_it_is_deleted_without_an_operator(
    trial: Trial,
) -> None:
    trial.serve()
    trial.create()
    trial.until("Running")
    with trial.clients(rate=12) as answers:
        first = trial.era()
        trial.until_counted(len(USERS))
        first.end()
        trial.create(80, 20)
        until("there is a second table", lambda: len(_epochs(trial)) == 2)
        second = trial.era()

        trial.world.deploy(
            "ranker-large", {"uri": "configmap://one/model.onnx", "version": "3"},
            scaling={"minReplicas": 1, "maxReplicas": 1},
        )  # fmt: skip
        trial.world.reason("ranker-large", "PinnedByExperiment")
        pinned = condition(trial.world.get("modeldeployment", "ranker-large"), "Ready")["message"]
        moved = [user for user in USERS if first.arm(user) != second.arm(user)]
        until("the units of the slots that moved have left", lambda: _departed(trial, len(moved)))
        second.end()
        print(trial.world.kubectl("get", "experiments"))
        status = trial.status()

        with without_operator(trial.world):
            alone = trial.era()
            trial.world.kubectl("delete", "experiment", NAME, "--timeout=10s")
            time.sleep(10)
            alone.end()
        until("the address is direct again", lambda: "traffic" not in _target(trial)["status"])
        trial.world.ready("ranker-large", version="3")
        until("the loser is gone", lambda: len(trial.world.all("deployments")) == 2)
    assert failed(answers) == []
    for era in (first, second, alone):
        assert sum(era.check(answers).values()) > 50
    assert {(first.arm(user), second.arm(user)) for user in moved} == {("bigger", "control")}
    assert 0.2 < len(moved) / len(USERS) < 0.4, "30 % of all slots"
    assert status["ratio"].startswith("ok")
    assert status["units"] == len(USERS) - len(moved)
    assert status["arms"] == "80/20"
    assert {answer["version"] for answer in answers[-8:]} == {"1"}
    print(f"{len(answers)} answers, {len(moved)} users moved; {pinned}")


def _target(trial: Trial) -> JSONObject:
    return trial.world.get("modeldeployment", "ranker")


def _epochs(trial: Trial) -> list[JSONObject]:
    return list((trial.status().get("assignment") or {}).get("epochs") or ())


def _departed(trial: Trial, users: int) -> bool:
    return bool(sum(each.get("departed", 0) for each in trial.status()["variants"]) == users)

"""An Experiment on a real node: sticky users, real exposures, a winner, and what people see."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from fairlead_operator.planning import names
from tests.e2e.splits import Answer, failed
from tests.e2e.trial import NAME, USERS, Trial, standing
from tests.e2e.world import JSONObject, condition, until
from tests.fairleadcli import fairlead

pytestmark = pytest.mark.slow
_EVENT = "dev.fairlead.prediction.v1"


def one_in(every: int, user: str) -> bool:
    """Whether a user is one of so many, by the number in the name."""
    return int(user[1:]) % every == 0


def better(user: str, arm: str) -> bool:
    """Half of the users convert with the better arm, a tenth with the control."""
    return one_in(2 if arm == "bigger" else 10, user)


def logged(trial: Trial, deployment: str) -> list[JSONObject]:
    """Return what a model's pods wrote into their prediction log within the Experiment."""
    pods = trial.world.all("pods", f"{names.OWNER_LABEL}={deployment}")
    lines = "\n".join(trial.world.log(pod["metadata"]["name"]) for pod in pods).splitlines()
    events = [json.loads(line) for line in lines if _EVENT in line]
    return [each["data"] for each in events if each["data"].get("experiment")]


def check_logged(trial: Trial, answers: list[Answer]) -> None:
    """Hold the prediction logs to what the clients got: as many of each arm, and the same users."""
    wanted = Counter(
        (a["variant"], a["user"]) for a in answers if a["experiment"] and "error" not in a
    )
    salt = trial.status()["assignment"]["salt"]

    def found() -> Counter[tuple[str, str]]:
        data = logged(trial, "ranker") + logged(trial, "ranker-large")
        assert {each["experiment"] for each in data} <= {NAME}
        return Counter((each["variant"], each["unit"].removeprefix(f"{salt}:")) for each in data)

    until("the prediction logs have every answer", lambda: found() == wanted, 20)
    for deployment, arm in (("ranker", "control"), ("ranker-large", "bigger")):
        assert {each["variant"] for each in logged(trial, deployment)} == {arm}


def test_users_keep_their_arms_and_a_true_difference_makes_the_right_winner(trial: Trial) -> None:
    trial.serve()
    trial.create()
    trial.until("Running")
    with trial.clients() as answers:
        era = trial.era()
        trial.until_counted(len(USERS))
        trial.report(better)
        live = trial.until("Decided")
        era.end()
    assert failed(answers) == []
    seen = era.check(answers)
    assert seen["kept"] > 200, seen
    assert seen["grpc"] > 200, seen
    print(
        f"{sum(seen.values())} answers of {len(USERS)} users, each on the arm of the offline answer"
    )

    told = fairlead(
        "assign", "-e", NAME, "-", "-n", trial.world.namespace, "-o", "json",
        kubeconfig=trial.world.cluster.kubeconfig, stdin="\n".join(USERS),
    )  # fmt: skip
    assert {each["user"]: each["arm"] for each in told.json} == {u: era.arm(u) for u in USERS}

    status = live["status"]
    assert status["decision"]["variant"] == status["leader"] == "bigger"
    assert status["split"] is True, "a verdict changes no traffic"
    by_arm = Counter(map(era.arm, USERS))
    assert {each["name"]: each["units"] for each in status["variants"]} == by_arm
    [metric] = status["results"]
    did = Counter(era.arm(user) for user in USERS if better(user, era.arm(user)))
    assert {each["variant"]: each["outcomes"] for each in metric["arms"]} == did
    trial.check_end(live)
    check_logged(trial, answers)
    print(trial.world.kubectl("get", "experiments"))
    print(trial.world.kubectl("describe", "experiment", NAME))
    page = trial.counting.read(f"/experiments/{trial.world.namespace}/{NAME}")
    assert "bigger" in page


@pytest.mark.alone
def test_an_operator_killed_in_each_phase_comes_to_the_same_end(trial: Trial) -> None:
    trial.serve()
    trial.create()
    until("it is pending", lambda: trial.status().get("phase"))
    trial.killed_and_looked_again()
    trial.until("Running")
    with trial.clients() as answers:
        era = trial.era()
        before = trial.status()
        again = trial.killed_and_looked_again()
        assert (again["startedAt"], again["assignment"]) == (
            before["startedAt"],
            before["assignment"],
        )
        trial.until_counted(len(USERS))
        trial.report(better)
        decided = trial.until("Decided")
        trial.check_end(decided)
        assert standing(trial.killed_and_looked_again()) == standing(decided["status"])
        era.end()
        trial.world.kubectl(
            "patch", "experiment", NAME, "--type=merge", "--patch", '{"spec":{"stopped":true}}'
        )
        stopped = trial.until("Stopped")
        assert standing(trial.killed_and_looked_again()) == standing(stopped["status"])
        for key in ("decision", "results", "assignment", "units"):
            assert stopped["status"][key] == decided["status"][key], key
        until(
            "the address is direct again",
            lambda: "traffic" not in trial.world.get("modeldeployment", "ranker")["status"],
        )
    assert failed(answers) == []
    assert sum(era.check(answers).values()) > 300
    assert {answer["version"] for answer in answers[-8:]} == {"1"}


@pytest.mark.alone
def test_exposures_withheld_from_one_arm_make_it_invalid(trial: Trial) -> None:
    """Something in front of the address loses half of the users of one arm."""
    trial.serve()
    trial.create()
    trial.until("Running")
    era = trial.era()
    lost = [user for user in USERS if era.arm(user) == "bigger"][::2]
    arriving = [user for user in USERS if user not in set(lost)]
    with trial.clients(arriving) as answers:
        trial.until_counted(len(arriving))
        trial.report(better, arriving)
        invalid = trial.until("Invalid")
        assert standing(trial.killed_and_looked_again()) == standing(invalid["status"])
        era.end()
    assert failed(answers) == []
    era.check(answers)
    status = invalid["status"]
    assert status["reason"] == "SampleRatioMismatch"
    assert "decision" not in status, "a difference in such data is none"
    assert status["ratio"].startswith("mismatch")
    assert not {"leader", "lift", "pValue"} & set(status), "nor is there a leader"
    assert (condition(invalid, "Ready")["status"], condition(invalid, "Stalled")["status"]) == (
        "False",
        "True",
    )
    print(trial.world.kubectl("get", "experiments"))
    print(condition(invalid, "Ready")["message"])

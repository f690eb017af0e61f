"""What ModelDeployments take from the Experiments beside them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fairlead_operator.experiment import target
from fairlead_operator.experiment.facts import Rival
from fairlead_operator.traffic.split import Split
from fairlead_runtime.contract import assignment
from tests.unit.experiment.world import World, later, three_arms


def a_running(name: str = "checkout", created: str = "2026-01-01T11:00:00Z") -> dict[str, Any]:
    world = World(variants=three_arms(80, 10, 10))
    world.run()
    resource = copy.deepcopy(world.resource)
    resource["metadata"].update(name=name, creationTimestamp=created)
    return resource


def test_the_target_gets_the_split_that_status_says() -> None:
    split = target.wanted_split("ranker", [a_running()])
    assert isinstance(split, Split)
    assert split.counts == {"control": 8000, "bigger": 1000, "small": 1000}
    assert split.control.host == "ranker-aaaa1111.team.svc"
    assert (split.header, split.salt, split.experiment) == ("x-user-id", "uid-1", "checkout")


def test_an_arm_gets_no_split_of_its_own_address() -> None:
    assert target.wanted_split("ranker-large", [a_running()]) is None


@pytest.mark.parametrize("arm", ["ranker", "ranker-large", "ranker-small"])
def test_every_arm_is_pinned_to_the_revision_that_is_measured(arm: str) -> None:
    pin = target.pinned(arm, [a_running()])
    assert pin is not None
    assert (pin.revision, pin.experiment) == (f"{arm}-hash", "checkout")
    assert pin.reason == "PinnedByExperiment"
    assert "checkout" in pin.message


def test_others_are_free() -> None:
    assert target.pinned("fraud", [a_running()]) is None
    assert target.pinned("ranker", []) is None


def test_a_deleted_experiment_means_no_split_and_no_pin() -> None:
    going = a_running()
    going["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:00Z"
    for experiments in ([], [going]):
        assert target.wanted_split("ranker", experiments) is None
        assert target.pinned("ranker", experiments) is None


def test_a_stopped_one_releases_split_and_pins() -> None:
    world = World()
    world.run()
    world.spec["stopped"] = True
    world.step(later(hours=1))
    assert target.wanted_split("ranker", [world.resource]) is None
    assert target.pinned("ranker-large", [world.resource]) is None
    assert target.over(world.resource)


def test_should_two_want_a_split_the_older_has_it() -> None:
    older = a_running("z", "2026-01-01T10:00:00Z")
    younger = a_running("a", "2026-01-01T11:00:00Z")
    for order in ([older, younger], [younger, older]):
        split = target.wanted_split("ranker", order)
        assert split is not None
        assert split.experiment == "z"


def test_rivals_are_others_on_the_target_that_are_not_over() -> None:
    waiting = World().resource
    waiting["metadata"] = {**waiting["metadata"], "name": "waiting"}
    elsewhere = copy.deepcopy(a_running("elsewhere"))
    elsewhere["spec"]["target"] = "fraud"
    stopped = World(stopped=True)
    stopped.step()
    done = {**stopped.resource, "metadata": {**stopped.resource["metadata"], "name": "done"}}
    mine = a_running("mine")
    found = target.rivals("ranker", "mine", [waiting, elsewhere, done, mine, a_running("other")])
    assert [(rival.name, rival.splitting) for rival in found] == [
        ("waiting", False),
        ("other", True),
    ]
    assert all(isinstance(rival, Rival) for rival in found)


def test_a_status_that_makes_no_sense_splits_nobody() -> None:
    damaged = a_running()
    damaged["status"]["variants"][1]["host"] = "not a host"
    assert target.wanted_split("ranker", [damaged]) is None


def test_two_experiments_with_different_salts_are_independent() -> None:
    """Of 20,000 users each pair of arms has its share: neither knows of the other's assignment."""
    first, second = (
        World(variants=three_arms(80, 10, 10)),
        World(assignment={"header": "x-user-id", "salt": "another"}),
    )
    tables = []
    for world in (first, second):
        world.run()
        split = target.wanted_split("ranker", [world.resource])
        assert split is not None
        tables.append((split.table, split.salt))
    users = [f"user-{number}" for number in range(20_000)]
    pairs = [tuple(assignment.arm(table, salt, user) for table, salt in tables) for user in users]
    observed = {pair: pairs.count(pair) for pair in set(pairs)}
    shares = {"control": 0.8, "bigger": 0.1, "small": 0.1}
    statistic = 0.0
    for one, share in shares.items():
        for other in ("control", "bigger"):
            expected = share * 0.5 * len(users)
            statistic += (observed.get((one, other), 0) - expected) ** 2 / expected
    assert len(observed) == 6
    assert statistic < 20.5  # the chi-squared quantile of 0.999 with 5 degrees; users are fixed


def test_with_the_same_salt_the_same_users_are_treated() -> None:
    tables = []
    for _ in range(2):
        world = World(assignment={"header": "x-user-id", "salt": "same"})
        world.run()
        split = target.wanted_split("ranker", [world.resource])
        assert split is not None
        tables.append((split.table, split.salt))
    users = [f"user-{number}" for number in range(1000)]
    assert all(
        assignment.arm(tables[0][0], tables[0][1], user)
        == assignment.arm(tables[1][0], tables[1][1], user)
        for user in users
    )

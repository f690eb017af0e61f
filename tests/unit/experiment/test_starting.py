"""What an Experiment waits for before users are split."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from fairlead_operator.experiment import memory as memory_module
from fairlead_operator.experiment.facts import Input, Rival
from tests.unit.experiment.world import NOW, World, a_member, later


def conditions(world: World) -> dict[str, str]:
    return {c["type"]: c["status"] for c in world.status["conditions"]}


def test_starts_when_recorder_and_routers_have_the_split() -> None:
    world = World()
    world.live = False
    first = world.step()
    assert (first.phase, first.memory.split) == ("Pending", False)
    assert first.memory.names == ("control", "bigger")
    assert first.memory.salt == "uid-1"
    assert first.memory.header == "x-user-id"
    second = world.step()
    assert (second.phase, second.memory.split) == ("Pending", True)
    assert second.reason == "SplitStarting"
    world.live = True
    third = world.step(later(seconds=80))
    assert (third.phase, third.memory.started_at) == ("Running", later(seconds=80))
    assert third.memory.epochs == first.memory.epochs
    assert conditions(world) == {"Ready": "True", "Reconciling": "False", "Stalled": "False"}


def test_pending_is_progressing_and_not_ready() -> None:
    world = World()
    world.members.pop("ranker-large")
    decision = world.step()
    assert decision.reason == "ArmMissing"
    assert "ranker-large" in decision.message
    assert conditions(world) == {"Ready": "False", "Reconciling": "True", "Stalled": "False"}
    assert world.status["phase"] == "Pending"


@pytest.mark.parametrize(
    ("change", "reason", "word"),
    [
        ({"ranker": None}, "TargetMissing", "ranker"),
        ({"ranker-large": None}, "ArmMissing", "ranker-large"),
        ({"ranker-large": {"ready": False}}, "ArmNotReady", "no ready replica"),
        ({"ranker-large": {"revision": None}}, "ArmNotReady", "no ready replica"),
        ({"ranker": {"moving": True}}, "ArmNotReady", "rolled out"),
        ({"ranker-large": {"inputs": None}}, "SignatureUnknown", "inputs"),
        ({"ranker": {"inputs": None}}, "SignatureUnknown", "control"),
    ],
)
def test_waits_for(change: dict[str, Any], reason: str, word: str) -> None:
    world = World()
    for name, fields in change.items():
        world.members.pop(name)
        if fields is not None:
            world.members[name] = a_member(name, **fields)
    decision = world.step()
    assert (decision.phase, decision.reason, decision.stalled) == ("Pending", reason, False)
    assert word in decision.message
    assert not decision.memory.split
    assert decision.wake_s is not None


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        ((), "it has no input x"),
        ((Input(name="x", datatype="INT64", shape=(-1, 4)),), "it takes x INT64"),
        ((Input(name="x", datatype="FP32", shape=(-1, 5)),), "not x FP32[-1, 4]"),
        ((Input(name="x", datatype="FP32", shape=(1, 4)),), "it takes x FP32[1, 4]"),
        ((Input(name="x", datatype="FP32", shape=(-1,)),), "it takes x FP32[-1]"),
        (
            (
                Input(name="x", datatype="FP32", shape=(-1, 4)),
                Input(name="y", datatype="FP32", shape=(1,)),
            ),
            "it also needs y",
        ),
    ],
    ids=["none", "datatype", "width", "fixed batch", "rank", "more"],
)
def test_an_arm_with_other_inputs_is_refused_in_words(inputs: tuple[Input, ...], word: str) -> None:
    world = World()
    world.members["ranker-large"] = a_member("ranker-large", inputs=inputs)
    decision = world.step()
    assert (decision.reason, decision.stalled) == ("SignatureDiffers", True)
    assert word in decision.message
    assert conditions(world)["Stalled"] == "True"


def test_an_arm_that_takes_more_shapes_than_the_target_is_fine() -> None:
    world = World()
    inputs = (Input(name="x", datatype="FP32", shape=(-1, -1)),)
    world.members["ranker-large"] = a_member("ranker-large", inputs=inputs)
    world.run()


def test_waits_for_the_recorder_before_anybody_is_split() -> None:
    world = World()
    world.registered = False
    for _ in range(3):
        decision = world.step()
    assert decision.reason == "RecorderUnavailable"
    assert not decision.memory.split
    world.registered = True
    world.run()


def test_an_older_experiment_has_the_target() -> None:
    world = World()
    older = Rival(name="older", created=NOW - dt.timedelta(days=1), splitting=False)
    world.rivals = (older,)
    decision = world.step()
    assert (decision.phase, decision.reason) == ("Pending", "TargetBusy")
    assert "older" in decision.message
    world.rivals = ()
    world.run()


def test_a_younger_experiment_does_not_hold_it_up() -> None:
    world = World()
    world.rivals = (Rival(name="younger", created=NOW, splitting=False),)
    world.run()


def test_of_two_made_in_the_same_second_one_wins() -> None:
    world = World()
    created = world.snapshot().created
    world.rivals = (Rival(name="a", created=created, splitting=False),)
    assert world.step().reason == "TargetBusy"
    world.rivals = (Rival(name="z", created=created, splitting=False),)
    world.run()


def test_one_that_splits_already_keeps_the_target_from_an_older_one() -> None:
    world = World()
    world.rivals = (Rival(name="younger", created=NOW, splitting=True),)
    assert world.step().reason == "TargetBusy"


def test_a_split_that_starts_is_withdrawn_when_an_arm_goes_away() -> None:
    world = World()
    world.live = False
    world.step()
    assert world.step().memory.split
    world.members["ranker-large"] = a_member("ranker-large", ready=False)
    decision = world.step()
    assert (decision.reason, decision.memory.split) == ("ArmNotReady", False)
    # The recorder knows the first table, so that it stays.
    table = world.status["assignment"]
    world.members["ranker-large"] = a_member("ranker-large")
    world.live = True
    world.run(later(minutes=1))
    assert world.status["assignment"] == table


def test_weights_and_arms_that_change_before_the_start_are_taken_anew() -> None:
    world = World()
    world.live = False
    world.step()
    world.weights(90, 10)
    world.members["ranker-large"] = a_member("ranker-large", revision="second")
    world.live = True
    decision = world.run(later(minutes=1))
    assert [epoch.slots for epoch in decision.memory.epochs] == [(5000, 5000), (9000, 1000)]
    assert decision.memory.arms[1].revision == "second"


def test_one_that_is_stopped_from_the_start_does_not_start_and_may_later() -> None:
    world = World(stopped=True)
    decision = world.step()
    assert (decision.phase, decision.memory.split) == ("Stopped", False)
    assert "endedAt" not in world.status
    assert conditions(world)["Ready"] == "True"
    world.spec["stopped"] = False
    world.run()


def test_the_salt_and_header_of_the_spec_are_used() -> None:
    world = World(assignment={"header": "X-Session", "salt": "spring"})
    memory = world.run().memory
    assert (memory.salt, memory.header) == ("spring", "x-session")


def test_what_makes_no_sense_in_status_is_as_if_it_were_not_there() -> None:
    world = World()
    world.run()
    for damage in (
        {"assignment": {"table": [{"arm": "control", "slots": 3, "epoch": 1}]}},
        {"variants": [{"name": "control"}]},
        {"startedAt": "yesterday"},
        {"conditions": "x"},
    ):
        assert memory_module.from_status({**world.status, **damage}) == memory_module.Memory()

"""While it runs: epochs, verdicts, ends, and what is not lost in between."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from fairlead_operator.experiment import memory as memory_module
from fairlead_operator.experiment.facts import Aggregates, ArmCounts, Rival
from fairlead_operator.stats.aggregates import Binary
from fairlead_operator.traffic import slots
from tests.unit.experiment.world import (
    NOW,
    World,
    a_member,
    counted,
    later,
    revenue,
    three_arms,
)

EVEN = {"control": (5000, 500), "bigger": (5010, 505)}
BETTER = {"control": (20_000, 1000), "bigger": (20_010, 1300)}
STAYED = [{"control": 5000, "bigger": 1000}, {"control": 5000, "bigger": 5000}]
"""Slots of a 90/10 epoch that have stayed after 50/50, and those of the latter."""
WORSE = {"control": (20_000, 1300), "bigger": (20_010, 1000)}


def test_no_winner_without_a_difference() -> None:
    world = World()
    world.run()
    world.aggregates = counted(EVEN)
    decision = world.step(later(hours=1))
    assert (decision.phase, decision.reason) == ("Running", "Running")
    assert "no arm differs" in decision.message
    assert world.status["units"] == 10_010
    assert world.status["ratio"].startswith("ok")


def test_a_better_arm_wins_and_the_users_stay_split() -> None:
    world = World()
    world.run()
    world.aggregates = counted(BETTER)
    decision = world.step(later(hours=1))
    assert (decision.phase, decision.memory.split) == ("Decided", True)
    assert not decision.stalled
    winner = decision.memory.winner
    assert winner is not None
    assert (winner.variant, winner.metric, winner.units) == ("bigger", "conversion", 40_010)
    assert world.status["leader"] == "bigger"
    assert world.status["decision"]["lift"].startswith("+")
    assert '"/spec/model"' in world.status["recommendation"]["patch"]
    assert "s3://models/ranker-large.onnx" in world.status["recommendation"]["patch"]


def test_a_decision_stays_whatever_is_counted_afterwards() -> None:
    world = World()
    world.run()
    world.aggregates = counted(BETTER)
    world.step(later(hours=1))
    then = dict(world.status)
    world.aggregates = counted(WORSE)
    world.members["ranker-large"] = a_member("ranker-large", model={"uri": "s3://other"})
    for hours in (2, 400):
        decision = world.step(later(hours=hours))
        assert (decision.phase, decision.memory.winner) == (
            "Decided",
            memory_module.from_status(then).winner,
        )
    assert world.status == then


def test_the_control_wins_where_every_other_arm_is_worse() -> None:
    world = World()
    world.run()
    world.aggregates = counted(WORSE)
    decision = world.step(later(hours=1))
    assert decision.reason == "Decided"
    assert decision.memory.winner is not None
    assert decision.memory.winner.variant == "control"
    assert "patch" not in world.status["recommendation"]
    assert "Keep" in world.status["recommendation"]["text"]


def test_with_a_goal_of_decrease_less_is_better() -> None:
    world = World(metrics=[{"name": "conversion", "type": "binary", "goal": "decrease"}])
    world.run()
    world.aggregates = counted(WORSE)
    decision = world.step(later(hours=1))
    assert decision.memory.winner is not None
    assert decision.memory.winner.variant == "bigger"


def test_one_worse_arm_of_two_decides_nothing() -> None:
    world = World(variants=three_arms(40, 30, 30))
    world.run()
    world.aggregates = counted(
        {"control": (20_000, 1300), "bigger": (15_000, 600), "small": (15_010, 980)}
    )
    decision = world.step(later(hours=1))
    assert decision.reason == "Running"
    arms = {arm["variant"]: arm for arm in world.status["results"][0]["arms"]}
    assert arms["bigger"]["pValue"] == "<0.0001"
    assert "pValue" not in arms["control"]


def test_the_best_of_several_winners_wins() -> None:
    world = World(variants=three_arms(40, 30, 30))
    world.run()
    world.aggregates = counted(
        {"control": (40_000, 2000), "bigger": (30_000, 2000), "small": (30_010, 2400)}
    )
    decision = world.step(later(hours=1))
    assert decision.memory.winner is not None
    assert decision.memory.winner.variant == "small"


@pytest.mark.parametrize(
    ("arms", "word"),
    [
        ({"control": (499, 5), "bigger": (520, 200)}, "waits for 500 users in each arm"),
        ({"control": (2000, 9), "bigger": (2010, 200)}, "waits for 10 users with and without"),
        ({"control": (2000, 1995), "bigger": (2010, 1000)}, "waits for 10 users with and"),
    ],
    ids=["units", "successes", "failures"],
)
def test_no_verdict_before_the_minimum(arms: dict[str, tuple[int, int]], word: str) -> None:
    world = World()
    world.run()
    world.aggregates = counted(arms)
    decision = world.step(later(hours=1))
    assert decision.reason == "Running"
    assert word in decision.message


def test_no_verdict_where_the_ratio_is_wrong_even_with_a_clear_difference() -> None:
    world = World()
    world.run()
    world.aggregates = counted(
        {"control": (21_500, 1000), "bigger": (18_500, 1300)},
        staying=[{"control": 5000, "bigger": 5000}],
    )
    decision = world.step(later(hours=1))
    assert (decision.phase, decision.reason, decision.stalled) == (
        "Invalid",
        "SampleRatioMismatch",
        True,
    )
    assert decision.memory.winner is None
    assert decision.memory.split
    assert world.status["ratio"].startswith("mismatch")
    world.aggregates = counted(BETTER)
    assert world.step(later(hours=2)).phase == "Invalid"


def test_inconclusive_at_the_longest_duration() -> None:
    world = World()
    world.run()
    world.aggregates = counted(EVEN)
    assert world.step(later(hours=335, minutes=59)).reason == "Running"
    decision = world.step(later(hours=336))
    assert (decision.phase, decision.memory.split, decision.stalled) == (
        "Inconclusive",
        True,
        False,
    )
    assert decision.memory.ended_at == later(hours=336)


def test_without_the_recorder_nothing_is_decided_and_users_stay_split() -> None:
    world = World()
    world.run()
    world.aggregates = counted(EVEN)
    world.step(later(hours=1))
    world.aggregates = None
    decision = world.step(later(hours=2))
    assert (decision.reason, decision.memory.split) == ("Running", True)
    assert "no evidence" in decision.message
    assert world.status["units"] == 10_010
    assert world.step(later(hours=336)).reason == "Inconclusive"


def test_changed_weights_make_an_epoch_and_move_the_least() -> None:
    world = World(variants=three_arms(98, 1, 1))
    before = world.run().memory.table
    world.weights(90, 5, 5)
    decision = world.step(later(hours=1))
    assert [epoch.slots for epoch in decision.memory.epochs] == [
        (9800, 100, 100),
        (9000, 500, 500),
    ]
    assert slots.counts(decision.memory.table) == {"control": 9000, "bigger": 500, "small": 500}
    # Nobody is moved from one treatment to the other: 800 slots, which is the least.
    assert slots.distance(before, decision.memory.table) == 800
    assert world.step(later(hours=2)).memory == decision.memory


def test_weights_wait_for_the_recorder() -> None:
    world = World()
    world.run()
    world.registered = False
    world.weights(80, 20)
    decision = world.step(later(hours=1))
    assert len(decision.memory.epochs) == 1
    assert "when the recorder answers" in decision.message
    world.registered = True
    assert len(world.step(later(hours=2)).memory.epochs) == 2


def test_a_table_that_never_reached_status_is_followed_by_another_epoch() -> None:
    """The operator told the recorder, and died before it wrote status; the weights went back."""
    world = World()
    world.run()
    nobody = {"control": (0, 0), "bigger": (0, 0)}
    stayed = [{"control": 5000, "bigger": 5000}, {"control": 9000, "bigger": 1000}]
    world.aggregates = counted(EVEN, nobody, staying=stayed)
    decision = world.step(later(hours=1))
    assert [epoch.number for epoch in decision.memory.epochs] == [1, 3]
    assert decision.memory.epochs[1].slots == (5000, 5000)


def test_weights_that_change_too_often_stay_and_it_says_so() -> None:
    world = World()
    world.run()
    for number in range(1, 40):
        world.weights(50 + number, 50 - number)
        decision = world.step(later(hours=number))
    assert len(decision.memory.epochs) == 32
    assert "they stay as they are" in decision.message


def test_a_clean_ramp_is_no_mismatch_and_its_effect_is_that_within_epochs() -> None:
    world = World(variants=three_arms(90, 10, 0)[:2])
    world.run()
    world.aggregates = counted({"control": (9000, 1080), "bigger": (1000, 120)})
    world.step(later(hours=1))
    world.weights(50, 50)
    world.step(later(hours=2))
    # While units leave, what is counted fits no table: it would be a mismatch.
    world.aggregates = dataclasses.replace(
        counted({"control": (7000, 800), "bigger": (1000, 120)}, staying=STAYED), settling=True
    )
    decision = world.step(later(hours=2, minutes=1))
    assert decision.reason == "Running"
    assert "are leaving" in decision.message
    assert world.status["units"] == 10_000
    # What stays of the first epoch are 5 of the control's 9 slots; the rate has fallen to a fourth.
    world.aggregates = counted(
        {"control": (5000, 600), "bigger": (1000, 120)},
        {"control": (10_000, 300), "bigger": (10_020, 301)},
        staying=STAYED,
    )
    decision = world.step(later(hours=3))
    assert decision.reason == "Running"
    assert decision.ratio is not None
    assert decision.ratio.pearson.expected == pytest.approx((15_010, 11_010), abs=1)
    arms = {arm["variant"]: arm for arm in world.status["results"][0]["arms"]}
    assert arms["bigger"]["lift"] in ("+0.0%", "-0.0%", "+0.1%")
    assert world.status["results"][0]["pValue"] != "<0.0001"


def test_stopping_releases_everything_at_once_and_for_good() -> None:
    world = World()
    world.run()
    world.aggregates = counted(EVEN)
    world.spec["stopped"] = True
    decision = world.step(later(hours=1))
    assert (decision.phase, decision.memory.split, decision.stalled) == ("Stopped", False, False)
    assert decision.wake_s is None
    assert world.status["units"] == 10_010
    world.spec["stopped"] = False
    assert world.step(later(hours=2)).phase == "Stopped"


def test_a_decided_one_can_be_stopped_and_keeps_its_decision() -> None:
    world = World()
    world.run()
    world.aggregates = counted(BETTER)
    world.step(later(hours=1))
    world.spec["stopped"] = True
    decision = world.step(later(hours=2))
    assert (decision.phase, decision.memory.split) == ("Stopped", False)
    assert world.status["decision"]["variant"] == "bigger"
    assert "patch" in world.status["recommendation"]


def test_an_arm_that_is_away_for_five_minutes_stops_it() -> None:
    world = World()
    world.run()
    world.aggregates = counted(EVEN)
    world.members["ranker-large"] = a_member("ranker-large", ready=False)
    decision = world.step(later(hours=1))
    assert decision.reason == "Running"
    assert decision.wake_s is not None
    assert decision.wake_s <= 5
    assert "not ready" in decision.message
    assert world.step(later(hours=1, minutes=4, seconds=59)).reason == "Running"
    decision = world.step(later(hours=1, minutes=5))
    assert (decision.phase, decision.reason, decision.stalled) == (
        "Stopped",
        "ArmUnavailable",
        True,
    )
    assert not decision.memory.split


def test_an_arm_that_comes_back_in_time_goes_on() -> None:
    world = World()
    world.run()
    world.members["ranker-large"] = a_member("ranker-large", ready=False)
    world.step(later(hours=1))
    world.members["ranker-large"] = a_member("ranker-large")
    world.step(later(hours=1, minutes=3))
    world.members["ranker-large"] = a_member("ranker-large", ready=False)
    assert world.step(later(hours=1, minutes=6)).reason == "Running"


@pytest.mark.parametrize("gone", ["ranker", "ranker-large"])
def test_an_arm_that_is_deleted_stops_it(gone: str) -> None:
    world = World()
    world.run()
    world.members.pop(gone)
    world.step(later(hours=1))
    assert world.step(later(hours=1, minutes=5)).reason == "ArmUnavailable"


def test_an_arm_with_another_revision_than_it_is_pinned_to_is_not_available() -> None:
    world = World()
    world.run()
    world.members["ranker-large"] = a_member("ranker-large", revision="another")
    world.step(later(hours=1))
    assert world.step(later(hours=1, minutes=5)).reason == "ArmUnavailable"


def test_an_older_rival_that_appears_late_changes_nothing() -> None:
    world = World()
    world.run()
    world.rivals = (Rival(name="a", created=NOW - dt.timedelta(days=3), splitting=False),)
    assert world.step(later(hours=1)).reason == "Running"


def test_of_two_that_began_together_the_younger_one_stops() -> None:
    world = World()
    world.run()
    world.rivals = (Rival(name="younger", created=NOW, splitting=True),)
    assert world.step(later(hours=1)).reason == "Running"
    world.rivals = (Rival(name="older", created=NOW - dt.timedelta(days=3), splitting=True),)
    decision = world.step(later(hours=2))
    assert (decision.phase, decision.memory.split) == ("Stopped", False)
    assert "older" in decision.message


def test_the_plan_is_fixed_once_from_all_arms_together() -> None:
    world = World(metrics=[{"name": "conversion", "type": "binary", "minimumEffectPercent": 10}])
    world.run()
    world.aggregates = counted({"control": (400, 40), "bigger": (410, 41)})
    assert world.step(later(hours=1)).memory.plan is None
    world.aggregates = counted({"control": (1000, 90), "bigger": (1010, 111)})
    plan = world.step(later(hours=2)).memory.plan
    assert plan is not None
    # Fleiss' sample for 10 % against 11 % with a power of 80 %: 14,750 per arm.
    assert plan.expected_units == pytest.approx(29_500, rel=0.01)
    world.aggregates = counted({"control": (5000, 2500), "bigger": (5010, 2500)})
    assert world.step(later(hours=3)).memory.plan == plan


def test_the_plan_of_the_spec_is_used() -> None:
    world = World(analysis={"plannedSamplesPerVariant": 7000})
    world.run()
    world.aggregates = counted(EVEN)
    plan = world.step(later(hours=1)).memory.plan
    assert plan is not None
    assert plan.expected_units == 14_000


def test_a_mean_decides_and_other_metrics_are_only_shown() -> None:
    world = World(
        metrics=[{"name": "revenue", "type": "mean"}, {"name": "conversion", "type": "binary"}]
    )
    world.run()
    aggregates = counted({"control": (5000, 200), "bigger": (5010, 400)})
    metrics = {"control": revenue(10.0, 5000), "bigger": revenue(10.0, 5010)}

    def with_revenue(aggregates: Aggregates) -> Aggregates:
        arms = {
            arm: dataclasses.replace(one, metrics={**one.metrics, "revenue": metrics[arm]})
            for arm, one in aggregates.epochs[1].items()
        }
        return dataclasses.replace(aggregates, epochs={1: arms})

    world.aggregates = with_revenue(aggregates)
    assert world.step(later(hours=1)).reason == "Running"
    assert world.status["results"][1]["arms"][1]["pValue"] == "<0.0001"
    metrics["bigger"] = revenue(10.2, 5010)
    world.aggregates = with_revenue(aggregates)
    decision = world.step(later(hours=2))
    assert decision.memory.winner is not None
    assert decision.memory.winner.lift == "+2.0%"
    arm = world.status["results"][0]["arms"][1]
    assert arm["value"] == "10.2"
    assert "outcomes" not in arm


def test_units_without_any_report_count_as_zeros() -> None:
    world = World()
    world.run()
    world.aggregates = Aggregates(
        at=NOW,
        staying={},
        epochs={
            1: {
                "control": ArmCounts(units=2000, metrics={"conversion": Binary(2000, 100)}),
                "bigger": ArmCounts(units=2010),
            }
        },
    )
    world.step(later(hours=1))
    arms = {arm["variant"]: arm for arm in world.status["results"][0]["arms"]}
    assert (arms["bigger"]["units"], arms["bigger"]["outcomes"]) == (2010, 0)


def test_nothing_is_remembered_but_what_status_says() -> None:
    """Every pass here reads its memory from status; twice the same pass gives the same answer."""
    world = World(variants=three_arms(80, 10, 10))
    world.run()
    world.aggregates = counted({"control": (8000, 800), "bigger": (1000, 110), "small": (1001, 90)})
    first = world.step(later(hours=1))
    assert memory_module.from_status(world.status) == first.memory
    written = dict(world.status)
    again = world.step(later(hours=1))
    assert again.memory == first.memory
    assert again.message == first.message
    assert world.status == written

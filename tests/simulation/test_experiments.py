"""Whole Experiments: users by the slot table, a ramp, outcomes, and the decisions on them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bench.statistics.__main__ import SCENARIOS, horizon, run
from fairlead_operator.experiment.decide import Decision
from fairlead_operator.experiment.facts import Aggregates, ArmCounts
from fairlead_operator.stats.aggregates import Binary
from fairlead_runtime.contract import assignment
from tests.unit.experiment.world import World, later, three_arms

pytestmark = pytest.mark.slow

ARMS = ("control", "bigger", "small")
RAMP = ((98, 1, 1), (80, 10, 10), (34, 33, 33))
PER_STEP = 20_000


@dataclasses.dataclass(slots=True)
class Unit:
    """A user as a recorder knows him: the first exposure, and whether he did it."""

    slot: int
    arm: str
    epoch: int
    success: bool


class Recorder:
    """A recount of raw exposures: slow, and without a thought of sums."""

    def __init__(self) -> None:
        self.units: dict[str, Unit] = {}

    def expose(self, user: str, slot: int, arm: str, epoch: int, *, success: bool) -> None:
        if user not in self.units:
            self.units[user] = Unit(slot, arm, epoch, success)

    def counted(self, tables: dict[int, assignment.Table]) -> Aggregates:
        """Return the aggregates: units whose slot has had another arm since have left."""
        arms_of = {
            number: np.array([run.arm for run in table for _ in range(run.slots)])
            for number, table in tables.items()
        }
        stays = {
            number: np.all([arms_of[n] == arms_of[number] for n in tables if n >= number], axis=0)
            for number in tables
        }
        found = {(e, a): [0, 0, 0] for e in tables for a in ARMS}
        for unit in self.units.values():
            moved = not stays[unit.epoch][unit.slot]
            row = found[unit.epoch, unit.arm]
            row[2] += moved
            row[0] += not moved
            row[1] += unit.success and not moved
        return Aggregates(
            at=later(hours=1),
            staying={
                number: {arm: int(np.sum(stays[number] & (arms_of[number] == arm))) for arm in ARMS}
                for number in tables
            },
            epochs={
                number: {
                    arm: ArmCounts(
                        units=found[number, arm][0],
                        departed=found[number, arm][2],
                        metrics={"conversion": Binary(*found[number, arm][:2])},
                    )
                    for arm in ARMS
                }
                for number in tables
            },
        )


def ramped(
    seed: int, rates: dict[str, float], *, lost: float = 0.0, fading: float = 1.0
) -> tuple[World, Decision]:
    """Run an Experiment over a ramp; each step looks ten times.

    Args:
        seed: Of the outcomes.
        rates: Of each arm.
        lost: The share of the last arm's exposures that never arrive.
        fading: What the rates are multiplied with from step to step.
    """
    generator = np.random.default_rng(seed)
    world = World(
        variants=three_arms(*RAMP[0]), assignment={"header": "x-user-id", "salt": f"s{seed}"}
    )
    world.run()
    recorder, tables = Recorder(), {}
    factor, number = 1.0, 0
    for step, weights in enumerate(RAMP):
        world.weights(*weights)
        decision = world.step(later(hours=step, minutes=1))
        tables[decision.memory.epochs[-1].number] = decision.memory.table
        for look in range(10):
            epoch, salt = decision.memory.epochs[-1].number, decision.memory.salt
            arms = [run.arm for run in tables[epoch] for _ in range(run.slots)]
            for _ in range(PER_STEP // 10):
                number += 1
                # One in four comes again, perhaps to another arm by then.
                user = f"user-{number if number % 4 else number // 2}"
                slot = assignment.slot(salt, user)
                arm = arms[slot]
                success = bool(generator.random() < factor * rates[arm])
                if arm != "small" or generator.random() >= lost:
                    recorder.expose(user, slot, arm, epoch, success=success)
            world.aggregates = recorder.counted(tables)
            decision = world.step(later(hours=step, minutes=5 * (look + 1)))
            if decision.memory.ended is not None:
                return world, decision
        factor *= fading
    return world, decision


def test_a_ramp_without_difference_ends_without_a_winner_and_with_the_right_ratio() -> None:
    for seed in range(4):
        world, decision = ramped(seed, dict.fromkeys(ARMS, 0.1), fading=0.5)
        assert decision.reason == "Running"
        assert decision.ratio is not None
        assert decision.ratio.p_value > 0.01
        assert world.status["variants"][0]["departed"] > 5000
        assert len(world.status["assignment"]["epochs"]) == 3


def test_the_better_arm_wins_over_a_ramp() -> None:
    rates = {"control": 0.1, "bigger": 0.1, "small": 0.15}
    for seed in range(3):
        _, decision = ramped(seed, rates, fading=0.7)
        assert decision.memory.winner is not None
        assert decision.memory.winner.variant == "small"


def test_exposures_that_get_lost_make_it_invalid_before_anybody_wins() -> None:
    rates = {"control": 0.1, "bigger": 0.1, "small": 0.105}
    for seed in range(3):
        _, decision = ramped(seed, rates, lost=0.15)
        assert decision.phase == "Invalid"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_the_bars_of_the_benchmark_hold_on_few_repeats(scenario: object) -> None:
    """`make bench-statistics` has the figures; what is far off would be seen here as well."""
    assert scenario in SCENARIOS
    [known] = [each for each in SCENARIOS if each is scenario]
    tally = run(known, 50, 7)
    assert horizon(known) * 2.5 <= 110_000
    # Three standard errors of 50 repeats above 5 %, and below 80 %.
    assert tally.false / tally.repeats <= 0.05 + 0.093
    assert tally.false_peeked > 5 * max(tally.false, 1)
    assert tally.found / tally.effects >= 0.8 - 0.17
    assert float(np.median(tally.ratios)) <= 1.3
    assert min(tally.covered, tally.covered_effects) / tally.repeats >= 0.95 - 0.093

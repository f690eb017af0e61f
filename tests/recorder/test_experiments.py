"""Registrations, epochs and units that leave."""

from __future__ import annotations

import dataclasses

import pytest

from fairlead_operator.stats.ratio import check_ratio
from fairlead_recorder.store import departures, experiments, snapshots
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.errors import ConflictError, UnknownExperimentError
from fairlead_recorder.store.events import MICROSECONDS, Definition, Metric
from fairlead_runtime.contract import assignment
from tests.recorder.worlds import (
    HALVES,
    HOUR,
    RAMPED,
    START,
    a_definition,
    arm_of,
    converted,
    expose,
    moments,
    paid,
    read,
    record,
    register,
    with_epoch,
)

UNITS = [f"u{i}" for i in range(400)]


def settle(session: Session, at_once: int = 7) -> int:
    """Let all units leave; return in how many steps."""
    steps = 0
    while departures.advance(session, at_once):
        steps += 1
    return steps


def test_the_same_registration_again_changes_nothing(session: Session) -> None:
    definition = a_definition()
    first = experiments.register(session, definition, START)
    again = experiments.register(session, definition, START + 1)
    assert (first.created, first.changed) == (True, True)
    assert (again.created, again.changed) == (False, False)
    assert experiments.of_name(session, "shop", "checkout").definition == definition


def test_another_uid_of_the_same_name_starts_empty_and_ends_the_old(session: Session) -> None:
    old = register(session, a_definition(uid="old"))
    expose(session, old, UNITS)
    new = register(session, a_definition(uid="new"), START + HOUR)
    assert new.definition.uid == "new"
    assert sum(arm.units for arm in read(session, new).epochs[0].arms.values()) == 0
    kept = experiments.of_name(session, "shop", "checkout", "old")
    assert kept.ended == START + HOUR
    assert sum(arm.units for arm in read(session, kept).epochs[0].arms.values()) == 400
    with pytest.raises(ConflictError, match="has ended"):
        experiments.register(session, a_definition(uid="old"), START)


def test_an_unknown_experiment_says_who_registers(session: Session) -> None:
    with pytest.raises(UnknownExperimentError, match="the operator does that"):
        experiments.of_name(session, "shop", "nothing")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"salt": "other"}, "salt"),
        ({"variants": ("control", "other")}, "variants"),
        ({"metrics": (Metric(name="conversion", type="mean"),)}, "is of type binary"),
    ],
)
def test_what_contradicts_the_records_is_refused(
    session: Session, change: dict[str, object], words: str
) -> None:
    definition = a_definition()
    experiments.register(session, definition, START)
    with pytest.raises(ConflictError, match=words):
        experiments.register(session, dataclasses.replace(definition, **change), START)  # type: ignore[arg-type]


def test_a_known_epoch_keeps_its_table_and_may_be_left_out(session: Session) -> None:
    experiments.register(session, a_definition(HALVES), START)
    with pytest.raises(ConflictError, match="a new table is a new epoch"):
        experiments.register(session, a_definition(RAMPED), START)
    second = with_epoch(a_definition(HALVES), RAMPED)
    only_new = dataclasses.replace(second, epochs=second.epochs[1:])
    assert experiments.register(session, only_new, START).moved
    found = experiments.of_name(session, "shop", "checkout")
    assert [epoch.number for epoch in found.definition.epochs] == [1, 2]


def test_the_window_is_fixed_by_the_first_outcome(session: Session) -> None:
    wider = a_definition(window=2 * HOUR)
    experiment = register(session, a_definition())
    assert experiments.register(session, wider, START).changed
    record(session, experiment, converted("u0"))
    with pytest.raises(ConflictError, match="outcomeWindowSeconds"):
        experiments.register(session, a_definition(), START)


def test_a_metric_may_come_later_and_a_dropped_one_keeps_its_sums(session: Session) -> None:
    definition = a_definition()
    experiment = register(session, definition)
    expose(session, experiment, UNITS)
    record(session, experiment, paid("u0", 2))
    fresh = Metric(name="refunds", type="mean")
    changed = dataclasses.replace(definition, metrics=(fresh, definition.metrics[0]))
    experiment = register(session, changed)
    assert experiment.positions == {"refunds": 2, "conversion": 0}
    refund = dataclasses.replace(paid("u0", 3), metric="refunds")
    record(session, experiment, refund)
    found = read(session, experiment)
    assert moments(found, arm_of("u0")).total == 2_000_000
    assert found.aggregates("refunds", arm_of("u0"))[0].estimate() is not None


def test_units_whose_slot_moved_leave_with_their_sums_seen_again_or_not(session: Session) -> None:
    definition = a_definition(HALVES)
    experiment = register(session, definition)
    expose(session, experiment, UNITS)
    record(session, experiment, *(paid(unit, 1) for unit in UNITS))
    experiment = register(session, with_epoch(definition, RAMPED))
    assert departures.pending(session, experiment.id)
    assert settle(session) > 5
    found = read(session, experiment)
    assert not found.settling
    stay = [unit for unit in UNITS if arm_of(unit, HALVES) == arm_of(unit, RAMPED)]
    assert 0 < len(stay) < 400
    arms = found.epochs[0].arms
    assert arms["control"].units + arms["bigger"].units == len(stay)
    assert arms["control"].departed == 400 - len(stay)
    assert arms["bigger"].departed == 0
    assert moments(found, "control").total == arms["control"].units * 1_000_000
    record(session, experiment, *(paid(unit, 5, f"again-{unit}") for unit in UNITS))
    assert moments(read(session, experiment), "control").total == (
        arms["control"].units * 6_000_000
    )


def test_units_come_to_the_epoch_of_their_first_exposure(session: Session) -> None:
    definition = a_definition(HALVES)
    experiment = register(session, definition)
    expose(session, experiment, UNITS[:200])
    experiment = register(session, with_epoch(definition, RAMPED))
    expose(session, experiment, UNITS, table=RAMPED, epoch=2, at=START + HOUR)
    settle(session)
    found = read(session, experiment)
    second = found.epochs[1].arms
    assert second["control"].units + second["bigger"].units == 200
    crossed = found.epochs[0].arms["control"].crossed
    moved = [u for u in UNITS[:200] if arm_of(u, HALVES) != arm_of(u, RAMPED)]
    assert crossed == len(moved)


def test_an_exposure_that_comes_late_from_an_older_table_leaves_at_once(session: Session) -> None:
    definition = with_epoch(a_definition(HALVES), RAMPED)
    experiment = register(session, definition)
    expose(session, experiment, UNITS, table=HALVES, epoch=1)
    found = read(session, experiment)
    arms = found.epochs[0].arms
    assert arms["control"].departed > 50
    assert arms["control"].units + arms["control"].departed == sum(
        arm_of(unit) == "control" for unit in UNITS
    )


def test_a_ramp_has_no_ratio_mismatch_by_the_slots_that_stayed(session: Session) -> None:
    nine = (assignment.Run("control", 9_000), assignment.Run("bigger", 1_000))
    half = (
        assignment.Run("control", 5_000),
        assignment.Run("bigger", 4_000),
        assignment.Run("bigger", 1_000),
    )
    units = [f"r{i}" for i in range(6_000)]
    definition: Definition = a_definition(nine)
    experiment = register(session, definition)
    expose(session, experiment, units[:3_000], table=nine)
    experiment = register(session, with_epoch(definition, half))
    expose(session, experiment, units[3_000:], table=half, epoch=2)
    settle(session, 500)
    found = read(session, experiment)
    assert found.epochs[0].staying == {"control": 5_000, "bigger": 1_000}
    ratios = [ratio for epoch in found.epochs if (ratio := epoch.ratio()) is not None]
    assert not check_ratio(ratios).mismatch
    assert check_ratio(ratios).pearson.p_value > 0.001  # type: ignore[operator]


def test_snapshots_become_rarer_with_age(session: Session) -> None:
    experiment = register(session, a_definition())
    minute = 60 * MICROSECONDS
    for index in range(14 * 24 * 12):
        at = START + index * 5 * minute
        snapshots.take(session, experiment, at, lambda: f"{at}")  # noqa: B023 - called at once
    kept = snapshots.series(session, experiment.id)
    assert 300 < len(kept) < 700
    assert not snapshots.take(session, experiment, START + 10**12, lambda: kept[-1][1])

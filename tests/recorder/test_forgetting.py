"""Data of one unit, and of experiments that ended, is removed."""

from __future__ import annotations

import pytest

from fairlead_recorder.store import departures, experiments, forgetting, gaps
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.gaps import Gap
from tests.recorder.worlds import (
    HALVES,
    HOUR,
    RAMPED,
    SECOND,
    START,
    a_definition,
    arm_of,
    converted,
    expose,
    paid,
    read,
    record,
    register,
    with_epoch,
)

UNITS = [f"u{i}" for i in range(60)]


@pytest.mark.parametrize("ramped", [False, True])
def test_nothing_of_a_forgotten_unit_is_left_and_the_sums_agree(
    session: Session, ramped: bool
) -> None:
    definition = a_definition(HALVES)
    experiment = register(session, definition)
    expose(session, experiment, UNITS)
    for unit in UNITS:
        record(
            session, experiment, paid(unit, 2), converted(unit),
            paid(unit, 1, f"late-{unit}", at=START + 2 * HOUR),
        )  # fmt: skip
    if ramped:
        experiment = register(session, with_epoch(definition, RAMPED))
        while departures.advance(session):
            pass
    for unit in UNITS[:30]:
        assert forgetting.forget(session, experiment, unit) == 4
        assert forgetting.forget(session, experiment, unit) == 0
    found = read(session, experiment)
    arms = found.epochs[0].arms.values()
    assert sum(arm.units + arm.departed for arm in arms) == 30
    assert found.counters["outcomes"] == 90
    assert found.counters["forgotten"] == 30
    for table in ("unit", "outcome"):
        rows = session.rows(f"SELECT count(*) FROM {table} WHERE unit = 'u3'")
        assert rows == [(0,)]


def test_a_unit_that_was_never_exposed_is_forgotten_too(session: Session) -> None:
    experiment = register(session, a_definition())
    record(session, experiment, paid("nobody", 2))
    assert forgetting.forget(session, experiment, "nobody") == 1
    assert read(session, experiment).counters["unexposed"] == 0


def test_only_experiments_that_ended_long_ago_expire(session: Session) -> None:
    old = register(session, a_definition(uid="old"))
    expose(session, old, UNITS)
    record(session, old, *(paid(unit, 1) for unit in UNITS))
    new = register(session, a_definition(uid="new"), START + HOUR)
    expose(session, new, UNITS)
    gaps.note(session, Gap(START, START + SECOND, "down"))
    assert not forgetting.expire(session, START + HOUR - 1, 7)
    steps = 0
    while forgetting.expire(session, START + HOUR + 1, 7):
        steps += 1
    assert steps > 60 // 7
    assert [one.definition.uid for one in experiments.listed(session)] == ["new"]
    for table in ("unit", "outcome", "population", "tally", "counter"):
        rows = session.rows(f"SELECT count(*) FROM {table} WHERE experiment = ?", (old.id,))
        assert rows == [(0,)], table
    assert sum(arm.units for arm in read(session, new).epochs[0].arms.values()) == 60
    assert arm_of("u0") in new.variants


def test_gaps_count_within_an_experiments_life_only(session: Session) -> None:
    for began, ended in ((0, 10), (20, 30), (35, 60)):
        gaps.note(session, Gap(START + began, START + ended, "down"))
    found = gaps.between(session, START + 5, START + 40)
    assert (found.count, found.lasted) == (3, 5 + 10 + 5)
    assert found.latest[0].started == START + 35
    assert gaps.between(session, START + 61, START + 70).count == 0


def test_a_restart_is_a_gap_since_the_last_heartbeat(session: Session) -> None:
    assert gaps.started(session, START) is None
    gaps.beat(session, START + 5 * SECOND)
    gap = gaps.started(session, START + 9 * SECOND)
    assert gap == Gap(START + 5 * SECOND, START + 9 * SECOND, "down")
    assert gaps.between(session, START, START + HOUR).count == 1

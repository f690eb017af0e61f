"""What is counted, and what is not; each summary is compared with a recount of the events."""

from __future__ import annotations

import itertools
import random

import pytest

from fairlead_operator.stats.aggregates import Binary
from fairlead_recorder.store import exposures, recount
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.events import CLOCK_SKEW, SCALE, Exposure, Outcome
from tests.recorder.worlds import (
    HALVES,
    HOUR,
    SECOND,
    START,
    a_definition,
    arm_of,
    binary,
    converted,
    expose,
    moments,
    paid,
    read,
    record,
    register,
)

UNITS = [f"u{i}" for i in range(40)]
ARMS = {unit: arm_of(unit) for unit in UNITS}
BIGGER = [unit for unit in UNITS if ARMS[unit] == "bigger"]
CONTROL = [unit for unit in UNITS if ARMS[unit] == "control"]


def test_units_are_counted_once_by_their_first_exposure(session: Session) -> None:
    experiment = register(session, a_definition())
    assert expose(session, experiment, [*UNITS, *UNITS]).new == 40
    assert expose(session, experiment, UNITS).again == 40
    found = read(session, experiment)
    assert binary(found, "control") == Binary(len(CONTROL), 0)
    assert binary(found, "bigger") == Binary(len(BIGGER), 0)
    assert found.counters["exposures"] == 120


def test_a_unit_that_converts_twice_is_one_success(session: Session) -> None:
    experiment = register(session, a_definition())
    expose(session, experiment, UNITS)
    unit = BIGGER[0]
    record(session, experiment, converted(unit, "a"), converted(unit, "b"))
    record(session, experiment, converted(unit, "c"), converted(unit, "d", value=0))
    found = read(session, experiment)
    assert binary(found, "bigger") == Binary(len(BIGGER), 1)
    assert found.counters["outcomes"] == 4


def test_values_of_a_unit_are_added_before_they_are_squared(session: Session) -> None:
    experiment = register(session, a_definition())
    expose(session, experiment, UNITS)
    one, two = BIGGER[:2]
    record(session, experiment, paid(one, 2, "a"), paid(two, 1.5, "b"))
    record(session, experiment, paid(one, 3, "c"), paid(two, -0.5, "d"))
    found = moments(read(session, experiment), "bigger")
    assert found.count == len(BIGGER)
    assert found.total == 6 * SCALE
    assert found.squares == (25 + 1) * SCALE**2


def test_sums_stay_exact_where_floats_would_not(session: Session) -> None:
    experiment = register(session, a_definition())
    expose(session, experiment, UNITS)
    unit = BIGGER[0]
    for i in range(100):
        record(session, experiment, paid(unit, 1e9, f"large{i}"), paid(unit, 1e-6, f"small{i}"))
    found = moments(read(session, experiment), "bigger")
    assert found.total == 100 * (10**15 + 1)
    assert found.squares == (100 * (10**15 + 1)) ** 2


def test_a_key_counts_once_however_often_it_is_sent(session: Session) -> None:
    experiment = register(session, a_definition())
    expose(session, experiment, UNITS)
    batch = [paid(unit, 2) for unit in UNITS]
    assert record(session, experiment, *batch).accepted == 40
    again = record(session, experiment, *batch, paid("u0", 2), paid("u99", 1))
    assert (again.accepted, again.duplicates, again.conflicts) == (1, 41, [])
    within = record(session, experiment, paid("u1", 5, "x"), paid("u1", 5, "x"))
    assert (within.accepted, within.duplicates, within.conflicts) == (1, 1, [])
    assert read(session, experiment).counters["outcomes"] == 42


def test_a_key_that_says_something_else_is_named_and_not_counted(session: Session) -> None:
    experiment = register(session, a_definition())
    expose(session, experiment, UNITS)
    record(session, experiment, paid("u0", 2, "k"), paid("u1", 2, "l"))
    taken = record(
        session, experiment, paid("u0", 3, "k"), paid("u2", 2, "l"), paid("u3", 1, "m"),
        paid("u3", 2, "m"),
    )  # fmt: skip
    assert (taken.accepted, taken.duplicates) == (1, 3)
    assert sorted(taken.conflicts) == [("revenue", "k"), ("revenue", "l"), ("revenue", "m")]
    found = read(session, experiment)
    assert moments(found, "control").total + moments(found, "bigger").total == 5 * SCALE


def test_odd_users_and_keys_are_kept_as_they_are(session: Session) -> None:
    odd = [
        "a b", 'say "hi"', "back\\slash", "{1,2}", "NULL", "null", "\\x41", "Zoë", "a,b", "%s", "?",
        "'", "line\nbreak", "\\",
    ]  # fmt: skip
    experiment = register(session, a_definition())
    assert expose(session, experiment, odd).new == len(odd)
    for _ in range(2):
        taken = record(session, experiment, *(paid(unit, 2, f"key {unit}") for unit in odd))
    assert (taken.accepted, taken.duplicates, taken.conflicts) == (0, len(odd), [])
    assert {unit for (unit,) in session.rows("SELECT unit FROM unit")} == set(odd)
    assert {key for (key,) in session.rows("SELECT key FROM outcome")} == {f"key {u}" for u in odd}
    found = read(session, experiment)
    assert sum(moments(found, arm).total for arm in ("control", "bigger")) == 2 * SCALE * len(odd)


def test_a_key_is_of_its_metric(session: Session) -> None:
    experiment = register(session, a_definition())
    expose(session, experiment, UNITS)
    unit = BIGGER[0]
    assert record(session, experiment, converted(unit, "o"), paid(unit, 5, "o")).accepted == 2
    found = read(session, experiment)
    assert binary(found, "bigger").successes == 1
    assert moments(found, "bigger").total == 5 * SCALE


def test_outcomes_without_exposure_wait_apart_and_count_once_it_comes(session: Session) -> None:
    experiment = register(session, a_definition())
    record(session, experiment, *(paid(unit, 1) for unit in UNITS))
    found = read(session, experiment)
    assert found.counters["unexposed"] == 40
    assert found.counters["counted"] == 0
    expose(session, experiment, UNITS[:30])
    found = read(session, experiment)
    assert (found.counters["unexposed"], found.counters["counted"]) == (10, 30)
    total = moments(found, "control").total + moments(found, "bigger").total
    assert total == 30 * SCALE


@pytest.mark.parametrize("order", ["exposure first", "outcome first"])
@pytest.mark.parametrize(
    ("happened", "where"),
    [
        (START - CLOCK_SKEW - 1, "early"),
        (START - CLOCK_SKEW, "counted"),
        (START + HOUR, "counted"),
        (START + HOUR + 1, "late"),
    ],
)
def test_an_outcome_counts_within_the_window(
    session: Session, order: str, happened: int, where: str
) -> None:
    experiment = register(session, a_definition())
    if order == "exposure first":
        expose(session, experiment, ["u0"])
    record(session, experiment, paid("u0", 7, at=happened))
    if order == "outcome first":
        expose(session, experiment, ["u0"])
    found = read(session, experiment)
    assert found.counters[where] == 1
    assert moments(found, ARMS["u0"]).total == (7 * SCALE if where == "counted" else 0)


def test_a_unit_seen_on_another_arm_is_a_crossover_and_stays_where_it_was(
    session: Session,
) -> None:
    experiment = register(session, a_definition())
    expose(session, experiment, UNITS)
    unit = BIGGER[0]
    elsewhere = [Exposure(unit, "control", 1, START + SECOND)] * 2
    assert exposures.record(session, experiment, elsewhere).crossed == 1
    assert exposures.record(session, experiment, elsewhere).crossed == 0
    record(session, experiment, converted(unit))
    found = read(session, experiment)
    assert found.epochs[0].arms["bigger"].crossed == 1
    assert found.epochs[0].arms["bigger"].units == len(BIGGER)
    assert binary(found, "bigger").successes == 1


def test_a_unit_that_crosses_in_its_first_batch_is_seen(session: Session) -> None:
    experiment = register(session, a_definition())
    both = [Exposure("u0", "control", 1, START), Exposure("u0", "bigger", 1, START + 1)]
    seen = exposures.record(session, experiment, both)
    assert (seen.new, seen.again, seen.crossed) == (1, 1, 1)
    assert read(session, experiment).epochs[0].arms["control"].crossed == 1


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_any_batches_gives_the_same_sums(session: Session, seed: int) -> None:
    chance = random.Random(seed)
    experiment = register(session, a_definition())
    events: list[Outcome | Exposure] = [
        paid(f"u{chance.randrange(50)}", chance.uniform(-9, 9), f"p{i}") for i in range(150)
    ]
    events += [converted(f"u{chance.randrange(50)}", f"c{i}") for i in range(50)]
    events += [Exposure(f"u{i}", arm_of(f"u{i}"), 1, START) for i in range(45)]
    events += events[:40]
    chance.shuffle(events)
    for kind, batch in itertools.groupby(events, lambda event: isinstance(event, Outcome)):
        if kind:
            record(session, experiment, *(e for e in batch if isinstance(e, Outcome)))
        else:
            exposures.record(session, experiment, [e for e in batch if isinstance(e, Exposure)])
    found = read(session, experiment)
    unique = {(e.metric, e.key): e for e in events if isinstance(e, Outcome)}.values()
    for variant in ("control", "bigger"):
        units = [f"u{i}" for i in range(45) if arm_of(f"u{i}") == variant]
        sums = [
            sum(e.value for e in unique if (e.unit, e.metric) == (unit, "revenue"))
            for unit in units
        ]
        assert moments(found, variant).total == sum(sums)
        assert moments(found, variant).squares == sum(value * value for value in sums)
        done = {e.unit for e in unique if e.metric == "conversion"}
        assert binary(found, variant) == Binary(len(units), len(done & set(units)))


def test_the_ratio_check_gets_units_and_slots(session: Session) -> None:
    experiment = register(session, a_definition())
    expose(session, experiment, UNITS)
    ratio = read(session, experiment).epochs[0].ratio()
    assert ratio is not None
    assert ratio.counts == (len(CONTROL), len(BIGGER))
    assert ratio.weights == (5_000, 5_000)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE tally SET total = '1'", "sums of epoch"),
        ("UPDATE population SET units = units + 1", "units of epoch"),
        ("UPDATE counter SET value = value + 1", "counted"),
        ("DELETE FROM outcome WHERE key = 'p-u1'", "sums of a unit"),
        ("UPDATE unit SET slot = 1 WHERE unit = 'u1'", "slot"),
    ],
)
def test_a_recount_finds_what_was_changed(session: Session, damage: str, words: str) -> None:
    experiment = register(session, a_definition())
    expose(session, experiment, UNITS)
    record(session, experiment, *(paid(unit, 1) for unit in UNITS))
    assert recount.recount(session, experiment).differences == ()
    session.run(damage)
    differences = recount.recount(session, experiment).differences
    assert any(words in each for each in differences), differences


def test_a_recount_reads_more_units_than_it_holds_at_once(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recount, "_AT_ONCE", 7)
    experiment = register(session, a_definition())
    expose(session, experiment, UNITS)
    record(session, experiment, *(paid(unit, 1) for unit in UNITS))
    done = recount.recount(session, experiment)
    assert (done.units, done.outcomes, done.differences) == (40, 40, ())
    assert experiment.definition.epochs[0].table == HALVES

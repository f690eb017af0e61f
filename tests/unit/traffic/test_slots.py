"""The slot table: what may change, and what may not, when weights change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_operator.traffic import slots, weights
from fairlead_operator.traffic.errors import TrafficError
from fairlead_runtime.contract.assignment import MAX_RUNS, SLOTS, Run, Table, arm_of_slot

ARMS = ("control", "a", "b", "c", "d", "e", "f", "g")


def shares(least: int = 1) -> st.SearchStrategy[dict[str, int]]:
    """Return slots per arm that sum to all slots."""

    def of(cuts: list[int]) -> dict[str, int]:
        edges = [0, *sorted(cuts), SLOTS]
        return {ARMS[i]: edges[i + 1] - edges[i] for i in range(len(edges) - 1)}

    return st.lists(st.integers(0, SLOTS), min_size=least, max_size=len(ARMS) - 1).map(of)


def steps(table: Table, wanted: list[dict[str, int]]) -> Table:
    for each in wanted:
        table = slots.change(table, each).table
    return table


def flat(table: Table) -> list[str]:
    return [run.arm for run in table for _ in range(run.slots)]


@given(st.lists(shares(), max_size=6), shares())
def test_a_change_gives_each_arm_exactly_what_is_wanted(
    before: list[dict[str, int]], wanted: dict[str, int]
) -> None:
    change = slots.change(steps(slots.all_to("control"), before), wanted)
    assert slots.counts(change.table) == pytest.approx(
        {arm: n for arm, n in wanted.items() if n}, abs=0
    )
    assert sum(run.slots for run in change.table) == SLOTS


@given(st.lists(shares(), max_size=6), shares())
def test_no_change_moves_more_slots_than_it_must(
    before: list[dict[str, int]], wanted: dict[str, int]
) -> None:
    table = steps(slots.all_to("control"), before)
    change = slots.change(table, wanted)
    had = slots.counts(table)
    must = sum(max(0, n - had.get(arm, 0)) for arm, n in wanted.items())
    differing = sum(a != b for a, b in zip(flat(table), flat(change.table), strict=True))
    assert change.moved == differing == must
    assert not change.compacted


@given(st.lists(shares(), max_size=6), shares())
def test_an_arm_that_grows_loses_nobody_and_one_that_shrinks_gets_nobody(
    before: list[dict[str, int]], wanted: dict[str, int]
) -> None:
    table = steps(slots.all_to("control"), before)
    had = slots.counts(table)
    new = slots.change(table, wanted).table
    for old_arm, new_arm in zip(flat(table), flat(new), strict=True):
        if old_arm != new_arm:
            assert wanted.get(old_arm, 0) < had[old_arm]
            assert wanted[new_arm] > had.get(new_arm, 0)


@given(st.lists(shares(), max_size=6), shares())
def test_a_change_adds_fewer_runs_than_there_are_arms(
    before: list[dict[str, int]], wanted: dict[str, int]
) -> None:
    table = steps(slots.all_to("control"), before)
    assert len(slots.change(table, wanted).table) <= len(table) + len(ARMS) - 1


@given(st.lists(st.integers(0, SLOTS), min_size=1, max_size=40))
def test_two_arms_never_need_more_than_two_runs(candidate: list[int]) -> None:
    table = slots.all_to("control")
    for n in candidate:
        table = slots.change(table, {"control": SLOTS - n, "a": n}).table
        assert len(table) <= 2


@given(st.lists(shares(), max_size=6), shares())
def test_the_same_change_twice_moves_nobody(
    before: list[dict[str, int]], wanted: dict[str, int]
) -> None:
    table = slots.change(steps(slots.all_to("control"), before), wanted).table
    assert slots.change(table, wanted) == slots.Change(table=table, moved=0, compacted=False)


def test_three_arms_that_ramp_keep_every_treated_user() -> None:
    one = slots.change(slots.all_to("control"), {"control": 9800, "a": 100, "b": 100}).table
    five = slots.change(one, {"control": 9000, "a": 500, "b": 500}).table
    for before, after in zip(flat(one), flat(five), strict=True):
        if before != "control":
            assert after == before


def _crumbs(runs: int) -> Table:
    """Return a table of two arms in many small runs, as no sequence of changes easily makes."""
    size = SLOTS // runs
    table = [Run("ab"[i % 2], size) for i in range(runs - 1)]
    return (*table, Run("ab"[(runs - 1) % 2], SLOTS - size * (runs - 1)))


def test_a_table_that_would_have_too_many_runs_is_compacted_and_says_so() -> None:
    table = _crumbs(MAX_RUNS)
    had = slots.counts(table)
    wanted = {"a": had["a"] - 50, "b": had["b"] - 50, "c": 50, "d": 25, "e": 25}
    # The smallest runs are freed whole first; make them all too large for that.
    change = slots.change(table, wanted)
    assert slots.counts(change.table) == wanted
    assert len(change.table) <= MAX_RUNS
    grown = {"a": had["a"] - 7, "b": had["b"], "c": 3, "d": 2, "e": 2}
    change = slots.change(table, grown)
    assert change.compacted
    assert change.moved > 7
    assert slots.counts(change.table) == grown
    assert len(change.table) <= MAX_RUNS // 2 + len(ARMS)


@given(shares(), st.integers(0, SLOTS - 1))
def test_the_arm_of_a_slot_is_the_run_that_it_lies_in(wanted: dict[str, int], slot: int) -> None:
    table = slots.change(slots.all_to("control"), wanted).table
    assert arm_of_slot(table, slot) == flat(table)[slot]


@pytest.mark.parametrize("slot", [-1, SLOTS])
def test_a_slot_outside_the_table_is_refused(slot: int) -> None:
    with pytest.raises(ValueError, match=f"slot {slot}"):
        arm_of_slot(slots.all_to("control"), slot)


@pytest.mark.parametrize(
    "table",
    [(), (Run("a", 9_999),), (Run("a", 10_001),), (Run("a", 0), Run("b", 10_000)), _crumbs(257)],
    ids=["empty", "short", "long", "zero", "runs"],
)
def test_what_is_no_table_is_refused(table: Table) -> None:
    with pytest.raises(TrafficError):
        slots.validate(table)


@given(shares(), st.sampled_from(weights.BASES))
def test_weights_of_any_basis_become_exactly_all_slots(wanted: dict[str, int], basis: int) -> None:
    first = dict.fromkeys(wanted, 0) | {"control": basis}
    assert weights.slots(first)["control"] == SLOTS
    assert sum(weights.slots(wanted).values()) == SLOTS


@pytest.mark.parametrize("weight", [{"a": 50, "b": 49}, {"a": 101, "b": -1}, {}])
def test_weights_that_sum_to_something_else_are_refused(weight: dict[str, int]) -> None:
    with pytest.raises(TrafficError, match="100, 1000 or 10000"):
        weights.slots(weight)


@pytest.mark.parametrize(
    ("slot_count", "mirrored", "needed"),
    [
        (0, 0, 2),
        (100, 0, 2),
        (5_000, 0, 5),
        (5_001, 0, 6),
        (10_000, 0, 10),
        (0, 5_000, 5),
        (9_000, 9_000, 10),
    ],
)
def test_an_arm_needs_its_share_of_the_replicas_at_the_start(
    slot_count: int, mirrored: int, needed: int
) -> None:
    found = weights.replicas_needed(least=2, whole=10, slots=slot_count, mirrored=mirrored)
    assert found == needed

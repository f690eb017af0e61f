"""Slot tables of epochs: what moved and what stayed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead_operator.traffic import slots
from fairlead_recorder.store.events import Epoch, arm_at, moved, slots_that_stayed
from fairlead_runtime.contract.assignment import SLOTS, Run, Table


def epochs(*tables: Table) -> list[Epoch]:
    return [Epoch(number=i + 1, started=i, table=table) for i, table in enumerate(tables)]


def test_slots_that_moved_back_have_still_moved() -> None:
    half, all_ = (Run("a", 5_000), Run("b", 5_000)), (Run("a", SLOTS),)
    found = slots_that_stayed(epochs(half, all_, half))
    assert found == [{"a": 5_000}, {"a": 5_000}, {"a": 5_000, "b": 5_000}]


def test_ranges_that_moved_name_their_new_arm() -> None:
    before = (Run("a", 5_000), Run("b", 5_000))
    after = (Run("a", 1_000), Run("c", 4_000), Run("b", 5_000))
    assert moved(before, after) == [(1_000, 5_000, "c")]
    assert moved(before, before) == []


def test_a_slot_beyond_a_table_has_no_arm() -> None:
    assert arm_at((Run("a", 10),), 9) == "a"
    assert arm_at((Run("a", 10),), 10) is None


weights = st.lists(st.integers(1, 100), min_size=3, max_size=3)


@given(st.lists(weights, min_size=1, max_size=4))
def test_the_ranges_agree_with_each_slot_alone(ramp: list[list[int]]) -> None:
    table = slots.all_to("x")
    tables = []
    for shares in ramp:
        whole = sum(shares)
        counts = [share * SLOTS // whole for share in shares]
        counts[0] += SLOTS - sum(counts)
        table = slots.change(table, dict(zip("xyz", counts, strict=True))).table
        tables.append(table)
    by_slot = [[arm_at(each, slot) for slot in range(0, SLOTS, 37)] for each in tables]
    for before, after, one, two in zip(tables, tables[1:], by_slot, by_slot[1:], strict=False):
        ranges = moved(before, after)
        for index, slot in enumerate(range(0, SLOTS, 37)):
            inside = [arm for low, high, arm in ranges if low <= slot < high]
            assert inside == ([two[index]] if one[index] != two[index] else [])
    stayed = slots_that_stayed(epochs(*tables))
    assert sum(stayed[-1].values()) == SLOTS
    assert all(sum(found.values()) <= SLOTS for found in stayed)

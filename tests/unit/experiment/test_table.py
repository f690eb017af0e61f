"""The slot table with the epoch of each run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_operator.experiment.table import AgedRun, begin, change, is_whole, kept, plain
from fairlead_operator.traffic import slots
from fairlead_runtime.contract.assignment import SLOTS

ARMS = ("control", "bigger", "small")


def wanted(*shares: int) -> dict[str, int]:
    return dict(zip(ARMS, shares, strict=True))


def by_slot(aged: tuple[AgedRun, ...]) -> list[tuple[str, int]]:
    return [(run.arm, run.epoch) for run in aged for _ in range(run.slots)]


def test_the_first_table_is_all_of_epoch_one() -> None:
    table = begin(wanted(9000, 500, 500))
    assert {run.epoch for run in table} == {1}
    assert kept(table, 1, ARMS) == (9000, 500, 500)


def test_of_a_ramp_the_slots_that_stayed_are_told_by_epoch() -> None:
    table = change(begin(wanted(9000, 1000, 0)), wanted(5000, 5000, 0), 2)
    assert kept(table, 1, ARMS) == (5000, 1000, 0)
    assert kept(table, 2, ARMS) == (5000, 5000, 0)


def test_a_slot_that_comes_back_is_not_kept() -> None:
    table = begin(wanted(5000, 5000, 0))
    table = change(table, wanted(9000, 1000, 0), 2)
    table = change(table, wanted(5000, 5000, 0), 3)
    assert kept(table, 1, ARMS) == (5000, 1000, 0)
    assert kept(table, 2, ARMS) == (5000, 1000, 0)
    assert kept(table, 3, ARMS) == (5000, 5000, 0)


@pytest.mark.parametrize(
    ("first", "second", "moved", "crossed"),
    [
        ((9800, 100, 100), (9000, 500, 500), 800, 0),
        ((9000, 500, 500), (3400, 3300, 3300), 5600, 0),
        ((5000, 3000, 2000), (5000, 1000, 4000), 2000, 2000),
    ],
    ids=["ramp up", "to even", "from one to another"],
)
def test_as_many_slots_move_as_have_to(
    first: tuple[int, int, int], second: tuple[int, int, int], moved: int, crossed: int
) -> None:
    """The known answers of `ramp_reassignment_two_layer_and_slots`."""
    before = begin(wanted(*first))
    after = change(before, wanted(*second), 2)
    pairs = list(zip(by_slot(before), by_slot(after), strict=True))
    assert sum(was[0] != now[0] for was, now in pairs) == moved
    assert sum("control" not in (was[0], now[0]) and was[0] != now[0] for was, now in pairs) == (
        crossed
    )


SHARES = st.lists(st.integers(0, SLOTS), min_size=2, max_size=2).map(
    lambda cuts: (min(cuts), max(cuts) - min(cuts), SLOTS - max(cuts))
)


@given(st.lists(SHARES, min_size=1, max_size=5))
def test_epochs_are_those_of_a_slot_by_slot_recount(steps: list[tuple[int, int, int]]) -> None:
    table = begin(wanted(*steps[0]))
    naive = by_slot(table)
    for epoch, shares in enumerate(steps[1:], start=2):
        table = change(table, wanted(*shares), epoch)
        arms = [run.arm for run in plain(table) for _ in range(run.slots)]
        naive = [
            (arm, since if arm == was else epoch)
            for arm, (was, since) in zip(arms, naive, strict=True)
        ]
        assert is_whole(table)
        assert by_slot(table) == naive
        assert slots.counts(plain(table)) == {k: v for k, v in wanted(*shares).items() if v}
        assert kept(table, epoch, ARMS) == shares


@given(st.lists(SHARES, min_size=2, max_size=8))
def test_what_was_kept_only_shrinks_and_never_passes_what_an_epoch_had(
    steps: list[tuple[int, int, int]],
) -> None:
    table = begin(wanted(*steps[0]))
    before: list[tuple[int, ...]] = [steps[0]]
    for epoch, shares in enumerate(steps[1:], start=2):
        table = change(table, wanted(*shares), epoch)
        now = [kept(table, number, ARMS) for number in range(1, epoch)]
        assert all(
            new <= old
            for mine, theirs in zip(now, before, strict=True)
            for new, old in zip(mine, theirs, strict=True)
        )
        before = [*now, shares]

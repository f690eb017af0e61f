"""The sliding window: long and full enough, never larger, the same minutes everywhere."""

from __future__ import annotations

import pytest

from fairlead_runtime.drift.counter import Counter
from fairlead_runtime.drift.window import KEPT, PERIOD_S, WINDOW_ROWS, WINDOW_S, Sliding
from tests.unit.runtime.drifting import a_profile, rows

COUNTER = Counter(a_profile())


def fed(rows_a_minute: int, minutes: int, start_s: float = 0.0) -> Sliding:
    """Return a window after so much traffic, four times a minute."""
    window = Sliding(COUNTER.layout, start_s)
    inputs, outputs = rows(rows_a_minute // 4)
    for quarter in range(minutes * 4):
        now = start_s + quarter * 15
        COUNTER.count(inputs, outputs, window.current(now))
    return window


def test_a_busy_window_is_five_minutes_and_what_has_begun() -> None:
    window = fed(400, 30)
    assert [each.rows for each in window.closed()] == [400] * 5
    assert window.closed()[0].start_s == 24 * 60
    assert window.rows == 2400
    whole = window.whole(30 * 60 - 1)
    assert whole.rows == 2400
    assert whole.end_s - whole.start_s >= WINDOW_S


@pytest.mark.parametrize("rows_a_minute", [4, 20, 100, 180])
def test_a_slow_window_is_as_long_as_a_thousand_rows_take(rows_a_minute: int) -> None:
    window = fed(rows_a_minute, 600)
    assert WINDOW_ROWS <= window.rows <= 2 * WINDOW_ROWS + rows_a_minute
    assert len(window.closed()) <= KEPT


def test_the_memory_stays_the_same() -> None:
    slow = [fed(20, minutes).nbytes for minutes in (60, 300)]
    assert slow[0] == slow[1]


def test_the_newest_sub_windows_are_never_merged() -> None:
    closed = fed(20, 300).closed()
    for each in closed[-3:]:
        assert each.end_s - each.start_s == PERIOD_S


def test_sub_windows_begin_with_the_clocks_minutes_wherever_a_replica_began() -> None:
    early, late = fed(400, 8, start_s=7.0), fed(400, 8, start_s=44.0)
    for window in (early, late):
        window.roll(9 * 60.0)
    starts = [{each.start_s for each in window.closed()} for window in (early, late)]
    assert starts[0] < starts[1]  # it has seen a minute more
    assert all(each.start_s % PERIOD_S == 0 for each in early.closed())


def test_minutes_without_rows_leave_no_sub_window() -> None:
    window = fed(400, 2)
    COUNTER.count(*rows(100), window.current(3600.0))
    assert [each.start_s for each in window.closed()] == [0.0, 60.0]
    assert window.rows == 900


def test_a_clock_that_goes_back_loses_nothing() -> None:
    window = fed(400, 3)
    COUNTER.count(*rows(100), window.current(1.0))
    assert window.rows == 1300


def test_a_clock_that_is_set_back_takes_the_sub_windows_with_it() -> None:
    day = 86400.0
    window = fed(400, 30, start_s=day)
    bounds = [each.end_s - each.start_s for each in window.closed()]
    COUNTER.count(*rows(100), window.current(610.0))
    assert window.rows == 2500
    assert [each.end_s - each.start_s for each in window.closed()] == bounds
    assert window.closed()[-1].end_s == 600.0
    for minute in range(11, 22):
        COUNTER.count(*rows(400), window.current(minute * 60.0))
    assert [each.start_s for each in window.closed()][-5:] == [
        60.0 * each for each in range(16, 21)
    ]
    assert window.rows <= 2800, "the window slides"
    assert window.ever(21 * 60.0).rows == 30 * 400 + 100 + 11 * 400


def test_counts_since_the_beginning_only_grow() -> None:
    window = Sliding(COUNTER.layout, 7.0)
    nothing = window.ever(9.0)
    assert (nothing.start_s, nothing.end_s, nothing.rows) == (0.0, 9.0, 0)
    for minute in range(10, 40):
        COUNTER.count(*rows(400), window.current(minute * 60.0))
    assert window.rows < 3000
    ever = window.ever(40 * 60.0)
    assert (ever.start_s, ever.end_s, ever.rows) == (600.0, 2400.0, 30 * 400)
    assert {each.rows for each in ever.features} == {30 * 400}


def test_old_rows_go_once_new_ones_fill_the_window() -> None:
    window = fed(4000, 2)
    for minute in range(10, 16):
        COUNTER.count(*rows(400), window.current(minute * 60.0))
    assert window.closed()[0].start_s == 600.0


def test_what_has_begun_is_shown_by_itself() -> None:
    window = Sliding(COUNTER.layout, 0.0)
    assert window.open(0.0) is None
    assert window.whole(0.0).rows == 0
    COUNTER.count(*rows(10), window.current(5.0))
    current = window.open(5.0)
    assert current is not None
    assert (current.start_s, current.end_s, current.rows) == (0.0, 5.0, 10)

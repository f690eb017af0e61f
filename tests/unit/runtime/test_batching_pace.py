"""Where batches run and when, going by how the last ones went; no clock, no loop."""

from __future__ import annotations

import pytest

from fairlead_runtime.batching.pace import FAST_IN_A_ROW, Pace

QUICK, FAST, SLOW = 1e-5, 1e-3, 0.02  # seconds of a batch


def slow_in_a_row(pace: Pace, count: int) -> None:
    for _ in range(count):
        pace.ran_inline(SLOW, rows=1)


def test_three_slow_batches_in_a_row_leave_the_event_loop() -> None:
    pace = Pace(inline=True, adapts=True)
    slow_in_a_row(pace, 2)
    pace.ran_inline(FAST, rows=1)
    slow_in_a_row(pace, 2)
    assert pace.inline
    slow_in_a_row(pace, 1)
    assert not pace.inline


def test_a_model_that_was_slow_for_a_while_goes_back_and_has_longer_to_prove_itself_each_time() -> (
    None
):
    pace = Pace(inline=True, adapts=True)
    for patience in (FAST_IN_A_ROW, 2 * FAST_IN_A_ROW, 4 * FAST_IN_A_ROW):
        slow_in_a_row(pace, 3)
        for _ in range(patience - 1):
            pace.ran_in_thread(FAST)
        assert not pace.inline
        pace.ran_in_thread(SLOW)  # and all over again
        for _ in range(patience - 1):
            pace.ran_in_thread(FAST)
        assert not pace.inline
        pace.ran_in_thread(FAST)
        assert pace.inline


@pytest.mark.parametrize(("inline", "adapts"), [(True, False), (False, True), (False, False)])
def test_what_is_asked_for_or_was_slow_in_the_trial_stays(inline: bool, adapts: bool) -> None:
    pace = Pace(inline=inline, adapts=adapts)
    slow_in_a_row(pace, 10)
    for _ in range(10 * FAST_IN_A_ROW):
        pace.ran_in_thread(QUICK)
    assert pace.inline is inline


def test_a_full_batch_runs_at_once_only_where_the_model_is_quick() -> None:
    pace = Pace(inline=True, adapts=True)
    assert not pace.at_once(full=True, gathering=False)  # nothing is known yet
    pace.ran_inline(FAST, rows=64)
    assert not pace.at_once(full=True, gathering=False)
    pace.ran_inline(QUICK, rows=64)
    assert pace.at_once(full=True, gathering=True)
    assert not pace.at_once(full=False, gathering=False)


def test_a_client_alone_is_not_gathered_with_others_but_for_a_look_now_and_then() -> None:
    pace = Pace(inline=True, adapts=True)
    pace.ran_inline(QUICK, rows=1)
    for _ in range(32):
        assert not pace.at_once(full=False, gathering=False)
        pace.gathered(1)
    assert not pace.at_once(full=False, gathering=True)
    found = [pace.at_once(full=False, gathering=False) for _ in range(80)]
    assert found.count(False) == 10
    pace.gathered(2)
    assert not pace.at_once(full=False, gathering=False)

"""Token buckets."""

from __future__ import annotations

from fairlead_recorder.http import rates
from fairlead_recorder.http.rates import Rates


def test_a_writer_gets_its_rate_and_no_more() -> None:
    made = Rates(per_second=10, burst=20)
    taken = 0
    for tick in range(1_000):
        if made.take("web", 5, tick / 10) == 0:
            taken += 5
    assert 100 * 10 <= taken <= 100 * 10 + 20 + 5


def test_a_batch_larger_than_the_burst_passes_and_the_next_one_waits_for_it() -> None:
    made = Rates(per_second=10, burst=20)
    assert made.take("web", 100, 0) == 0
    wait = made.take("web", 1, 0)
    assert wait == 9
    assert made.take("web", 1, wait) == 0


def test_writers_do_not_take_from_each_other_and_are_bounded() -> None:
    made = Rates(per_second=1, burst=1)
    assert made.take("one", 10, 0) == 0
    assert made.take("two", 10, 0) == 0
    for i in range(rates._MOST_WRITERS + 10):
        made.take(f"w{i}", 1, 0)
    assert len(made._buckets) == rates._MOST_WRITERS

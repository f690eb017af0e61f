"""Counts of arms add up."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from fairlead_operator.stats.histogram import Histogram
from fairlead_operator.traffic.counts import Counts, Differences, Window, coarser, p99_ms


def test_counts_of_two_pods_add_up_field_by_field() -> None:
    one = Counts(
        requests=10,
        errors=1,
        client_errors=2,
        latency=Histogram((1.0, 2.0), (7, 2, 1)),
        predictions=9,
        non_finite=3,
        restarts=1,
        oom_kills=1,
    )
    other = Counts(requests=5, latency=Histogram((1.0, 2.0), (5, 0, 0)))
    assert one + other == Counts(
        requests=15,
        errors=1,
        client_errors=2,
        latency=Histogram((1.0, 2.0), (12, 2, 1)),
        predictions=9,
        non_finite=3,
        restarts=1,
        oom_kills=1,
    )


def test_a_pod_without_latency_does_not_lose_anothers() -> None:
    measured = Counts(requests=1, latency=Histogram((1.0,), (1, 0)))
    assert (measured + Counts(requests=2)).latency == measured.latency
    assert (Counts(requests=2) + measured).latency == measured.latency


def test_latencies_with_other_buckets_are_added_in_those_that_both_have() -> None:
    one = Counts(latency=Histogram((1.0, 2.0, 5.0), (1, 2, 3, 4)))
    other = Counts(latency=Histogram((1.0, 3.0, 5.0), (10, 20, 30, 40)))
    assert (one + other).latency == Histogram((1.0, 5.0), (11, 55, 44))


@given(st.lists(st.integers(0, 99), min_size=6, max_size=6), st.sets(st.integers(0, 4)))
def test_fewer_buckets_say_the_same_at_the_edges_that_are_left(
    counts: list[int], kept: set[int]
) -> None:
    edges = (1.0, 2.0, 3.0, 4.0, 5.0)
    fine = Histogram(edges, tuple(counts))
    coarse = coarser(fine, tuple(edges[index] for index in sorted(kept)))
    assert coarse.count == fine.count
    for edge in coarse.edges:
        assert coarse.above(edge).surely == fine.above(edge).surely


def test_a_p99_is_the_upper_edge_of_its_bucket_or_unknown() -> None:
    edges = (1.0, 12.1, 60.0)
    assert p99_ms(Counts(latency=Histogram(edges, (99, 1, 0, 0)))) == 1
    assert p99_ms(Counts(latency=Histogram(edges, (98, 2, 0, 0)))) == 13
    assert p99_ms(Counts(latency=Histogram(edges, (0, 0, 0, 5)))) is None
    assert p99_ms(Counts(latency=Histogram(edges, (0, 0, 0, 0)))) is None
    assert p99_ms(Counts()) is None


def test_a_rate_needs_a_window() -> None:
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    end = begin + dt.timedelta(seconds=20)
    window = Window(begin=begin, end=end, served={"a": Counts(requests=50)})
    assert window.requests_per_second("a") == 2.5
    assert window.requests_per_second("b") is None
    assert Window(begin=begin, end=begin, served=window.served).requests_per_second("a") is None


def test_differences_add_up_and_the_largest_stays() -> None:
    one = Differences(pairs=1, rows=2, differing_rows=1, differing_labels=1, largest=0.5)
    other = Differences(pairs=3, largest=0.25, unmatched=1, ambiguous=2, mismatched=1)
    both = one + other
    assert (both.pairs, both.rows, both.differing_rows, both.differing_labels) == (4, 2, 1, 1)
    assert (both.largest, both.unmatched, both.ambiguous, both.mismatched) == (0.5, 1, 2, 1)

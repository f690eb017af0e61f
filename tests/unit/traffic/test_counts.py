"""Counts of arms add up."""

from __future__ import annotations

import pytest

from fairlead_operator.stats.histogram import Histogram
from fairlead_operator.traffic.counts import Counts


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


def test_latencies_with_other_buckets_are_refused() -> None:
    with pytest.raises(ValueError, match="different bucket edges"):
        Counts(latency=Histogram((1.0,), (1, 0))) + Counts(latency=Histogram((2.0,), (1, 0)))

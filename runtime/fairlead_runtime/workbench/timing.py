"""Measures how long a call takes, and says it in numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What a number of calls, one after the other, took.

    Attributes:
        runs: How many calls.
        total_time_ms: All of them.
        avg_latency_ms: One, on average.
        throughput_rps: Calls in a second.
        rows_per_s: Rows in a second: calls times the batch size.
        min_ms: The fastest.
        p50_ms: Half took at most this.
        p90_ms: 90 % took at most this.
        p95_ms: 95 % took at most this.
        p99_ms: 99 % took at most this.
        max_ms: The slowest.
    """

    runs: int
    total_time_ms: float
    avg_latency_ms: float
    throughput_rps: float
    rows_per_s: float
    min_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


def repeat(
    call: Callable[[], object], *, runs: int, seconds: float, least: int = 1
) -> tuple[float, ...]:
    """Call again and again; return the seconds of each.

    Args:
        call: What is measured.
        runs: Most calls.
        seconds: After these no further call is made.
        least: Calls that are made even when the time is over.
    """
    taken: list[float] = []
    clock = time.perf_counter
    end = clock() + seconds
    while len(taken) < runs:
        started = clock()
        if started >= end and len(taken) >= least:
            break
        call()
        taken.append(clock() - started)
    return tuple(taken)


def summarise(taken_s: Sequence[float], *, rows: int = 1) -> Timing:
    """Return the numbers of at least one call, each of that many rows."""
    values = np.asarray(taken_s, dtype=np.float64) * 1e3
    total = float(values.sum())
    p50, p90, p95, p99 = (float(value) for value in np.percentile(values, (50, 90, 95, 99)))
    rate = len(values) * 1e3 / total if total > 0 else float("inf")
    return Timing(
        runs=len(values),
        total_time_ms=total,
        avg_latency_ms=total / len(values),
        throughput_rps=rate,
        rows_per_s=rate * rows,
        min_ms=float(values.min()),
        p50_ms=p50,
        p90_ms=p90,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=float(values.max()),
    )

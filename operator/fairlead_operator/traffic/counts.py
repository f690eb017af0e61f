"""What an arm did in a window, as counts that add up: over pods, over restarts, over windows.

Whoever judges gets these and never a rate: a rate cannot be merged, and its sample size is lost.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from fairlead_operator.stats.histogram import Histogram

STALE_AFTER_S = 30.0
"""Counts that are older pass nothing, where nobody says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the pods of one arm did with the requests that they got.

    Attributes:
        requests: Finished requests that this arm's own pods answered, or failed to answer. What
            the control answered for an arm without pods is not among them.
        errors: Those of them that failed: HTTP 5xx, reset, timeout, and the gRPC statuses UNKNOWN,
            DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE and DATA_LOSS. A request
            that was tried again counts as failed.
        client_errors: HTTP 4xx, and gRPC statuses that blame the caller.
        latency: Milliseconds of the requests, in buckets; None where nothing was measured.
        predictions: Predictions whose numbers were looked at.
        non_finite: Those of them that hold NaN or an infinity.
        restarts: Containers that ended and were started again.
        oom_kills: Those of them that were killed because they needed more memory than allowed.
    """

    requests: int = 0
    errors: int = 0
    client_errors: int = 0
    latency: Histogram | None = None
    predictions: int = 0
    non_finite: int = 0
    restarts: int = 0
    oom_kills: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Return the sum; histograms with different edges are brought to those that both have."""
        latency = self.latency if other.latency is None else other.latency
        if self.latency is not None and other.latency is not None:
            common = tuple(sorted({*self.latency.edges} & {*other.latency.edges}))
            latency = coarser(self.latency, common) + coarser(other.latency, common)
        return Counts(
            requests=self.requests + other.requests,
            errors=self.errors + other.errors,
            client_errors=self.client_errors + other.client_errors,
            latency=latency,
            predictions=self.predictions + other.predictions,
            non_finite=self.non_finite + other.non_finite,
            restarts=self.restarts + other.restarts,
            oom_kills=self.oom_kills + other.oom_kills,
        )


def coarser(histogram: Histogram, edges: tuple[float, ...]) -> Histogram:
    """Return a histogram with some of its own edges only: exact, for buckets are summed.

    Raises:
        ValueError: An edge is not among its own.
    """
    if edges == histogram.edges:
        return histogram
    kept = [histogram.edges.index(edge) for edge in edges]
    bounds = [0, *(index + 1 for index in kept), len(histogram.counts)]
    counts = tuple(sum(histogram.counts[low:high]) for low, high in pairwise(bounds))
    return Histogram(edges, counts)


def p99_ms(counts: Counts) -> int | None:
    """Return the upper edge of the bucket that holds the p99, rounded up; None where none does."""
    bounds = None if counts.latency is None else counts.latency.quantile_bounds(0.99)
    return None if bounds is None or math.isinf(bounds.high) else math.ceil(bounds.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """How the answers of two revisions to the same requests differ; sums over time.

    Attributes:
        pairs: Requests that both answered.
        rows: Rows of these answers.
        differing_rows: Rows with another label, or with a number beyond the tolerance.
        differing_labels: Rows with another label: an integer, a truth value or a text.
        largest: The largest distance of two numbers, in the unit of the outputs; infinite where
            one of the two is no finite number.
        unmatched: Answers of the control without the other's in time: it failed, or was too slow.
        ambiguous: Requests whose id came twice, so that nobody knows which answers belong together.
        mismatched: Pairs whose outputs have other names or shapes; they count no rows.
    """

    pairs: int = 0
    rows: int = 0
    differing_rows: int = 0
    differing_labels: int = 0
    largest: float = 0.0
    unmatched: int = 0
    ambiguous: int = 0
    mismatched: int = 0

    def __add__(self, other: Differences) -> Differences:
        return Differences(
            pairs=self.pairs + other.pairs,
            rows=self.rows + other.rows,
            differing_rows=self.differing_rows + other.differing_rows,
            differing_labels=self.differing_labels + other.differing_labels,
            largest=max(self.largest, other.largest),
            unmatched=self.unmatched + other.unmatched,
            ambiguous=self.ambiguous + other.ambiguous,
            mismatched=self.mismatched + other.mismatched,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What all arms did between two instants, under one and the same split.

    Attributes:
        begin: When counting began.
        end: When the last counts were read; of several pods the instant of the oldest reading.
        arms: Counts of users' requests by the arm's key, as the routers saw them.
        mirrored: Counts of copies by the key of the arm that got them.
        served: What the arm's pods say of themselves, users' requests and copies together; also
            without a router. Their errors hold what the caller did wrong; not to be judged by.
        unread: Ready pods that could not be read at `end`: what they counted since is missing.
        stale_after_s: How old `end` may be, in seconds: older counts pass nothing.
        trouble: Why `end` stays where it was; empty where the counts could be asked for.
    """

    begin: dt.datetime
    end: dt.datetime
    arms: Mapping[str, Counts] = field(default_factory=dict)
    mirrored: Mapping[str, Counts] = field(default_factory=dict)
    served: Mapping[str, Counts] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    stale_after_s: float = STALE_AFTER_S
    trouble: str = ""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end - self.begin).total_seconds()

    def requests_per_second(self, arm: str) -> float | None:
        """Return what an arm's pods answered a second; None where the window is empty."""
        counts = self.served.get(arm)
        return None if counts is None or self.seconds <= 0 else counts.requests / self.seconds

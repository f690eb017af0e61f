"""Latency limits judged on bucket counts: a p99 limit is a limit on the share above an edge.

No quantile is estimated. "p99 at most 60 ms" says that at most 1 % of the requests take longer, and
how many did is an exact count where 60 ms is a bucket's edge. The share then goes through the
tests for rates (`eprocess.against_limit`).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

from fairlead_operator.stats.aggregates import Binary, Interval, check_share


@dataclass(frozen=True, slots=True)
class Above:
    """Requests above a limit, as well as the buckets can tell.

    Attributes:
        surely: Requests whose bucket begins at or above the limit. Condemn on these.
        possibly: The same and those of the bucket that the limit cuts. Acquit on these.
        edges: The bucket edges used for `possibly` (low) and `surely` (high); both are the limit
            where it is an edge. The high one is infinite where no edge reaches the limit.
    """

    surely: Binary
    possibly: Binary
    edges: Interval


@lru_cache(maxsize=64)
def _check_edges(edges: tuple[float, ...]) -> None:
    """Refuse edges that make no buckets; the same few come again with every count."""
    if any(not low < high for low, high in pairwise(edges)):
        raise ValueError(f"bucket edges must rise: {edges}")
    if any(not math.isfinite(edge) for edge in edges):
        raise ValueError(f"bucket edges must be finite: {edges}")


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts per bucket, as a Prometheus histogram has them, but not cumulative.

    Attributes:
        edges: Upper edges of the buckets (inclusive), rising; the last bucket has none.
        counts: Counts per bucket: one more than there are edges.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.edges) + 1:
            raise ValueError(
                f"{len(self.edges)} edges make {len(self.edges) + 1} buckets, not "
                f"{len(self.counts)}: leave the infinite edge out and keep its count"
            )
        _check_edges(self.edges)
        if self.counts and min(self.counts) < 0:
            raise ValueError("a bucket's count cannot be negative: is this a counter's reset?")

    @classmethod
    def from_cumulative(cls, edges: tuple[float, ...], cumulative: tuple[int, ...]) -> Histogram:
        """Return the histogram of cumulative counts, the last of which counts everything.

        Raises:
            ValueError: The counts fall, or their number does not fit the edges.
        """
        previous = (0, *cumulative[:-1])
        return cls(edges, tuple(b - a for a, b in zip(previous, cumulative, strict=True)))

    def __add__(self, other: Histogram) -> Histogram:
        if self.edges != other.edges:
            raise ValueError("histograms with different bucket edges cannot be added")
        return Histogram(
            self.edges, tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        )

    @property
    def count(self) -> int:
        """How many values were counted."""
        return sum(self.counts)

    def above(self, limit: float) -> Above:
        """Return how many values lie above the limit, from below and from above."""
        upper = bisect_left(self.edges, limit)
        lower = bisect_right(self.edges, limit) - 1
        total = self.count
        surely = sum(self.counts[upper + 1 :])
        possibly = sum(self.counts[lower + 1 :])
        return Above(
            surely=Binary(total, surely),
            possibly=Binary(total, possibly),
            edges=Interval(
                self.edges[lower] if lower >= 0 else -math.inf,
                self.edges[upper] if upper < len(self.edges) else math.inf,
            ),
        )

    def quantile_bounds(self, share: float) -> Interval | None:
        """Return the bucket that holds a quantile (0.99 for the p99), None without values.

        Raises:
            ValueError: The share is not between 0 and 1.
        """
        check_share(share, "a quantile")
        rank = math.ceil(share * self.count)
        if rank == 0:
            return None
        index = bisect_left(list(accumulate(self.counts)), rank)
        return Interval(
            self.edges[index - 1] if index else -math.inf,
            self.edges[index] if index < len(self.edges) else math.inf,
        )

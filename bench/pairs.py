"""What pairs of neighbouring rounds say: a median, its interval, and whether an aim is met."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A median with bounds that hold whatever the values' distribution is."""

    low: float
    median: float
    high: float
    count: int

    def verdict(self, most: float) -> str:
        """Return whether what was measured is at most this: met, missed, or neither for sure."""
        if math.isinf(self.high):
            return "too few pairs"
        if self.high <= most:
            return "met"
        return "missed" if self.low > most else "within the interval"


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the median and the two values between which it lies with this confidence at least.

    The number of values below the true median is binomial with one half, whatever they are spread
    like (the sign test turned around). Fewer than six say nothing at 95 %: the bounds are infinite.
    """
    ranked, count = sorted(values), len(values)
    rank, below = 0, 0.0
    while rank < count // 2:
        below += math.comb(count, rank) / 2**count
        if 2 * below > 1 - confidence:
            break
        rank += 1
    return Interval(
        low=ranked[rank - 1] if rank else -math.inf,
        median=statistics.median(ranked) if ranked else math.nan,
        high=ranked[count - rank] if rank else math.inf,
        count=count,
    )

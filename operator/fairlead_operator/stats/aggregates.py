"""What is counted for an arm: a few sums that add up over replicas, epochs and restarts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol


def check_share(value: float, name: str) -> float:
    """Return the value where it lies strictly between 0 and 1.

    Raises:
        ValueError: It does not.
    """
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1 (5 % is 0.05), not {value!r}")
    return value


@dataclass(frozen=True, slots=True)
class Interval:
    """A range of values; an end may be infinite.

    Attributes:
        low: The smallest value in it.
        high: The largest.
    """

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    @property
    def width(self) -> float:
        """The distance between the ends."""
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number that was measured, and how far off it may be.

    Attributes:
        value: The measured number, in the unit of the metric.
        standard_error: The standard deviation of `value`, same unit; 0 where nothing varied.
    """

    value: float
    standard_error: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and math.isfinite(self.standard_error)):
            raise ValueError(f"an estimate must be finite, not {self!r}")
        if self.standard_error < 0:
            raise ValueError(f"a standard error cannot be negative: {self.standard_error!r}")


def difference(control: Estimate | None, treatment: Estimate | None) -> Estimate | None:
    """Return treatment minus control, of independent estimates; None where one is undefined."""
    if control is None or treatment is None:
        return None
    return Estimate(
        treatment.value - control.value,
        math.hypot(control.standard_error, treatment.standard_error),
    )


class Aggregate(Protocol):
    """What both kinds of aggregate can tell."""

    @property
    def count(self) -> int:
        """How many units were counted."""

    def estimate(self) -> Estimate | None:
        """Return the mean with its standard error, or None where it is undefined."""


@dataclass(frozen=True, slots=True)
class Binary:
    """Units of an arm and how many of them succeeded.

    Attributes:
        count: Units seen.
        successes: Those with the outcome; between 0 and `count`.
    """

    count: int = 0
    successes: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.count:
            raise ValueError(
                f"successes must lie between 0 and the count: {self.successes} of {self.count}"
            )

    def __add__(self, other: Binary) -> Binary:
        return Binary(self.count + other.count, self.successes + other.successes)

    @property
    def failures(self) -> int:
        """Units without the outcome."""
        return self.count - self.successes

    @property
    def rate(self) -> float | None:
        """The share of successes, None without units."""
        return self.successes / self.count if self.count else None

    def estimate(self) -> Estimate | None:
        """Return the rate with standard error sqrt(p(1-p)/n), or None without units."""
        rate = self.rate
        if rate is None:
            return None
        return Estimate(rate, math.sqrt(rate * (1 - rate) / self.count))

    def moments(self) -> Moments:
        """Return the same units as zeros and ones."""
        return Moments(self.count, self.successes, self.successes)


@dataclass(frozen=True, slots=True)
class Moments:
    """Units of an arm with a value each.

    The sums may be ints, which keeps them exact at any size. Of floats far from zero the sum of
    squares loses digits as it is built: record such a metric with an offset.

    Attributes:
        count: Units seen.
        total: The sum of their values.
        squares: The sum of the squares of their values.
    """

    count: int = 0
    total: float = 0
    squares: float = 0

    def __post_init__(self) -> None:
        if self.count < 0 or self.squares < 0:
            raise ValueError(f"a count and a sum of squares cannot be negative: {self!r}")
        if not (math.isfinite(self.total) and math.isfinite(self.squares)):
            raise ValueError(f"sums must be finite: {self!r}")
        if self.count == 0 and (self.total or self.squares):
            raise ValueError(f"no units, but a sum: {self!r}")

    @classmethod
    def of(cls, values: Iterable[float]) -> Moments:
        """Return the aggregate of single values."""
        listed = list(values)
        return cls(len(listed), math.fsum(listed), math.fsum(value * value for value in listed))

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.count + other.count, self.total + other.total, self.squares + other.squares
        )

    @property
    def mean(self) -> float | None:
        """The average value, None without units."""
        return self.total / self.count if self.count else None

    @property
    def variance(self) -> float | None:
        """The sample variance (n-1), None with fewer than two units.

        n * squares - total^2 is computed exactly: in floats it cancels where the mean is large.
        """
        if self.count < 2:
            return None
        spread = Fraction(self.squares) * self.count - Fraction(self.total) ** 2
        return max(0.0, float(spread / (self.count * (self.count - 1))))

    def estimate(self) -> Estimate | None:
        """Return the mean with its standard error, or None with fewer than two units."""
        mean, variance = self.mean, self.variance
        if mean is None or variance is None:
            return None
        return Estimate(mean, math.sqrt(variance / self.count))

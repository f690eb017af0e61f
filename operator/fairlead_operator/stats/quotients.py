"""A sum over another sum of the same units: revenue per visit, clicks per view."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

from fairlead_operator.stats.aggregates import Estimate, Moments


@dataclass(frozen=True, slots=True)
class Quotient:
    """Units of an arm with two values each, whose sums are divided.

    A unit's visits are no independent draws, units are: so the variance is taken over units.

    Attributes:
        numerator: The units' first values.
        denominator: Their second values.
        together: Their sums of both, which tell how the two vary together:
            (x + y)^2 = x^2 + 2xy + y^2.
    """

    numerator: Moments = field(default_factory=Moments)
    denominator: Moments = field(default_factory=Moments)
    together: Moments = field(default_factory=Moments)

    def __post_init__(self) -> None:
        counts = {self.numerator.count, self.denominator.count, self.together.count}
        if len(counts) > 1:
            raise ValueError(f"all three sums must be of the same units: {self!r}")

    def __add__(self, other: Quotient) -> Quotient:
        return Quotient(
            self.numerator + other.numerator,
            self.denominator + other.denominator,
            self.together + other.together,
        )

    @property
    def count(self) -> int:
        """Units seen."""
        return self.numerator.count

    @property
    def mean(self) -> float | None:
        """The quotient of the sums, None where the second is not positive."""
        if self.denominator.total <= 0:
            return None
        return self.numerator.total / self.denominator.total

    def estimate(self) -> Estimate | None:
        """Return the quotient with its standard error, or None where it is undefined.

        By the delta method: the variance of x - R y over units, divided by the square of the mean
        of y (Deng, Knoblich and Lu, KDD 2018, 233). With R the quotient itself those residuals sum
        to 0, so that their variance is their sum of squares over n - 1; computed exactly, because
        in floats it cancels.
        """
        mean, count = self.mean, self.count
        if mean is None or count < 2:
            return None
        x, y = Fraction(self.numerator.total), Fraction(self.denominator.total)
        xx, yy = Fraction(self.numerator.squares), Fraction(self.denominator.squares)
        xy = (Fraction(self.together.squares) - xx - yy) / 2
        ratio = x / y
        residual = max(Fraction(0), xx - 2 * ratio * xy + ratio * ratio * yy)
        return Estimate(mean, math.sqrt(residual * count / (count - 1)) / float(y))

"""Synthetic traffic: arms with known rates, as the counts that a provider would give."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from fairlead_operator.stats.histogram import Histogram
from fairlead_operator.traffic.bootstrap import buckets
from fairlead_operator.traffic.counts import Counts

Integers = npt.NDArray[np.int64]
_NORMAL = NormalDist()
_Z99 = _NORMAL.inv_cdf(0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What a model does to its requests.

    Attributes:
        errors: Probability that a request fails.
        non_finite: Probability that a prediction holds NaN.
        median_ms: Median latency, of a lognormal distribution.
        sigma: Standard deviation of its logarithm.
    """

    errors: float = 0.0
    non_finite: float = 0.0
    median_ms: float = 20.0
    sigma: float = 0.4

    @property
    def p99_ms(self) -> float:
        """The true 99th percentile."""
        return self.median_ms * math.exp(self.sigma * _Z99)

    def above(self, limit_ms: float) -> float:
        """The true share of the requests that take longer."""
        return 1 - _NORMAL.cdf(math.log(limit_ms / self.median_ms) / self.sigma)


@cache
def edges(limit_ms: int) -> tuple[float, ...]:
    """Return the routers' bucket edges where this limit is judged by."""
    return tuple(buckets((limit_ms,)))


@cache
def _shares(arm: Arm, limit_ms: int) -> npt.NDArray[np.float64]:
    below = [0.0, *(1 - arm.above(edge) for edge in edges(limit_ms)), 1.0]
    return np.diff(np.array(below))


@dataclass(slots=True)
class Tally:
    """Counts of one arm since a beginning."""

    limit_ms: int
    requests: int = 0
    errors: int = 0
    non_finite: int = 0
    filled: Integers = field(init=False)

    def __post_init__(self) -> None:
        self.filled = np.zeros(len(edges(self.limit_ms)) + 1, dtype=np.int64)

    def serve(self, arm: Arm, requests: int, generator: np.random.Generator) -> int:
        """Count requests; return how many of them were lost: failed, NaN, or over the limit."""
        errors = int(generator.binomial(requests, arm.errors))
        non_finite = int(generator.binomial(requests - errors, arm.non_finite))
        filled = generator.multinomial(requests, _shares(arm, self.limit_ms))
        self.requests += requests
        self.errors += errors
        self.non_finite += non_finite
        self.filled += filled
        slow = int(filled[edges(self.limit_ms).index(float(self.limit_ms)) + 1 :].sum())
        return errors + non_finite + slow

    def counts(self) -> Counts:
        """Return the counts as evidence."""
        return Counts(
            requests=self.requests,
            errors=self.errors,
            predictions=self.requests - self.errors,
            non_finite=self.non_finite,
            latency=Histogram(edges(self.limit_ms), tuple(self.filled.tolist())),
        )

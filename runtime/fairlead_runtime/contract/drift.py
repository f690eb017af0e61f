"""Drift scores of two rows of counts: pure, without p-values, the same in runtime and operator.

A *reference* and a *window* are counts of the same bins, in the same order. Packages disagree on
what a score's name means; `docs/drift.md` says which convention each function follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

SMOOTHING = 0.5
"""What is added to each bin before shares are taken for the PSI (Jeffreys' prior)."""
Counts = NDArray[np.int64]
Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bracket:
    """A value that is known to lie between two others."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Statistic:
    """A test statistic and its degrees of freedom; 0 degrees where it says nothing."""

    value: float
    degrees: int


def psi(reference: ArrayLike, window: ArrayLike, *, smoothing: float = SMOOTHING) -> float:
    """Return the population stability index, sum (p - q) ln(p / q).

    With B bins p = (count + smoothing) / (n + smoothing B), so that no bin is empty. It is
    symmetric, and without drift about (1/n + 1/m) times a chi-squared variable of B - 1 degrees
    (Yurdakul, 2018). A unit normal that moves by d standard deviations has d squared at most.

    Args:
        reference: Counts, one-dimensional.
        window: Counts of the same bins.
        smoothing: Pseudo-count of each bin. With 0 every count must be positive.

    Raises:
        ValueError: The counts do not fit each other, or both a count and the smoothing are 0.
    """
    q, p = (_smoothed(counts, smoothing) for counts in _pair(reference, window))
    return float(np.sum((p - q) * np.log(p / q)))


def jensen_shannon(reference: ArrayLike, window: ArrayLike) -> float:
    """Return the Jensen-Shannon distance with base 2: 0 for equal, 1 for disjoint distributions.

    The square root of (KL(P | M) + KL(Q | M)) / 2 with M = (P + Q) / 2; no smoothing.
    Source: Endres and Schindelin, IEEE Transactions on Information Theory 49 (2003) 1858.

    Raises:
        ValueError: The counts do not fit each other, or one has no rows.
    """
    q, p = (_shares(counts) for counts in _pair(reference, window))
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return float(np.sqrt(max(divergence, 0.0)))


def kolmogorov_smirnov(reference: ArrayLike, window: ArrayLike) -> Bracket:
    """Return bounds of the greatest distance of both distribution functions.

    The bins must be in the order of their values. The low bound is the distance at the edges, which
    is exact where a bin holds a single value; inside a bin it can be more by what the bin holds.

    Raises:
        ValueError: The counts do not fit each other, or one has no rows.
    """
    f, g = (np.cumsum(_shares(counts)) for counts in _pair(reference, window))
    before_f, before_g = (np.concatenate([[0.0], each[:-1]]) for each in (f, g))
    low = float(np.max(np.abs(f - g)))
    high = float(np.max(np.maximum(np.abs(f - before_g), np.abs(g - before_f))))
    return Bracket(min(low, 1.0), min(max(low, high), 1.0))


def wasserstein(
    reference: ArrayLike, window: ArrayLike, points: ArrayLike, *, scale: float = 1.0
) -> float:
    """Return the first Wasserstein distance, in units of `scale`: the integral of |F - G|.

    Every row of a bin counts as the bin's point. `Feature.points` gives the middle of each bin, and
    the least and the greatest value of the reference for the two tails: what lies beyond them is
    taken to lie there.

    Args:
        reference: Counts.
        window: Counts of the same bins.
        points: Where each bin's rows lie, rising.
        scale: Usually the reference's standard deviation.

    Raises:
        ValueError: The counts do not fit each other or the points, or one has no rows.
    """
    q, p = _pair(reference, window)
    where = np.asarray(points, dtype=np.float64)
    if where.shape != q.shape:
        raise ValueError(f"{q.size} bins need {q.size} points, not {where.size}")
    distance = np.abs(np.cumsum(_shares(q)) - np.cumsum(_shares(p)))[:-1]
    return float(np.sum(distance * np.diff(where)) / scale)


def chi_squared(reference: ArrayLike, window: ArrayLike) -> Statistic:
    """Return Pearson's statistic of the two-sample test: both are samples, neither is the truth.

    Bins that are empty in both are left out.

    Raises:
        ValueError: The counts do not fit each other.
    """
    table = np.vstack(_pair(reference, window)).astype(np.float64)
    table = table[:, table.sum(axis=0) > 0]
    rows = table.sum(axis=1)
    if table.shape[1] < 2 or not rows.all():
        return Statistic(0.0, 0)
    expected = np.outer(rows, table.sum(axis=0)) / rows.sum()
    return Statistic(float(np.sum((table - expected) ** 2 / expected)), table.shape[1] - 1)


def occupied(reference: ArrayLike, window: ArrayLike) -> tuple[Counts, Counts]:
    """Return both without the bins that are empty on both sides, which say nothing.

    Smoothing would make something of them: other shares of a bin that nobody has seen.

    Raises:
        ValueError: The counts do not fit each other.
    """
    q, p = _pair(reference, window)
    some = (q > 0) | (p > 0)
    return (q[some], p[some]) if some.any() else (q, p)


def mean_shift(mean: float, reference_mean: float, reference_deviation: float) -> float:
    """Return how far the mean moved, in standard deviations of the reference; never negative.

    A reference that is constant has no standard deviation; 1 is taken instead.
    """
    return abs(mean - reference_mean) / (reference_deviation or 1.0)


def share_shift(reference: ArrayLike, window: ArrayLike) -> float:
    """Return the same for categories: the greatest shift of a category's share.

    A category's indicator is 1 where a row has it and 0 elsewhere. Its mean is the share q, its
    standard deviation sqrt(q (1 - q)), where q is smoothed if it is 0 or 1.

    Raises:
        ValueError: The counts do not fit each other, or one has no rows.
    """
    counts, seen = _pair(reference, window)
    q, p = _shares(counts), _shares(seen)
    spread = np.where((q > 0) & (q < 1), q, _smoothed(counts, SMOOTHING))
    return float(np.max(np.abs(p - q) / np.sqrt(spread * (1 - spread)))) if q.size > 1 else 0.0


def _pair(reference: ArrayLike, window: ArrayLike) -> tuple[Counts, Counts]:
    first, second = np.asarray(reference), np.asarray(window)
    if first.ndim != 1 or first.shape != second.shape or not first.size:
        raise ValueError(f"counts of shapes {first.shape} and {second.shape} do not fit each other")
    for counts in (first, second):
        if counts.dtype.kind not in "iu" or np.any(counts < 0):
            raise ValueError("counts must be whole numbers, not negative")
    return first.astype(np.int64), second.astype(np.int64)


def _shares(counts: Counts) -> Shares:
    total = int(counts.sum())
    if total == 0:
        raise ValueError("there are no rows: no shares can be taken")
    return counts / total


def _smoothed(counts: Counts, smoothing: float) -> Shares:
    values: NDArray[Any] = counts + smoothing
    if np.any(values <= 0):
        raise ValueError("a bin is empty: smooth the counts")
    return np.asarray(values / values.sum(), dtype=np.float64)


def _relative_entropy(p: Shares, q: Shares) -> float:
    some = p > 0
    return float(np.sum(p[some] * np.log2(p[some] / q[some])))

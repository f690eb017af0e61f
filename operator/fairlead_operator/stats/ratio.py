"""Sample-ratio mismatch: were units assigned as the weights say? If not, nothing can be trusted.

Expected counts are those of each epoch's own weights. Against the current ones a clean ramp from
90/10 to 50/50 has a chi-squared of 3316 and looks broken beyond doubt.

Weights must be those of the units still counted. Where units leave an earlier epoch because their
slot moved, use the slots that stayed: of a 90/10 epoch that became 50/50 the weights are 50 and 10.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairlead_operator.stats import special
from fairlead_operator.stats.aggregates import check_share

DEFAULT_CONCENTRATION = 1000.0
"""Gross mismatches are found sooner with 100, subtle ones with 10,000; this is between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """Units per arm while the weights were the same.

    Attributes:
        counts: Units per arm, in the order of the arms.
        weights: Their weights, in any unit; not all of them 0.
    """

    counts: tuple[int, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.weights):
            raise ValueError(f"{len(self.counts)} counts, but {len(self.weights)} weights")
        if any(count < 0 for count in self.counts):
            raise ValueError(f"counts cannot be negative: {self.counts}")
        if any(not (weight >= 0 and math.isfinite(weight)) for weight in self.weights):
            raise ValueError(f"weights must be finite and not negative: {self.weights}")
        if not sum(self.weights) > 0:
            raise ValueError("an epoch needs a weight above 0")

    @property
    def total(self) -> int:
        """Units of all arms."""
        return sum(self.counts)

    @property
    def shares(self) -> tuple[float, ...]:
        """The weights, scaled to a sum of 1."""
        whole = sum(self.weights)
        return tuple(weight / whole for weight in self.weights)

    @property
    def impossible(self) -> bool:
        """Whether an arm of weight 0 has units."""
        return any(c > 0 and w == 0 for c, w in zip(self.counts, self.weights, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pearson:
    """A chi-squared test of the counts.

    Attributes:
        statistic: Infinite where an arm of weight 0 has units; None where nothing can be said.
        degrees: Degrees of freedom.
        p_value: None where the statistic is.
        expected: Expected units per arm.
        minimum_expected: The least of the positive ones; below 5 the p-value is off. None without
            units.
    """

    statistic: float | None
    degrees: int
    p_value: float | None
    expected: tuple[float, ...]
    minimum_expected: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioCheck:
    """What the controller and people need to know of the ratio.

    Attributes:
        pearson: For people: counts of all epochs against the sum of their expected counts.
        log_e: For the controller: logarithm of the e-value. The largest one so far counts.
        p_value: min(1, 1/E), valid at every look.
        mismatch: Whether E has reached 1/alpha.
        alpha: The level of `mismatch`.
    """

    pearson: Pearson
    log_e: float
    p_value: float
    mismatch: bool
    alpha: float


def _same_arms(epochs: Sequence[Epoch]) -> int:
    arms = {len(epoch.counts) for epoch in epochs}
    if len(arms) != 1:
        raise ValueError("a ratio needs at least one epoch, and all of them the same arms")
    return arms.pop()


def pearson(epochs: Sequence[Epoch]) -> Pearson:
    """Return the chi-squared test of all counts against expected counts summed over epochs.

    Formula: X2 = sum_k (n_k - E_k)^2 / E_k with E_k = sum over epochs of N_e w_ke, one degree less
    than there are arms with a weight. With several epochs it is a little conservative.

    Raises:
        ValueError: No epochs, or epochs with different arms.
    """
    _same_arms(epochs)
    counts = np.asarray(np.sum([epoch.counts for epoch in epochs], axis=0), dtype=np.float64)
    shared = [np.multiply(epoch.total, epoch.shares) for epoch in epochs]
    expected = np.asarray(np.sum(shared, axis=0), dtype=np.float64)
    return _test([(counts, expected)], any(epoch.impossible for epoch in epochs))


def stratified_pearson(epochs: Sequence[Epoch]) -> Pearson:
    """Return the sum of the epochs' own chi-squared statistics and degrees.

    It also sees mismatches that cancel out over epochs. Epochs without units are left out.

    Raises:
        ValueError: No epochs, or epochs with different arms.
    """
    _same_arms(epochs)
    parts = [
        (np.array(epoch.counts, dtype=np.float64), np.multiply(epoch.total, epoch.shares))
        for epoch in epochs
    ]
    return _test(parts, any(epoch.impossible for epoch in epochs))


def _test(
    parts: Sequence[tuple[special.FloatArray, special.FloatArray]],
    impossible: bool,  # noqa: FBT001
) -> Pearson:
    statistic = 0.0
    degrees = 0
    smallest = math.inf
    for counts, expected in parts:
        used = expected > 0
        if not used.any():
            continue
        statistic += float(np.sum((counts[used] - expected[used]) ** 2 / expected[used]))
        degrees += int(used.sum()) - 1
        smallest = min(smallest, float(expected[used].min()))
    total = np.sum([expected for _, expected in parts], axis=0)
    defined = impossible or degrees > 0
    if impossible:
        statistic = math.inf
    p_value = special.chi_squared_tail(statistic, max(degrees, 1)) if defined else None
    return Pearson(
        statistic=statistic if defined else None,
        degrees=degrees,
        p_value=p_value,
        expected=tuple(float(value) for value in total),
        minimum_expected=smallest if math.isfinite(smallest) else None,
    )


def log_e_value(
    counts: Sequence[int], weights: Sequence[float], concentration: float = DEFAULT_CONCENTRATION
) -> float:
    """Return log E of counts against weights: the Dirichlet-multinomial e-process.

    Formula, with a = concentration * theta and N = sum n: log E = lnG(sum a) - lnG(sum a + N) +
    sum_k (lnG(a_k + n_k) - lnG(a_k)) - sum_k n_k ln theta_k. Only the counts so far matter, neither
    their order nor the looks. Source: Lindon and Malek, "Anytime-valid inference for multinomial
    count data", arXiv:2011.03567. With numbers of events for counts it tests, two-sided, whether
    all arms have the same rate.

    Args:
        counts: Units per arm.
        weights: Weights per arm, in any unit. An arm of weight 0 with units gives infinity.
        concentration: How close to theta mismatches are expected; positive.

    Raises:
        ValueError: Counts and weights that do not fit, or a concentration that is not positive.
    """
    epoch = Epoch(counts=tuple(counts), weights=tuple(weights))
    shares = np.array(epoch.shares)
    return float(log_e_values(np.array([epoch.counts]), shares, concentration)[0])


def log_e_values(
    counts: special.FloatArray, shares: special.FloatArray, concentration: float
) -> special.FloatArray:
    """Return log E for many looks at once.

    Args:
        counts: Units so far, shape (looks, arms).
        shares: Shares of the arms, with a sum of 1, shape (arms,).
        concentration: As in `log_e_value`.

    Raises:
        ValueError: The concentration is not positive.
    """
    if not (concentration > 0 and math.isfinite(concentration)):
        raise ValueError(f"the concentration must be positive, not {concentration!r}")
    counts = np.asarray(counts, dtype=np.float64)
    used = shares > 0
    prior = concentration * shares[used]
    seen = counts[:, used]
    whole = np.array([concentration])
    value = special.log_gamma(whole) - special.log_gamma(whole + seen.sum(axis=1))
    value = value + np.sum(
        special.log_gamma(prior + seen) - special.log_gamma(prior) - seen * np.log(shares[used]),
        axis=1,
    )
    return np.asarray(np.where(counts[:, ~used].sum(axis=1) > 0, math.inf, value), dtype=np.float64)


def check_ratio(
    epochs: Sequence[Epoch],
    *,
    alpha: float = 0.01,
    concentration: float = DEFAULT_CONCENTRATION,
) -> RatioCheck:
    """Return whether units were assigned as the weights of each epoch say.

    The epochs' e-values are multiplied: each one's weights are known before its first unit.

    Raises:
        ValueError: No epochs, epochs with different arms, alpha not between 0 and 1, or a
            concentration that is not positive.
    """
    check_share(alpha, "alpha")
    _same_arms(epochs)
    log_e = sum(log_e_value(epoch.counts, epoch.weights, concentration) for epoch in epochs)
    return RatioCheck(
        pearson=pearson(epochs),
        log_e=log_e,
        p_value=math.exp(min(0.0, -log_e)),
        mismatch=log_e >= -math.log(alpha),
        alpha=alpha,
    )

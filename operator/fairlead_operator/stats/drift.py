"""Whether a window of traffic comes from the reference: an e-value, a size, and what both decide.

A *reference* is finite: its own shares are off by chance, and a detector that takes them for the
truth alarms for certain in the end. So both sides are samples here (`log_e_value`, `noise`). With
enough rows any difference is significant, a night and a day included, so an alarm needs size as
well: what is left of the PSI once chance is taken away must be material. `drift_watch` adds what
needs memory: two looks in a row. `docs/drift.md` has the reasons and the measured rates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fairlead_operator.stats import special
from fairlead_operator.stats.aggregates import check_share
from fairlead_operator.stats.drift_rules import DEFAULT
from fairlead_operator.stats.multiplicity import e_benjamini_hochberg
from fairlead_runtime.contract import drift

ALPHA = DEFAULT.alpha
"""The level of one look: 0.05 false alarms in a week, if every rejection were one."""
MATERIAL_PSI = DEFAULT.material
"""The least PSI that matters, chance not included: a third of a standard deviation."""
MINIMUM_ROWS = DEFAULT.minimum_rows
"""No look at fewer rows of the window."""
MINIMUM_REFERENCE_ROWS = 100
"""No judgement against fewer rows of a reference."""
_PRIOR = 0.5  # Jeffreys': a bin that the reference never saw is rare, not impossible
_SPREADS = (5.0, 25.0, 125.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A feature's counts on both sides, on the same bins.

    Attributes:
        name: The feature's.
        reference: The reference's counts by coarse bin.
        window: The window's.
        reference_missing: Rows of the reference without a value.
        window_missing: Rows of the window without a value.
    """

    name: str
    reference: tuple[int, ...]
    window: tuple[int, ...]
    reference_missing: int = 0
    window_missing: int = 0

    @property
    def rows(self) -> int:
        """Rows of the window, missing values included."""
        return sum(self.window) + self.window_missing

    @property
    def reference_rows(self) -> int:
        """Rows of the reference, missing values included."""
        return sum(self.reference) + self.reference_missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one look found about one feature.

    Attributes:
        name: The feature's.
        log_e: Logarithm of the e-value against "no drift".
        significant: Whether it was rejected among all features (e-BH).
        psi: On the coarse bins and one for missing values, those left out that both sides lack.
        limit: What the PSI had to reach.
        rows: Rows of the window, missing ones included.
        reference_rows: The same of the reference.
        drifting: Whether it is significant and the PSI has reached the limit.
    """

    name: str
    log_e: float
    significant: bool
    psi: float
    limit: float
    rows: int
    reference_rows: int
    drifting: bool


def log_e_value(reference: ArrayLike, window: ArrayLike) -> float:
    """Return the logarithm of an e-value against "one distribution made both".

    A ratio of two Dirichlet-multinomial likelihoods of the window. The null's prior is what the
    reference leaves open: its counts and 1/2 for each bin (Jeffreys). Given shares drawn from that
    prior, the e-value's expectation is 1. The alternative's priors have the reference's shares with
    the weight of 5, 25 and 125 rows, a third each: large, middling and small drifts. The order of
    rows does not matter, so counts that were added up do as well. Source of the form: Lindon and
    Malek, arXiv:2011.03567, section 3, with the predictive distribution as the null.

    Args:
        reference: Counts, one-dimensional.
        window: Counts of the same bins.

    Raises:
        ValueError: The counts do not fit each other, or one is negative.
    """
    q, counts = _pair(reference, window)
    prior = q + _PRIOR
    shares = prior / prior.sum()
    null = _log_likelihood(counts, prior)
    others = np.array([_log_likelihood(counts, spread * shares) for spread in _SPREADS])
    return special.log_sum_exp(others) - math.log(len(_SPREADS)) - null


def noise(rows: int, reference_rows: int, bins: int, alpha: float) -> float:
    """Return the PSI that chance alone reaches with probability alpha.

    (1/n + 1/m) times the upper quantile of a chi-squared variable of bins - 1 degrees; infinite
    without rows. Source: Yurdakul (2018), for independent rows.

    Raises:
        ValueError: alpha is not between 0 and 1.
    """
    check_share(alpha, "alpha")
    if rows < 1 or reference_rows < 1:
        return math.inf
    if bins < 2:
        return 0.0
    return (1 / rows + 1 / reference_rows) * special.chi_squared_limit(alpha, bins - 1)


def log_two_sample(first: ArrayLike, second: ArrayLike) -> float:
    """Return the logarithm of an e-value against "one distribution made both", looked at any time.

    DM(a) DM(b) / DM(a + b), with Jeffreys' prior in each Dirichlet-multinomial likelihood: a Bayes
    factor, symmetric, and as both sides grow row by row a martingale under shares drawn from the
    prior. Two arms of the same minutes are compared by it; against a reference that stands still
    `log_e_value` sees more.

    Raises:
        ValueError: The counts do not fit each other, or one is negative.
    """
    a, b = _pair(first, second)
    prior = np.full(a.shape, _PRIOR)
    apart = _log_likelihood(a, prior) + _log_likelihood(b, prior)
    return apart - _log_likelihood(a + b, prior)


def compare(
    samples: Sequence[Sample],
    *,
    alpha: float = 0.01,
    material: float = MATERIAL_PSI,
    minimum_rows: int = 200,
) -> tuple[Judgement, ...]:
    """Return how the candidate's traffic differs from the stable's of the same minutes.

    Both saw the same hours, so that seasons cancel out: a difference of inputs is a fault of
    routing or preprocessing, a difference of predictions is the new model's. May be looked at at
    every pass while both sides' counts only grow: log E then says "ever"
    (`log_two_sample`). A user who sends many rows counts as many: keep the size's limit.

    Args:
        samples: One for each feature: the stable's counts as reference, the candidate's as window.
        alpha: The level of all features over the whole rollout.
        material: The least PSI that matters, before chance is added.
        minimum_rows: Rows that both sides need.

    Raises:
        ValueError: Counts do not fit each other, or alpha is not between 0 and 1.
    """
    return _judge(samples, log_two_sample, alpha, material, (minimum_rows, minimum_rows))


def judge(
    samples: Sequence[Sample],
    *,
    alpha: float = ALPHA,
    material: float = MATERIAL_PSI,
    minimum_rows: int = MINIMUM_ROWS,
) -> tuple[Judgement, ...]:
    """Return what one look finds, feature by feature.

    A feature drifts where its e-value is among those that e-BH rejects at alpha, and

        PSI >= material + (1/n + 1/m) chi2inv(1 - alpha/F, B - 1)

    with F features: the part of the PSI that chance cannot explain must be material. Missing values
    are a bin of their own.

    Args:
        samples: One for each feature that is looked at.
        alpha: The level of this look, shared by all features.
        material: The least PSI that matters.
        minimum_rows: Features with fewer rows in the window are shown and not judged.

    Raises:
        ValueError: Counts do not fit each other, or alpha is not between 0 and 1.
    """
    least = (minimum_rows, MINIMUM_REFERENCE_ROWS)
    return _judge(samples, log_e_value, alpha, material, least)


def _judge(
    samples: Sequence[Sample],
    log_e_of: Callable[[ArrayLike, ArrayLike], float],
    alpha: float,
    material: float,
    least: tuple[int, int],
) -> tuple[Judgement, ...]:
    check_share(alpha, "alpha")
    if not samples:
        return ()
    log_es = [
        log_e_of(
            (*sample.reference, sample.reference_missing), (*sample.window, sample.window_missing)
        )
        if sample.rows >= least[0] and sample.reference_rows >= least[1]
        else 0.0
        for sample in samples
    ]
    return tuple(
        _judgement(sample, log_e, rejected, alpha / len(samples), material)
        for sample, log_e, rejected in zip(
            samples, log_es, e_benjamini_hochberg(log_es, alpha), strict=True
        )
    )


def _judgement(
    sample: Sample,
    log_e: float,
    significant: bool,  # noqa: FBT001 - one of five values of one row
    alpha: float,
    material: float,
) -> Judgement:
    reference, window = drift.occupied(
        (*sample.reference, sample.reference_missing), (*sample.window, sample.window_missing)
    )
    n, m = sample.rows, sample.reference_rows
    size = drift.psi(reference, window) if n and m else 0.0
    limit = material + noise(n, m, len(reference), alpha)
    return Judgement(
        name=sample.name,
        log_e=log_e,
        significant=significant,
        psi=size,
        limit=limit,
        rows=n,
        reference_rows=m,
        drifting=significant and size >= limit,
    )


def _pair(reference: ArrayLike, window: ArrayLike) -> tuple[special.FloatArray, special.FloatArray]:
    q, counts = np.asarray(reference, dtype=np.float64), np.asarray(window, dtype=np.float64)
    if q.ndim != 1 or q.shape != counts.shape or not q.size:
        raise ValueError(f"counts of shapes {q.shape} and {counts.shape} do not fit each other")
    if np.any(q < 0) or np.any(counts < 0):
        raise ValueError("counts cannot be negative")
    return q, counts


def _log_likelihood(counts: special.FloatArray, prior: special.FloatArray) -> float:
    """Return the Dirichlet-multinomial log-likelihood of counts, in any one order of the rows."""
    both = special.log_gamma(np.array([prior.sum(), prior.sum() + counts.sum()]))
    each = special.log_gamma(prior + counts) - special.log_gamma(prior)
    return float(both[0] - both[1] + each.sum())

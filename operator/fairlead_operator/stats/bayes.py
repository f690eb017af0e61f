"""Which arm is best, in the words of Bayes. To be shown, not to decide by.

Looked at again and again and stopped at a threshold, "probability to be best" promises no error
rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fairlead_operator.stats import special
from fairlead_operator.stats.aggregates import Binary, Estimate

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
# Where the densities have their mass; each arm's own quantiles cut the line into panels, so that
# an arm a thousand times narrower than another is not stepped over.
_CUTS = np.array(
    [1e-15, 1e-12, 1e-9, 1e-7, 1e-5, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5], dtype=np.float64
)

_NORMAL_CUTS = np.array([-9, -6, -4.5, -3, -2, -1.2, -0.5, 0, 0.5, 1.2, 2, 3, 4.5, 6, 9], float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """How likely each arm is the best one, and what choosing it would cost.

    Attributes:
        probabilities: One per arm, in the order given; they sum to 1.
        expected_losses: How far each arm lies below the best one on average, in units of the rate.
    """

    probabilities: tuple[float, ...]
    expected_losses: tuple[float, ...]


def probability_to_be_best(
    arms: Sequence[Binary],
    *,
    prior: tuple[float, float] = (1.0, 1.0),
    goal: Literal["increase", "decrease"] = "increase",
) -> Best:
    """Return the posterior probability that an arm has the best rate, by quadrature.

    Formula: rates are Beta(a + successes, b + failures); P(k best) = integral of f_k(x) times the
    product of F_j(x) over the other arms; E[max] = integral of 1 - product of F_j(x).
    Source: Evan Miller, "Formulas for Bayesian A/B testing" (the closed sum for two arms, to which
    this is equal). Accuracy about 1e-9 by composite Gauss-Legendre, from no units to millions.

    Args:
        arms: At least one; arms without units have the prior.
        prior: a and b of the Beta prior, both positive; (1, 1) is uniform.
        goal: Whether a high or a low rate is good.

    Raises:
        ValueError: No arms, or a prior that is not positive.
    """
    if not arms:
        raise ValueError("which arm is best? there are none")
    if not (min(prior) > 0 and math.isfinite(sum(prior))):
        raise ValueError(f"the prior's two numbers must be positive, not {prior}")
    if goal == "decrease":
        # 1 - rate turns the least into the greatest.
        arms = [Binary(arm.count, arm.failures) for arm in arms]
        prior = (prior[1], prior[0])
    shapes = [(prior[0] + arm.successes, prior[1] + arm.failures) for arm in arms]
    nodes, weights = _panels(shapes)
    below = np.array([special.beta_cdf(nodes, a, b) for a, b in shapes])
    masses = np.array([_density(nodes, a, b) for a, b in shapes]) * weights
    others = np.array(
        [np.prod(np.delete(below, index, axis=0), axis=0) for index in range(len(arms))]
    )
    probabilities = np.sum(masses * others, axis=1)
    probabilities = probabilities / probabilities.sum()
    top = float(np.sum(weights * (1 - np.prod(below, axis=0))))
    return Best(
        probabilities=tuple(float(p) for p in probabilities),
        expected_losses=tuple(max(0.0, top - a / (a + b)) for a, b in shapes),
    )


def best_of_means(
    arms: Sequence[Estimate], *, goal: Literal["increase", "decrease"] = "increase"
) -> Best:
    """Return the posterior probability that an arm has the best mean, by quadrature.

    Under a flat prior a mean is normal around its estimate: right for many units, as the central
    limit theorem is. For rates of one epoch `probability_to_be_best` is exact.

    Args:
        arms: At least one, each with a standard error above 0.
        goal: Whether a high or a low mean is good.

    Raises:
        ValueError: No arms, or one without a standard error.
    """
    if not arms or any(arm.standard_error <= 0 for arm in arms):
        raise ValueError("each arm needs a standard error above 0, and there must be one")
    sign = 1 if goal == "increase" else -1
    shapes = [(sign * arm.value, arm.standard_error) for arm in arms]
    cuts = [value + error * _NORMAL_CUTS for value, error in shapes]
    edges = np.unique(np.concatenate(cuts))
    half = np.diff(edges)[:, None] / 2
    nodes = (edges[:-1, None] + half * (1 + _NODES)).ravel()
    weights = (half * _WEIGHTS).ravel()
    scaled = np.array([(nodes - value) / error for value, error in shapes])
    below = special.normal_cdf(scaled)
    errors = np.array([[error] for _, error in shapes])
    masses = np.exp(-np.square(scaled) / 2) / (errors * math.sqrt(2 * math.pi)) * weights
    others = np.array(
        [np.prod(np.delete(below, index, axis=0), axis=0) for index in range(len(arms))]
    )
    probabilities = np.sum(masses * others, axis=1)
    probabilities = probabilities / probabilities.sum()
    # E[max] = the last edge minus the integral of P(max <= x): all mass lies between the edges.
    top = float(edges[-1] - np.sum(weights * np.prod(below, axis=0)))
    return Best(
        probabilities=tuple(float(p) for p in probabilities),
        expected_losses=tuple(max(0.0, top - value) for value, _ in shapes),
    )


def _panels(
    shapes: Sequence[tuple[float, float]],
) -> tuple[special.FloatArray, special.FloatArray]:
    """Return nodes and weights of a quadrature over 0..1 that resolves every density."""
    cuts = [np.array([0.0, 1.0])]
    for a, b in shapes:
        cuts.append(special.beta_quantile(_CUTS, a, b))
        cuts.append(1 - special.beta_quantile(_CUTS, b, a))
    edges = np.unique(np.concatenate(cuts))
    half = np.diff(edges)[:, None] / 2
    nodes = edges[:-1, None] + half * (1 + _NODES)
    return nodes.ravel(), (half * _WEIGHTS).ravel()


def _density(x: special.FloatArray, a: float, b: float) -> special.FloatArray:
    log_density = special.x_log_y(a - 1, x) + special.x_log_y(b - 1, 1 - x) - special.log_beta(a, b)
    return np.asarray(np.exp(log_density), dtype=np.float64)

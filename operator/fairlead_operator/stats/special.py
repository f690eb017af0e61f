"""The few special functions in use, with types: the only module that knows scipy.

`scipy.special` alone, because importing `scipy.stats` costs a process ten times the memory.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]
Floats = float | FloatArray
"""A number or an array of numbers; functions that take them work elementwise."""


def normal_tail(z: float) -> float:
    """Return P(Z > z) of a standard normal Z."""
    return float(special.ndtr(-z))


def normal_cdf(z: Floats) -> FloatArray:
    """Return P(Z <= z) of a standard normal Z, elementwise."""
    return np.asarray(special.ndtr(z), dtype=np.float64)


def normal_quantile(probability: float) -> float:
    """Return z with P(Z <= z) equal to the probability."""
    return float(special.ndtri(probability))


def student_tail(t: float, degrees: float) -> float:
    """Return P(T > t) of Student's t with real-valued degrees of freedom."""
    return float(special.stdtr(degrees, -t))


def student_quantile(probability: float, degrees: float) -> float:
    """Return t with P(T <= t) equal to the probability."""
    return float(special.stdtrit(degrees, probability))


def chi_squared_tail(statistic: float, degrees: float) -> float:
    """Return P(X > statistic) of a chi-squared X."""
    return float(special.chdtrc(degrees, statistic))


def chi_squared_limit(probability: float, degrees: float) -> float:
    """Return x with P(X > x) of a chi-squared X equal to the probability."""
    return float(special.chdtri(degrees, probability))


def log_gamma(value: FloatArray) -> FloatArray:
    """Return the logarithm of the gamma function."""
    return np.asarray(special.gammaln(value), dtype=np.float64)


def log_beta(a: float, b: float) -> float:
    """Return the logarithm of the beta function."""
    return float(special.betaln(a, b))


def beta_cdf(x: Floats, a: float, b: float) -> FloatArray:
    """Return P(B <= x) of a Beta(a, b) variable."""
    return np.asarray(special.betainc(a, b, x), dtype=np.float64)


def beta_quantile(probability: Floats, a: float, b: float) -> FloatArray:
    """Return x with P(B <= x) equal to the probability."""
    return np.asarray(special.betaincinv(a, b, probability), dtype=np.float64)


def log_sum_exp(values: FloatArray) -> float:
    """Return log(sum(exp(values))) without overflow; scipy's own costs ten times as much."""
    top = float(values.max())
    if not math.isfinite(top):
        return top
    return top + math.log(float(np.exp(values - top).sum()))


def x_log_y(x: Floats, y: Floats) -> FloatArray:
    """Return x * log(y), which is 0 where x is 0."""
    return np.asarray(special.xlogy(x, y), dtype=np.float64)

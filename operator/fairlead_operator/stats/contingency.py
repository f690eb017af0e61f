"""Pearson's chi-squared test of a table, with and without Yates' correction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairlead_operator.stats import special
from fairlead_operator.stats.aggregates import Binary


@dataclass(frozen=True, slots=True, kw_only=True)
class ChiSquared:
    """A chi-squared test.

    Attributes:
        statistic: Sum of (observed - expected)^2 / expected; None where it is undefined.
        degrees: Degrees of freedom, 0 where the statistic is undefined.
        p_value: None where the statistic is.
        minimum_expected: The smallest expected count. Below 5 the p-value is off: use `fisher` or
            wait. None where the statistic is.
        cramers_v: The strength of the association, 0 to 1, always without correction; None where
            the statistic is.
    """

    statistic: float | None
    degrees: int
    p_value: float | None
    minimum_expected: float | None
    cramers_v: float | None


UNDEFINED = ChiSquared(
    statistic=None, degrees=0, p_value=None, minimum_expected=None, cramers_v=None
)
"""The test of a table that says nothing: one row or column, or none."""


def chi_squared(arms: Sequence[Binary], *, yates: bool = False) -> ChiSquared:
    """Return the chi-squared test that all arms have the same rate.

    Args:
        arms: At least one. Arms without units are left out.
        yates: Yates' correction, which applies to two arms only.

    Raises:
        ValueError: No arms.
    """
    return contingency([[arm.successes, arm.failures] for arm in arms], yates=yates)


def contingency(table: Sequence[Sequence[int]], *, yates: bool = False) -> ChiSquared:
    """Return the chi-squared test of independence of a table of counts.

    Rows and columns that are all zero are left out and cost no degree of freedom.

    Formula: E_ij = row_i * column_j / N, X2 = sum (O - E)^2 / E, (rows - 1)(columns - 1) degrees;
    Yates with one degree: |O - E| is lowered by 1/2, at most to 0;
    V = sqrt(X2 / (N min(r-1, c-1))).
    Source: Pearson (1900), Yates (1934); the same as scipy's `chi2_contingency`.

    Args:
        table: Rows of counts, all of one length.
        yates: Apply Yates' correction where there is one degree of freedom.

    Raises:
        ValueError: The table is empty or ragged, or a count is negative.
    """
    if not table or len({len(row) for row in table}) != 1:
        raise ValueError("a table needs at least one row, and rows of one length")
    observed = np.array(table, dtype=np.float64)
    if np.any(observed < 0) or not np.all(np.isfinite(observed)):
        raise ValueError(f"counts cannot be negative: {table}")
    observed = observed[observed.sum(axis=1) > 0][:, observed.sum(axis=0) > 0]
    rows, columns = observed.shape
    if rows < 2 or columns < 2:
        return UNDEFINED
    total = float(observed.sum())
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / total
    degrees = (rows - 1) * (columns - 1)
    plain = float(np.sum((observed - expected) ** 2 / expected))
    statistic = plain
    if yates and degrees == 1:
        distance = np.abs(observed - expected)
        statistic = float(np.sum((distance - np.minimum(0.5, distance)) ** 2 / expected))
    return ChiSquared(
        statistic=statistic,
        degrees=degrees,
        p_value=special.chi_squared_tail(statistic, degrees),
        minimum_expected=float(expected.min()),
        cramers_v=math.sqrt(plain / (total * min(rows - 1, columns - 1))),
    )

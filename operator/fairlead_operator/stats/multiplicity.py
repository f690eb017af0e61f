"""Several arms against one control, several metrics, several gates: the price of many looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fairlead_operator.stats.aggregates import check_share


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """Tests of one family, in the order given.

    Attributes:
        p_values: Adjusted p-values; None where the test had none.
        rejected: Whether each null is rejected.
        levels: The level at which each test was judged, Holm's to its first failure and the same
            for all that come after. An interval at this level excludes the null exactly where it is
            rejected. Undefined tests have the family's smallest.
    """

    p_values: tuple[float | None, ...]
    rejected: tuple[bool, ...]
    levels: tuple[float, ...]


def _order(p_values: Sequence[float | None]) -> list[int]:
    for p in p_values:
        if p is not None and not 0 <= p <= 1:
            raise ValueError(f"a p-value lies between 0 and 1, not {p!r}")
    return sorted(range(len(p_values)), key=lambda i: (p_values[i] is None, p_values[i] or 0.0))


def holm(p_values: Sequence[float | None], alpha: float = 0.05) -> Adjusted:
    """Return Holm's tests: any false rejection at all has probability alpha at most.

    The smallest of m p-values is judged at alpha/m, the next at alpha/(m-1), and so on to the first
    that fails. Valid under any dependence; anytime-valid p-values stay so. A test without a p-value
    is not rejected, but counts: an arm without data must not make it easier for the others.
    Source: Holm, Scandinavian Journal of Statistics 6 (1979) 65.

    Raises:
        ValueError: A p-value or alpha is out of range.
    """
    check_share(alpha, "alpha")
    m = len(p_values)
    adjusted: list[float | None] = [None] * m
    levels = [alpha / max(m, 1)] * m
    largest = 0.0
    rejections = 0
    for rank, index in enumerate(_order(p_values)):
        p = p_values[index]
        if p is None:
            break
        largest = max(largest, min(1.0, (m - rank) * p))
        adjusted[index] = largest
        levels[index] = alpha / (m - rejections)
        rejections += largest <= alpha
    return Adjusted(
        p_values=tuple(adjusted),
        rejected=tuple(p is not None and p <= alpha for p in adjusted),
        levels=tuple(levels),
    )


def benjamini_hochberg(p_values: Sequence[float | None], alpha: float = 0.05) -> Adjusted:
    """Return Benjamini and Hochberg's tests: of the rejected, a share of alpha at most is false.

    For metrics that are shown, not for the one that decides. Valid for independent or positively
    dependent tests. Source: Benjamini and Hochberg, JRSS B 57 (1995) 289.

    Raises:
        ValueError: A p-value or alpha is out of range.
    """
    check_share(alpha, "alpha")
    m = len(p_values)
    adjusted: list[float | None] = [None] * m
    levels = [alpha / max(m, 1)] * m
    smallest = 1.0
    for rank, index in reversed(list(enumerate(_order(p_values), start=1))):
        p = p_values[index]
        if p is None:
            continue
        smallest = min(smallest, m * p / rank)
        adjusted[index] = smallest
        levels[index] = alpha * rank / m
    return Adjusted(
        p_values=tuple(adjusted),
        rejected=tuple(p is not None and p <= alpha for p in adjusted),
        levels=tuple(levels),
    )


def e_benjamini_hochberg(log_es: Sequence[float], alpha: float = 0.05) -> tuple[bool, ...]:
    """Return which nulls the e-values reject: a share of alpha at most is false, any dependence.

    Rejects the k largest, for the greatest k whose k-th largest e-value is at least m / (alpha k).
    Source: Wang and Ramdas, JRSS B 84 (2022) 822 (e-BH).

    Args:
        log_es: Logarithms of the e-values.
        alpha: The share.

    Raises:
        ValueError: alpha is not between 0 and 1, or an e-value is not a number.
    """
    check_share(alpha, "alpha")
    if any(math.isnan(value) for value in log_es):
        raise ValueError("an e-value is not a number")
    m = len(log_es)
    order = sorted(range(m), key=lambda i: -log_es[i])
    count = max(
        (k for k in range(1, m + 1) if log_es[order[k - 1]] >= math.log(m / (alpha * k))), default=0
    )
    chosen = set(order[:count])
    return tuple(index in chosen for index in range(m))

"""Evidence against a limit that may be looked at at every request: e-processes of counts.

An e-value is a bet against "all is well": it starts at 1, and while all is well its expectation
stays at most 1, so that it ever reaches 1/alpha with probability alpha at most (Ville's
inequality). It needs no minimum count: three failures of three speak for themselves.

Both tests here are one family. The null says that the log-odds of an event are at most eta; the
bets are shifts g > 0 of it, mixed with equal weights:

    log E = log mean over g of exp( sum over epochs of  g x - n (log(1+e^(eta+g)) - log(1+e^eta)) )

Each bet is a likelihood ratio that falls as eta rises, hence a supermartingale under every rate at
or below the limit, also one that changes, and inverting it gives a bound. A finite mixture is
exact: no integral is approximated. Sources: Ramdas, Gruenwald, Vovk and Shafer, Statistical Science
38 (2023) 576 (e-processes, mixtures); Lindon and Malek, arXiv:2011.03567 (counts given the
assignment).

What is not covered: requests that depend on each other. Where a user sends many, count users.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from fairlead_operator.stats import special
from fairlead_operator.stats.aggregates import Binary, Interval, check_share

_BETS = np.geomspace(0.002, 8.0, 48)
"""Shifts of the log-odds: from 0.2 % more events to three thousand times as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Evidence against "within the limit".

    Attributes:
        log_e: Logarithm of the e-value; 0 without counts. The largest one so far counts: a breach
            that was reached stays reached.
        p_value: min(1, 1/E).
        breached: Whether E has reached 1/alpha.
        alpha: The level. Share it out where several tests may stop the same thing.
    """

    log_e: float
    p_value: float
    breached: bool
    alpha: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Events (errors, slow requests, conversions) counted while the shares were the same.

    Attributes:
        control: Events of the control.
        treatment: Events of the treatment.
        control_share: The share of all units that was assigned to the control, positive.
        treatment_share: The same for the treatment; both in any common unit (weights will do).
    """

    control: int
    treatment: int
    control_share: float
    treatment_share: float

    def __post_init__(self) -> None:
        if self.control < 0 or self.treatment < 0:
            raise ValueError(f"events cannot be negative: {self!r}")
        if not (self.control_share > 0 and self.treatment_share > 0):
            raise ValueError(
                f"both shares must be positive: {self!r}; "
                "leave out an epoch in which an arm had none"
            )

    def __add__(self, other: Events) -> Events:
        mine, theirs = (
            self.control_share * other.treatment_share,
            other.control_share * self.treatment_share,
        )
        if not math.isclose(mine, theirs):
            raise ValueError("events under different shares cannot be added: keep them by epoch")
        return Events(
            control=self.control + other.control,
            treatment=self.treatment + other.treatment,
            control_share=self.control_share,
            treatment_share=self.treatment_share,
        )


def against_limit(counted: Binary, limit: float, alpha: float = 0.01) -> Evidence:
    """Return the evidence that a rate lies above an absolute limit.

    Args:
        counted: Requests, and those with the event.
        limit: The rate that is still allowed, between 0 and 1 exclusive.
        alpha: The probability of ever breaching with a rate at the limit.

    Raises:
        ValueError: limit or alpha is not between 0 and 1.
    """
    check_share(limit, "a rate's limit")
    return _evidence([(counted.successes, counted.count, _logit(limit))], alpha)


def rate_bounds(counted: Binary, alpha: float = 0.01) -> Interval:
    """Return an interval of a rate that may be looked at at any time.

    Each end alone holds with probability 1 - alpha, both with 1 - 2 alpha: pass half of alpha for
    an interval. Without requests it is 0 to 1.

    Raises:
        ValueError: alpha is not between 0 and 1.
    """
    check_share(alpha, "alpha")
    rows = [(counted.successes, counted.count, 0.0)]
    low, high = _bounds(rows, alpha)
    return Interval(_share(low), _share(high))


def against_control(
    epochs: Sequence[Events], *, allowed_increase: float = 0.0, alpha: float = 0.01
) -> Evidence:
    """Return the evidence that a treatment has more events than the control, allowance included.

    Given that an event happened, it was the treatment's with probability theta = w_t r / (w_t r +
    w_c), r being the ratio of both rates: no denominators, and a rate that rises and falls for both
    arms together does not matter. The null is r <= 1 + allowed_increase, which makes it a
    non-inferiority test. Epochs with different shares share one bet on r, which costs less than
    multiplying their e-values.

    Args:
        epochs: Events by version of the shares.
        allowed_increase: 0.1 allows ten percent more events than the control; above -1.
        alpha: The probability of ever breaching within the allowance.

    Raises:
        ValueError: alpha is not between 0 and 1, or the allowance is -1 or less.
    """
    if not (allowed_increase > -1 and math.isfinite(allowed_increase)):
        raise ValueError(f"the allowed increase must be above -1, not {allowed_increase!r}")
    return _evidence(_rows(epochs, math.log1p(allowed_increase)), alpha)


def rate_ratio_bounds(epochs: Sequence[Events], alpha: float = 0.01) -> Interval:
    """Return an interval of treatment's over control's rate that may be looked at at any time.

    Each end alone holds with probability 1 - alpha. Not inferior: the high end is at most
    1 + allowed increase. Without events it is 0 to infinity.

    Raises:
        ValueError: alpha is not between 0 and 1.
    """
    check_share(alpha, "alpha")
    low, high = _bounds(_rows(epochs, 0.0), alpha)
    return Interval(math.exp(low), math.exp(high))


def log_e_values(
    events: special.FloatArray, trials: special.FloatArray, log_odds: float
) -> special.FloatArray:
    """Return log E for many looks at once, each with cumulative counts and one null.

    Args:
        events: Events up to each look, one-dimensional.
        trials: Trials up to each look, same shape.
        log_odds: The null's log-odds of an event.
    """
    terms = np.outer(events, _BETS) - np.outer(trials, _rise(np.array([log_odds]), _BETS)[0])
    top = terms.max(axis=1)
    return np.asarray(top + np.log(np.mean(np.exp(terms - top[:, None]), axis=1)), dtype=np.float64)


Row = tuple[int, int, float]
"""Events, trials, and the null's log-odds of an event."""


def _rows(epochs: Sequence[Events], log_ratio: float) -> list[Row]:
    return [
        (
            epoch.treatment,
            epoch.treatment + epoch.control,
            math.log(epoch.treatment_share / epoch.control_share) + log_ratio,
        )
        for epoch in epochs
    ]


def _evidence(rows: Sequence[Row], alpha: float) -> Evidence:
    check_share(alpha, "alpha")
    log_e = _mixed([_BETS * events - trials * _known_rise(odds) for events, trials, odds in rows])
    return Evidence(
        log_e=log_e,
        p_value=math.exp(min(0.0, -log_e)),
        breached=log_e >= -math.log(alpha),
        alpha=alpha,
    )


def _log_e(rows: Sequence[Row], shift: float, bets: special.FloatArray) -> float:
    """Return log E of the null that lies `shift` above the rows' own."""
    return _mixed(
        [
            bets * events - trials * _rise(np.array([log_odds + shift]), bets)[0]
            for events, trials, log_odds in rows
        ]
    )


def _mixed(terms: Sequence[special.FloatArray]) -> float:
    """Return log E of all bets with equal weights, of each epoch's log-likelihood ratios."""
    if not terms:
        return 0.0
    total = terms[0] if len(terms) == 1 else np.asarray(sum(terms[1:], terms[0]))
    return special.log_sum_exp(total) - math.log(len(total))


@lru_cache(maxsize=256)
def _known_rise(log_odds: float) -> special.FloatArray:
    """Return `_rise` of a limit, which is the same at every look: half of a test's work."""
    rise: special.FloatArray = _rise(np.array([log_odds]), _BETS)[0]
    rise.setflags(write=False)
    return rise


def _rise(log_odds: special.FloatArray, bets: special.FloatArray) -> special.FloatArray:
    """Return log((1 + e^(eta+g)) / (1 + e^eta)) as log(1 + p (e^g - 1)): exact for small ones."""
    p = 1 / (1 + np.exp(-np.clip(log_odds, -700, 700)))[:, None]
    return np.asarray(np.log1p(p * np.expm1(bets)), dtype=np.float64)


def _bounds(rows: Sequence[Row], alpha: float) -> tuple[float, float]:
    """Return the shifts of the null that are not rejected: those below, and those above."""
    threshold = -math.log(alpha)
    events = sum(row[0] for row in rows)
    trials = sum(row[1] for row in rows)
    low = -math.inf
    high = math.inf
    if events:
        low = _crossing(lambda shift: _log_e(rows, shift, _BETS) >= threshold, "low")
    if events < trials:
        high = _crossing(lambda shift: _log_e(rows, shift, -_BETS) >= threshold, "high")
    return low, high


def _crossing(rejected: Callable[[float], bool], end: Literal["low", "high"]) -> float:
    """Return where rejection ends: log E falls (low end) or rises (high end) with the shift."""
    left, right = -60.0, 60.0
    if not rejected(left if end == "low" else right):
        return -math.inf if end == "low" else math.inf
    for _ in range(48):
        middle = (left + right) / 2
        if rejected(middle) == (end == "low"):
            left = middle
        else:
            right = middle
    # The outer side, so that rounding never narrows the interval.
    return left if end == "low" else right


def _logit(share: float) -> float:
    return math.log(share) - math.log1p(-share)


def _share(log_odds: float) -> float:
    if log_odds == -math.inf:
        return 0.0
    return 1.0 if log_odds == math.inf else 1 / (1 + math.exp(-log_odds))

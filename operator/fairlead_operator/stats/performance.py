"""Whether a model errs more often than it used to: concept drift, where outcomes are known.

What counts as an error is decided elsewhere; here are windows of counts, in the order in which the
outcomes came. The error share that is allowed (`allowed`) is what the reference leaves open and a
margin that matters. For each of a few larger shares the likelihood ratio of a window against the
allowed share is an e-value whatever the true share below it is, also if it changes from window to
window, because the ratio grows with the share. The Shiryaev-Roberts sum of these,

    R <- (R + 1) L,

restarts at each window, since nobody knows when a model went bad; averaged over the larger shares,
it exceeds `Rules.threshold` on average not before so many windows have passed (R - t is a
supermartingale; e-detectors: Shin, Ramdas and Rinaldo, arXiv:2203.03532). It may be looked at at
any moment, also within a window. Once the alarm is raised R stops growing, so that it can end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fairlead_operator.stats import special
from fairlead_operator.stats.aggregates import Binary
from fairlead_operator.stats.drift_rules import FALSE_ALARMS_PER_WEEK, WEEK_S
from fairlead_operator.stats.proportions import clopper_pearson

_REFERENCE_ALPHA = 0.02
"""The allowed share is the upper end of the reference's two-sided 98 % interval, and the margin."""
_SHIFTS = np.array([0.1, 0.2, 0.4, 0.8, 1.6])
"""By how much larger the log odds are that each part of the detector looks for."""
_MOST = 1 - 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a model counts as degraded.

    Attributes:
        reference: Outcomes and errors of a time when it was well; None: its own first outcomes.
        reference_outcomes: How many of its own make the reference.
        margin: By how much the error share may grow.
        window_s: How long the windows are.
    """

    reference: Binary | None = None
    reference_outcomes: int = 500
    margin: float = 0.02
    window_s: float = 3600.0

    @property
    def threshold(self) -> float:
        """Windows to a false alarm, on average: twenty weeks of them."""
        return WEEK_S / (FALSE_ALARMS_PER_WEEK * self.window_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Outcomes that came in one window.

    Attributes:
        start_s: When it began, seconds since 1970.
        count: Outcomes that met their prediction.
        errors: Those of them that differ from it.
        distance: The sum of their absolute differences; 0 for labels.
    """

    start_s: float
    count: int
    errors: int
    distance: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the windows say.

    Attributes:
        reference: What the model is measured by; None while there are too few outcomes.
        allowed: The error share that is allowed; None without a reference.
        recent: The outcomes of the newest windows, as many as it takes to have a hundred.
        recent_distance: The sum of their absolute differences.
        count: All outcomes.
        log_evidence: Logarithm of R; minus infinity without outcomes beyond the reference.
        since_s: When the alarm was raised, seconds since 1970; None without one.
    """

    reference: Binary | None
    allowed: float | None
    recent: Binary
    recent_distance: float
    count: int
    log_evidence: float = -math.inf
    since_s: float | None = None


def allowed(reference: Binary, margin: float) -> float:
    """Return the error share that is allowed, given counts of a time when the model was well."""
    interval = clopper_pearson(reference, _REFERENCE_ALPHA)
    upper = 1.0 if interval is None else interval.high
    return min(_MOST, upper + margin)


def judge(windows: Sequence[Window], rules: Rules) -> Finding:
    """Return what windows say, in the order of time; the newest may still grow.

    Args:
        windows: All of one revision; the reference may be among them.
        rules: What counts.
    """
    reference, rest = _reference(windows, rules)
    recent, distance = _recent(windows)
    limit = None if reference is None else allowed(reference, rules.margin)
    log_evidence, since_s = -math.inf, None
    if limit is not None:
        for log_evidence, since_s in trace(rest, limit, rules.threshold):  # noqa: B007 - the last
            pass
    return Finding(
        reference=reference,
        allowed=limit,
        recent=recent,
        recent_distance=distance,
        count=sum(each.count for each in windows),
        log_evidence=log_evidence,
        since_s=since_s,
    )


def trace(
    windows: Iterable[Window], limit: float, threshold: float
) -> Iterator[tuple[float, float | None]]:
    """Return after each window log R, and since when it is an alarm.

    An alarm ends where R has come down half the way, in logarithms: what raised it has then been
    taken back by as much evidence of the contrary as half of it took.

    Args:
        windows: In the order of time.
        limit: The error share that is allowed.
        threshold: What raises the alarm.
    """
    alarm = math.log(threshold)
    odds = math.log(limit) - math.log1p(-limit)
    shares = 1 / (1 + np.exp(-(odds + _SHIFTS)))
    of_error = np.log(shares) - math.log(limit)
    of_none = np.log1p(-shares) - math.log1p(-limit)
    log_r = np.full(len(_SHIFTS), -math.inf)
    since_s: float | None = None
    for window in windows:
        ratio = window.errors * of_error + (window.count - window.errors) * of_none
        log_r = np.minimum(np.logaddexp(log_r, 0.0) + ratio, alarm + math.log(len(_SHIFTS)))
        together = special.log_sum_exp(log_r) - math.log(len(_SHIFTS))
        if since_s is None and together >= alarm:
            since_s = window.start_s
        elif since_s is not None and together <= alarm / 2:
            since_s = None
        yield together, since_s


def _reference(windows: Sequence[Window], rules: Rules) -> tuple[Binary | None, Sequence[Window]]:
    """Return the reference, and the windows that are judged by it."""
    if rules.reference is not None:
        return rules.reference, windows
    count = errors = 0
    for place, window in enumerate(windows[:-1]):  # the newest still grows
        count, errors = count + window.count, errors + window.errors
        if count >= rules.reference_outcomes:
            return Binary(count, errors), windows[place + 1 :]
    return None, ()


def _recent(windows: Sequence[Window]) -> tuple[Binary, float]:
    count = errors = 0
    distance = 0.0
    for window in reversed(windows):
        count, errors = count + window.count, errors + window.errors
        distance += window.distance
        if count >= 100:  # noqa: PLR2004 - a percent is one of them
            break
    return Binary(count, errors), distance

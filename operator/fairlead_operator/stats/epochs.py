"""Joining what was counted under different weights.

Adding up counts over a ramp compares a control that had most of its units in the first week with a
treatment that had them in the second: a -1.3 points effect has read as -20. So arms are compared
within an epoch and the comparisons averaged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fairlead_operator.stats import special
from fairlead_operator.stats.aggregates import Aggregate, Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratified:
    """Two arms as if their units had come in the same proportions over the epochs.

    Attributes:
        control: The control's mean, averaged over epochs; None where no epoch can be used.
        treatment: The treatment's, with the same weights; None likewise.
        units: What the comparison is worth, as units of an even split: the sum of
            4 n_c n_t/(n_c + n_t). For `sequential`, which needs that units * SE^2 settles.
        epochs: How many epochs were used.
    """

    control: Estimate | None
    treatment: Estimate | None
    units: float
    epochs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """Estimates of one effect, joined.

    Attributes:
        estimate: The average; None where there is nothing to average.
        heterogeneity: Cochran's Q, which is large where the estimates contradict each other.
        degrees: Of Q: one less than there are estimates.
        p_value: Of Q; None with fewer than two estimates.
    """

    estimate: Estimate | None
    heterogeneity: float
    degrees: int
    p_value: float | None


def stratify(control: Sequence[Aggregate], treatment: Sequence[Aggregate]) -> Stratified:
    """Return both arms' means averaged over epochs with weights n_c n_t / (n_c + n_t).

    These are the inverse variances of the differences if units vary alike in all arms and epochs
    (Cochran, Biometrics 10 (1954) 417; Mantel-Haenszel's risk difference). Unlike estimated
    variances they do not depend on the outcomes: see `inverse_variance`. The treatment's mean minus
    the control's is then the averaged difference, and its square error the sum of both.

    Epochs in which an arm has no estimate are left out.

    Args:
        control: The control's aggregates by epoch.
        treatment: The treatment's, for the same epochs.

    Raises:
        ValueError: The arms have different numbers of epochs.
    """
    if len(control) != len(treatment):
        raise ValueError(f"{len(control)} epochs of the control, {len(treatment)} of the treatment")
    parts: list[tuple[float, Estimate, Estimate]] = []
    for mine, theirs in zip(control, treatment, strict=True):
        a, b = mine.estimate(), theirs.estimate()
        if a is not None and b is not None:
            parts.append((mine.count * theirs.count / (mine.count + theirs.count), a, b))
    whole = math.fsum(weight for weight, _, _ in parts)
    if not parts:
        return Stratified(control=None, treatment=None, units=0.0, epochs=0)
    shares = [weight / whole for weight, _, _ in parts]
    return Stratified(
        control=_average(shares, [a for _, a, _ in parts]),
        treatment=_average(shares, [b for _, _, b in parts]),
        units=4 * whole,
        epochs=len(parts),
    )


def averages(arms: Sequence[Sequence[Aggregate]]) -> tuple[Estimate | None, ...]:
    """Return the means of any number of arms, averaged over epochs with the same weights for all.

    The weights are 1 / (sum of 1/n over the arms), for two arms those of `stratify`. Epochs in
    which an arm has no estimate are left out; without any the means are None.

    Args:
        arms: Each arm's aggregates by epoch.

    Raises:
        ValueError: The arms have different numbers of epochs.
    """
    if len({len(arm) for arm in arms}) > 1:
        raise ValueError("all arms need the same epochs")
    parts: list[tuple[float, list[Estimate]]] = []
    for epoch in zip(*arms, strict=True):
        found = [one.estimate() for one in epoch]
        known = [estimate for estimate in found if estimate is not None]
        if len(known) == len(arms):
            parts.append((1 / math.fsum(1 / one.count for one in epoch), known))
    if not parts:
        return (None,) * len(arms)
    whole = math.fsum(weight for weight, _ in parts)
    shares = [weight / whole for weight, _ in parts]
    return tuple(
        _average(shares, [estimates[index] for _, estimates in parts]) for index in range(len(arms))
    )


def _average(shares: Sequence[float], estimates: Sequence[Estimate]) -> Estimate:
    pairs = list(zip(shares, estimates, strict=True))
    return Estimate(
        math.fsum(share * one.value for share, one in pairs),
        math.sqrt(math.fsum((share * one.standard_error) ** 2 for share, one in pairs)),
    )


def inverse_variance(estimates: Sequence[Estimate | None]) -> Combined:
    """Return the average of independent estimates of one effect, each weighted by 1/SE^2.

    It has the least variance where the standard errors are known. Where they are estimated from few
    outcomes it is biased: an epoch that happened to see few successes also has a small standard
    error, and gets the most weight. For arms on a ramp use `stratify`; this is for effects whose
    errors are firm, of several sites or runs. Estimates that are None or have no standard error are
    left out. Source: Cochran, Biometrics 10 (1954) 101; Q is chi-squared where all estimate the
    same.
    """
    used = [one for one in estimates if one is not None and one.standard_error > 0]
    if not used:
        return Combined(estimate=None, heterogeneity=0.0, degrees=0, p_value=None)
    weights = [one.standard_error**-2 for one in used]
    whole = math.fsum(weights)
    value = math.fsum(w * one.value for w, one in zip(weights, used, strict=True)) / whole
    q = math.fsum(w * (one.value - value) ** 2 for w, one in zip(weights, used, strict=True))
    degrees = len(used) - 1
    return Combined(
        estimate=Estimate(value, whole**-0.5),
        heterogeneity=q,
        degrees=degrees,
        p_value=special.chi_squared_tail(q, degrees) if degrees else None,
    )

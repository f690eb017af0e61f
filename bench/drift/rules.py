"""The rules under test, on arrays of looks: the shipped one, variants, and fixed thresholds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from bench.drift.streams import ROWS, Floats, Ints
from fairlead_operator.stats import drift
from fairlead_operator.stats.drift_rules import DEFAULT
from fairlead_runtime.contract.drift import SMOOTHING

BINS = 10
FINE_BINS = 100
_SPREADS = (5.0, 25.0, 125.0)


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        name: Of the figures.
        over: Returns whether each look finds a feature drifting, of shape [model, feature, look],
            from PSI and log E of that shape and the reference's rows.
        raise_after: Looks in a row that raise an alarm.
        clear_after: Looks in a row without that clear it.
    """

    name: str
    over: Callable[[Floats, Floats, int], Ints]
    raise_after: int
    clear_after: int


def psi(counts: Ints, reference_rows: int) -> Floats:
    """Return the PSI of looks against a reference with equal bins."""
    p = (counts + SMOOTHING) / (ROWS + SMOOTHING * BINS)
    q = 1 / BINS
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=-1), dtype=np.float64)


def log_e(counts: Ints, reference_rows: int) -> Floats:
    """Return log E of looks, the bin of missing values included; as `stats.drift.log_e_value`."""
    prior = np.append(np.full(BINS, reference_rows / BINS + 0.5), 0.5)
    null = _log_likelihood(counts, prior)
    others = [_log_likelihood(counts, spread * prior / prior.sum()) for spread in _SPREADS]
    total = np.logaddexp.reduce(np.stack(others), axis=0) - np.log(len(_SPREADS))
    return np.asarray(total - null, dtype=np.float64)


def _log_likelihood(counts: Ints, prior: Floats) -> Floats:
    # The bins are equal: one table of log-gamma serves all of them.
    table = special.gammaln(prior[0] + np.arange(ROWS + 1)) - special.gammaln(prior[0])
    whole = special.gammaln(prior.sum()) - special.gammaln(prior.sum() + ROWS)
    return np.asarray(whole + table[counts].sum(axis=-1), dtype=np.float64)


def kolmogorov_p(counts: Ints, reference_rows: int) -> Floats:
    """Return p-values of the two-sample Kolmogorov-Smirnov test on fine bins."""
    below = np.cumsum(counts, axis=-1) / ROWS - np.arange(1, FINE_BINS + 1) / FINE_BINS
    effective = ROWS * reference_rows / (ROWS + reference_rows)
    distance = np.abs(below).max(axis=-1)
    return np.asarray(special.kolmogorov(np.sqrt(effective) * distance), dtype=np.float64)


def rejected(log_es: Floats, alpha: float) -> Ints:
    """Return what e-BH rejects at each look; features are the second axis."""
    features = log_es.shape[1]
    ranked = -np.sort(-log_es, axis=1)
    ranks = np.arange(1, features + 1)[None, :, None]
    enough = ranked >= np.log(features / (alpha * ranks))
    count = np.where(enough, ranks, 0).max(axis=1, keepdims=True)
    return np.asarray((count > 0) & (log_es >= np.log(features / (alpha * np.maximum(count, 1)))))


def _shipped(psis: Floats, log_es: Floats, reference_rows: int) -> Ints:
    limit = drift.MATERIAL_PSI + _noise(psis, reference_rows)
    return np.asarray(rejected(log_es, drift.ALPHA) & (psis >= limit))


def _maximum(psis: Floats, log_es: Floats, reference_rows: int) -> Ints:
    limit = max(drift.MATERIAL_PSI, _noise(psis, reference_rows))
    return np.asarray(rejected(log_es, drift.ALPHA) & (psis >= limit))


def _noise(psis: Floats, reference_rows: int) -> float:
    return drift.noise(ROWS, reference_rows, BINS, drift.ALPHA / psis.shape[1])


def _fixed(psis: Floats, _log_es: Floats, _reference_rows: int) -> Ints:
    return np.asarray(psis >= 0.2)


RULES = (
    Rule("shipped", _shipped, DEFAULT.raise_after, DEFAULT.clear_after),
    Rule("sum_one_look", _shipped, 1, 1),
    Rule("maximum_one_look", _maximum, 1, 1),
    Rule("maximum_two_looks", _maximum, DEFAULT.raise_after, DEFAULT.clear_after),
    Rule("psi_0.2", _fixed, 1, 1),
)


def alarms(over: Ints, rule: Rule) -> Ints:
    """Return whether each feature is in alarm after each look, as `stats.drift_watch` has it."""
    shape = over.shape[:-1]
    above, within = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    alarm, found = np.zeros(shape, bool), np.empty(over.shape, bool)
    for look in range(over.shape[-1]):
        now = over[..., look]
        above, within = np.where(now, above + 1, 0), np.where(now, 0, within + 1)
        alarm = np.where(
            now, alarm | (above >= rule.raise_after), alarm & (within < rule.clear_after)
        )
        found[..., look] = alarm
    return found

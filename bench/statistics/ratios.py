"""The ratio check at every look: how often it cries wolf, and how soon it sees a wolf."""

from __future__ import annotations

import math

import numpy as np

from bench.statistics.streams import LOOKS, PER_LOOK, FloatArray
from fairlead_operator.experiment.ratio import ALPHA
from fairlead_operator.stats.ratio import DEFAULT_CONCENTRATION, log_e_values
from fairlead_operator.stats.special import chi_squared_tail

CLEAN = {
    "even": ((0, (0.5, 0.5)),),
    "90/10": ((0, (0.9, 0.1)),),
    "three arms": ((0, (0.34, 0.33, 0.33)),),
    "ramp": ((0, (0.9, 0.1)), (100, (0.75, 0.25)), (250, (0.5, 0.5))),
}
WITHIN = 20_000
"""Users within which 52/48 has to be seen."""


def alarms(
    steps: tuple[tuple[int, tuple[float, ...]], ...],
    generator: np.random.Generator,
    repeats: int,
    *,
    looks: int = LOOKS,
    true: tuple[float, ...] | None = None,
) -> tuple[float, float]:
    """Return how many of the Experiments ever alarm: by the e-value, and by chi-squared peeked at.

    Args:
        steps: From which look on which shares hold.
        generator: Of random numbers.
        repeats: How many Experiments.
        looks: How many looks each has.
        true: The shares with which users really arrive, where they are others.
    """
    by_e = np.zeros(repeats, dtype=bool)
    by_chi = np.zeros(repeats, dtype=bool)
    ends = [begin for begin, _ in steps[1:]] + [looks]
    spans = [end - begin for (begin, _), end in zip(steps, ends, strict=True)]
    limit = -math.log(ALPHA)
    quantile = _quantile(len(steps[0][1]) - 1)
    for repeat in range(repeats):
        before: list[tuple[FloatArray, FloatArray]] = []
        for number, ((_, shares), span) in enumerate(zip(steps, spans, strict=True)):
            weights = np.array(shares)
            real = np.array(true) if true is not None else weights
            units = np.cumsum(generator.multinomial(PER_LOOK, real, size=span), axis=0)
            counts = units.astype(np.float64)
            stayed = [
                (_thinned(generator, had, np.minimum(weight, weights) / weight), kept)
                for had, weight in before
                for kept in [np.minimum(weight, weights)]
            ]
            log_e = log_e_values(counts, weights / weights.sum(), DEFAULT_CONCENTRATION)
            expected = counts.sum(axis=1, keepdims=True) * weights
            seen = counts
            for had, kept in stayed:
                log_e = log_e + log_e_values(had[None], kept / kept.sum(), DEFAULT_CONCENTRATION)
                expected = expected + had.sum() * kept / kept.sum()
                seen = seen + had
            by_e[repeat] |= bool(log_e.max() >= limit)
            statistic = ((seen - expected) ** 2 / expected).sum(axis=1)
            by_chi[repeat] |= bool(statistic[expected.min(axis=1) >= 5].max() > quantile)
            before = [*stayed, (counts[-1], weights)]
            del number
    return float(by_e.mean()), float(by_chi.mean())


def _thinned(generator: np.random.Generator, had: FloatArray, stays: FloatArray) -> FloatArray:
    """Return the units whose slot keeps its arm."""
    return generator.binomial(had.astype(np.int64), stays).astype(np.float64)


def _quantile(degrees: int) -> float:
    """Return the chi-squared that a single look exceeds with probability alpha."""
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if chi_squared_tail(middle, degrees) > ALPHA else (low, middle)
    return low

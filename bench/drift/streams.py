"""Simulated traffic: looks at rows with a daily cycle and rows that depend on the row before.

Each look has `ROWS` rows of  x = cycle(time of day) + shift + u,  where u is a stationary AR(1) of
unit variance. Rows of one look depend on each other exactly so; the windows of u are drawn, with
replacement, from a bank of independent ones, kept as fine cumulative counts, so that weeks of
hundreds of features take seconds. References are independent rows from all hours of the day, as
shuffled training data are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

ROWS = 1000
"""Rows of a look: the least that DESIGN's window has."""
LOOKS_PER_DAY = 288
WEEK = 7 * LOOKS_PER_DAY
CYCLE_SD = 0.2
AUTOREGRESSION = 0.5
SHIFT_SD = 0.5
_STEP, _LOW, _POINTS = 0.01, -6.0, 1201
_BURN_IN = 40

Ints = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


class Bank:
    """Windows of autoregressive rows."""

    def __init__(
        self, random: np.random.Generator, *, windows: int, autoregression: float = AUTOREGRESSION
    ) -> None:
        self._random = random
        self._below = np.empty((windows, _POINTS), np.uint16)
        block = 500
        for start in range(0, windows, block):
            count = min(block, windows - start)
            u = _autoregressive(random, count, autoregression)
            place = np.clip(np.floor((u - _LOW) / _STEP).astype(np.int64) + 1, 0, _POINTS - 1)
            place += np.arange(count)[:, None] * _POINTS
            counts = np.bincount(place.ravel(), minlength=count * _POINTS)
            self._below[start : start + count] = np.cumsum(counts.reshape(count, _POINTS), axis=1)

    def looks(self, edges: Floats, means: Floats) -> Ints:
        """Return counts of shape [feature, look, bin].

        Args:
            edges: Of shape [feature, bin - 1].
            means: Of shape [look] or [feature, look].
        """
        features, count = edges.shape[0], means.shape[-1]
        drawn = self._random.integers(0, len(self._below), (features, count))
        where = edges[:, None, :] - np.broadcast_to(means, (features, count))[:, :, None] - _LOW
        place = np.clip(np.rint(where / _STEP).astype(np.int32), 0, _POINTS - 1)
        below = self._below[drawn[:, :, None], place].astype(np.int32)
        first = np.zeros((features, count, 1), np.int32)
        return np.diff(np.concatenate([first, below, first + ROWS], axis=2), axis=2)


def _autoregressive(random: np.random.Generator, windows: int, phi: float) -> Floats:
    """Return stationary AR(1) rows of unit variance, of shape [window, row]."""
    shocks = random.standard_normal((_BURN_IN + ROWS, windows), dtype=np.float32)
    shocks *= np.float32(np.sqrt(1 - phi * phi))
    for row in range(1, _BURN_IN + ROWS):
        shocks[row] += np.float32(phi) * shocks[row - 1]
    return np.asarray(shocks[_BURN_IN:].T, dtype=np.float64)


def cycle(looks: Ints, cycle_sd: float = CYCLE_SD) -> Floats:
    """Return the mean at each look; a day has LOOKS_PER_DAY of them."""
    return np.asarray(cycle_sd * np.sin(2 * np.pi * looks / LOOKS_PER_DAY), dtype=np.float64)


def edges(
    random: np.random.Generator, features: int, rows: int, bins: int, cycle_sd: float = CYCLE_SD
) -> Floats:
    """Return the quantile edges of fresh references: each bin holds rows / bins of them."""
    hours = 2 * np.pi * random.random((features, rows))
    values = np.sort(cycle_sd * np.sin(hours) + random.standard_normal((features, rows)), axis=1)
    return np.asarray(values[:, [rows * k // bins for k in range(1, bins)]], dtype=np.float64)

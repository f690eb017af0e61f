"""What is known of a tensor's columns while a profile is made, before there are any bins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fairlead_runtime.contract.drift_profile import MAX_BINS
from fairlead_runtime.drift.sketch import Sketch, Values
from fairlead_runtime.protocol.types import Array

FINE_BINS = 100
MOST_CODES = 20
"""Whole numbers with no more values than these are categories."""
MOST_CATEGORIES = 100
"""Texts with more values than these are cut: the others are counted together."""
_ABSURD = 1e100  # no measurement; its square would be infinite
_MOST_TEXTS = 10_000  # distinct ones that are counted at a time


class NumberColumns:
    """Moments and quantiles of columns of numbers, exact while they fit into memory."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.present = np.zeros(columns, np.int64)
        self.mean, self._squares = np.zeros(columns), np.zeros(columns)
        self.minimum, self.maximum = np.full(columns, np.inf), np.full(columns, -np.inf)
        self._kept: list[Values] | None = []
        self._sketch: Sketch | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the values that are kept."""
        return sum(rows.nbytes for rows in self._kept or ())

    @property
    def exact(self) -> bool:
        """Whether all values are there."""
        return self._kept is not None

    def add(self, columns: Values) -> None:
        """Add values of shape [column, row]; NaN, infinite and absurd ones are left out."""
        rows = np.where(np.abs(columns) < _ABSURD, columns, np.nan).T
        count = np.sum(~np.isnan(rows), axis=0)
        filled = np.where(np.isnan(rows), 0.0, rows)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            mean = np.where(count > 0, filled.sum(axis=0) / np.maximum(count, 1), 0.0)
            squares = (np.where(np.isnan(rows), 0.0, rows - mean) ** 2).sum(axis=0)
            self._merge(count, mean, squares)
        some = count > 0
        if some.any():
            self.minimum[some] = np.minimum(self.minimum[some], np.nanmin(rows[:, some], axis=0))
            self.maximum[some] = np.maximum(self.maximum[some], np.nanmax(rows[:, some], axis=0))
        if self._kept is not None:
            self._kept.append(rows)
        elif self._sketch is not None:
            self._sketch.add(rows)

    def sketch(self) -> None:
        """From now on keep only a sketch of the values."""
        self._sketch = Sketch(self.columns)
        for rows in self._kept or ():
            self._sketch.add(rows)
        self._kept = None

    def deviation(self, column: int) -> float:
        """Return the standard deviation of a column."""
        return float(np.sqrt(self._squares[column] / max(int(self.present[column]), 1)))

    def edges(self, column: int) -> tuple[float, ...]:
        """Return the edges of about FINE_BINS bins of equal counts, and the two tails' edges."""
        present = int(self.present[column])
        if present == 0:
            return (0.0,)
        low, high = float(self.minimum[column]), float(self.maximum[column])
        ranks = np.arange(1, FINE_BINS) * present // FINE_BINS
        if self._kept is not None:
            values = np.sort(np.concatenate([rows[:, column] for rows in self._kept]))
            inner = values[ranks]
        elif self._sketch is not None:
            inner = self._sketch.quantiles(column, ranks, present)
        beyond = float(np.nextafter(high, np.inf))
        found = [low, *(each for each in np.unique(inner).tolist() if low < each <= high)]
        return (*found, beyond) if np.isfinite(beyond) else tuple(found)

    def _merge(self, count: NDArray[np.int64], mean: Values, squares: Values) -> None:
        """Join moments: Chan, Golub and LeVeque (1979)."""
        total = self.present + count
        safe = np.maximum(total, 1)
        apart = mean - self.mean
        self._squares += squares + apart**2 * (self.present * count / safe)
        self.mean += apart * count / safe
        self.present = total


class CodeColumns:
    """Distinct values of columns of whole numbers, as long as they are few."""

    def __init__(self, columns: int) -> None:
        self._seen: list[dict[int, int] | None] = [{} for _ in range(columns)]

    def add(self, columns: Array) -> None:
        """Add values of shape [column, row]."""
        for index, seen in enumerate(self._seen):
            if seen is None:
                continue
            values, counts = np.unique(columns[index], return_counts=True)
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                seen[int(value)] = seen.get(int(value), 0) + count
            if len(seen) > MOST_CODES:
                self._seen[index] = None

    def categories(self, column: int) -> tuple[int, ...] | None:
        """Return the values, the most frequent first; None where they are too many."""
        seen = self._seen[column]
        return None if seen is None else tuple(sorted(seen, key=lambda each: (-seen[each], each)))


class TextColumns:
    """Texts by frequency; the rarest are forgotten where there are very many."""

    def __init__(self, columns: int) -> None:
        self._seen: list[dict[str, int]] = [{} for _ in range(columns)]
        self.exact = True

    def add(self, columns: Sequence[Sequence[object]]) -> None:
        """Add values of shape [column, row]; None is missing."""
        for index, column in enumerate(columns):
            seen = self._seen[index]
            for value in column:
                if isinstance(value, str):
                    seen[value] = seen.get(value, 0) + 1
            if len(seen) > _MOST_TEXTS:
                # One of the hundred most frequent is hardly ever among the rarest half.
                self.exact = False
                kept = sorted(seen, key=lambda each: (-seen[each], each))[: _MOST_TEXTS // 2]
                self._seen[index] = {text: seen[text] for text in kept}

    def categories(self, column: int) -> tuple[str, ...]:
        """Return the most frequent texts, the most frequent first."""
        seen = self._seen[column]
        return tuple(sorted(seen, key=lambda each: (-seen[each], each))[:MOST_CATEGORIES])


assert max(FINE_BINS + 2, MOST_CATEGORIES + 1) <= MAX_BINS  # noqa: S101 - or no profile is read

"""Quantiles of more values than fit into memory: deterministic, mergeless, many columns at once.

Buffers of `size` sorted rows stand for 2^level rows each. Two of a level are sorted together, and
every other one goes up a level, the odd and the even ones in turn (Munro and Paterson, 1980; the
turns as in KLL, but not random). For N rows a rank is off by at most log2(N / size) / (2 size) of
all: with 2048 and a thousand million rows, by half a percent, and usually far less.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
SIZE = 2048


class Sketch:
    """Quantiles of several columns; NaN is taken for the greatest value of all."""

    def __init__(self, columns: int, size: int = SIZE) -> None:
        self._columns, self._size = columns, size
        self._loose: list[Values] = []
        self._loose_rows = 0
        self._levels: list[Values | None] = []
        self._odd = 0

    def add(self, rows: Values) -> None:
        """Add rows of shape [row, column]."""
        for start in range(0, len(rows), self._size):
            part = rows[start : start + self._size]
            room = self._size - self._loose_rows
            self._push(part[:room])
            self._push(part[room:])

    def quantiles(self, column: int, ranks: NDArray[np.int64], present: int) -> Values:
        """Return the values of ranks of one column.

        Args:
            column: Its index.
            ranks: From 0 to present - 1, rising.
            present: How many of its values are no NaN.
        """
        values: list[Values] = []
        weights: list[Values] = []
        for level, buffer in enumerate(self._levels):
            if buffer is not None:
                values.append(buffer[:, column])
                weights.append(np.full(len(buffer), float(1 << level)))
        for rows in self._loose:
            values.append(rows[:, column])
            weights.append(np.ones(len(rows)))
        everything, weight = np.concatenate(values), np.concatenate(weights)
        some = ~np.isnan(everything)
        everything, weight = everything[some], weight[some]
        order = np.argsort(everything, kind="stable")
        reached = np.cumsum(weight[order])
        # Compaction may keep a few more or fewer NaN than their share.
        wanted = (ranks + 0.5) * (reached[-1] / present)
        places = np.minimum(np.searchsorted(reached, wanted), len(order) - 1)
        return np.asarray(everything[order][places], dtype=np.float64)

    def _push(self, rows: Values) -> None:
        if not len(rows):
            return
        self._loose.append(np.array(rows, dtype=np.float64))
        self._loose_rows += len(rows)
        if self._loose_rows < self._size:
            return
        carried = np.sort(np.concatenate(self._loose), axis=0)
        self._loose, self._loose_rows = [], 0
        level = 0
        while level < len(self._levels) and (other := self._levels[level]) is not None:
            both = np.sort(np.concatenate([other, carried]), axis=0)
            carried = both[self._odd :: 2]
            self._odd = 1 - self._odd
            self._levels[level] = None
            level += 1
        if level == len(self._levels):
            self._levels.append(None)
        self._levels[level] = carried

"""The sliding window: sub-windows of a minute that begin and end with the clock's minutes.

All replicas' sub-windows have the same bounds, so that the same minutes can be added up or
compared. The window is as short as it can be with `WINDOW_ROWS` rows and `WINDOW_S` seconds. Where
traffic is so slow that this takes many minutes, the oldest sub-windows are merged: the memory stays
the same.
"""

from __future__ import annotations

from fairlead_runtime.contract.drift_counts import Window
from fairlead_runtime.drift.counter import Layout, Tally

WINDOW_ROWS = 1000
WINDOW_S = 300.0
PERIOD_S = 60.0
KEPT = 8
"""Closed sub-windows at most."""
_ALONE = 3  # the newest are never merged: a reader that comes every minute sees each by itself


class Sliding:
    """A window that slides as time goes on; one thread writes it."""

    def __init__(self, layout: Layout, now_s: float) -> None:
        self._layout = layout
        self._closed: list[tuple[float, float, Tally]] = []
        self._forgotten = Tally(layout)
        self._first_s: float | None = None
        self._start = _floor(now_s)
        self._current = Tally(layout)

    @property
    def rows(self) -> int:
        """Rows in the window."""
        return sum(tally.rows for _, _, tally in self._closed) + self._current.rows

    @property
    def nbytes(self) -> int:
        """Bytes of all counts."""
        kept = (self._forgotten, self._current, *(tally for _, _, tally in self._closed))
        return sum(tally.nbytes for tally in kept)

    def current(self, now_s: float) -> Tally:
        """Return where rows of this moment are added."""
        self.roll(now_s)
        return self._current

    def roll(self, now_s: float) -> None:
        """Close the sub-window whose time is over, and forget what is too old.

        A clock that goes back by a little changes nothing: rows go to the newest sub-window. One
        that was wrong and is set back takes the sub-windows with it: they would not end before
        their time comes again.
        """
        minute = _floor(now_s)
        if minute < self._start - PERIOD_S:
            self._move(minute - self._start)
        if minute > self._start:
            if self._current.rows:
                self._current.shrink()
                if self._first_s is None:
                    self._first_s = self._start
                self._closed.append((self._start, self._start + PERIOD_S, self._current))
                self._current = Tally(self._layout)
            self._start = minute
        self._forget(now_s)
        while len(self._closed) > KEPT:
            self._merge()

    def closed(self, *, coarse: bool = False) -> tuple[Window, ...]:
        """Return the closed sub-windows, the oldest first."""
        return tuple(
            self._layout.window(tally, start, end, coarse=coarse)
            for start, end, tally in self._closed
        )

    def open(self, now_s: float, *, coarse: bool = False) -> Window | None:
        """Return the sub-window that still grows; None where it has no row."""
        if not self._current.rows:
            return None
        return self._layout.window(self._current, self._start, now_s, coarse=coarse)

    def whole(self, now_s: float) -> Window:
        """Return the counts of the whole window."""
        total = Tally(self._layout)
        for _, _, tally in self._closed:
            total.add(tally)
        total.add(self._current)
        start = self._closed[0][0] if self._closed else self._start
        return self._layout.window(total, start, max(now_s, start))

    def ever(self, now_s: float, *, coarse: bool = False) -> Window:
        """Return the counts of all rows since the beginning: they only grow."""
        total = Tally(self._layout)
        for tally in (self._forgotten, self._current, *(each for _, _, each in self._closed)):
            total.add(tally)
        start = self._start if self._first_s is None else self._first_s
        return self._layout.window(total, min(start, now_s), now_s, coarse=coarse)

    def _move(self, seconds: float) -> None:
        self._closed = [(start + seconds, end + seconds, each) for start, end, each in self._closed]
        self._start += seconds
        if self._first_s is not None:
            self._first_s += seconds

    def _forget(self, now_s: float) -> None:
        """Drop the oldest sub-windows while the others are long and full enough."""
        rows = self.rows
        while self._closed:
            _, end, tally = self._closed[0]
            rows -= tally.rows
            if rows < WINDOW_ROWS or now_s - end < WINDOW_S:
                return
            self._forgotten.add(tally)
            del self._closed[0]

    def _merge(self) -> None:
        """Join the two neighbours that have the fewest rows."""
        pairs = range(len(self._closed) - 1 - _ALONE)
        first = min(pairs, key=lambda i: self._closed[i][2].rows + self._closed[i + 1][2].rows)
        (start, _, older), (_, end, newer) = self._closed[first], self._closed[first + 1]
        joint = Tally(self._layout)
        joint.add(older)
        joint.add(newer)
        joint.shrink()
        self._closed[first : first + 2] = [(start, end, joint)]


def _floor(now_s: float) -> float:
    return now_s // PERIOD_S * PERIOD_S

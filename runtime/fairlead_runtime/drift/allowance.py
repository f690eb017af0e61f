"""A share of one core for work beside the predictions."""

from __future__ import annotations

from collections.abc import Callable


class Allowance:
    """CPU time that grows with the clock, up to a reserve, and is spent by work."""

    def __init__(self, share: float, reserve_s: float, clock: Callable[[], float]) -> None:
        self._share, self._reserve_s, self._clock = share, reserve_s, clock
        self._left_s, self._last = reserve_s, clock()

    @property
    def left(self) -> bool:
        """Whether there is any."""
        now = self._clock()
        self._left_s = min(self._reserve_s, self._left_s + (now - self._last) * self._share)
        self._last = now
        return self._left_s > 0

    def spend(self, seconds: float) -> None:
        """Take some, also more than there is."""
        self._left_s -= seconds

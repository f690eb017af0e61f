"""How much a writer may send: token buckets, of a bounded number of writers."""

from __future__ import annotations

import math
from collections import OrderedDict

_MOST_WRITERS = 1_000


class Rates:
    """One bucket per writer.

    Args:
        per_second: What a writer gets each second.
        burst: What it may have saved up.
    """

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, writer: str, amount: float, now: float) -> int:
        """Take from a writer's bucket; return 0, or after how many seconds to try again.

        A bucket may go below zero by one request: the next ones wait for it.
        """
        level, at = self._buckets.pop(writer, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._per_second)
        wait = 0 if level > 0 else max(1, math.ceil((1 - level) / self._per_second))
        self._buckets[writer] = (level if wait else level - amount, now)
        if len(self._buckets) > _MOST_WRITERS:
            self._buckets.popitem(last=False)
        return wait

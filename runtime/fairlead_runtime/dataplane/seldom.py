"""Something that goes wrong again and again is told once a minute."""

from __future__ import annotations

import time

PERIOD_S = 60.0


class Seldom:
    """Says when it is time to tell again; it has one caller."""

    def __init__(self) -> None:
        self._told = -PERIOD_S

    def due(self) -> bool:
        """Whether nothing was told for a minute; if so, it is taken to be told now."""
        now = time.monotonic()
        if now - self._told < PERIOD_S:
            return False
        self._told = now
        return True

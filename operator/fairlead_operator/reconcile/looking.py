"""When something outside was last looked at, and when it is time to look again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, MutableMapping
from dataclasses import dataclass
from typing import TypeVar

_FORGET_AFTER_S = 3600.0


@dataclass(slots=True)
class Looked:
    """What keepers remember of one revision has this beside it.

    Attributes:
        read_at: When it was last looked at; None where it never was.
        used_at: When somebody last wanted to know.
    """

    read_at: dt.datetime | None = None
    used_at: dt.datetime | None = None

    def due(self, now: dt.datetime, every_s: float) -> bool:
        """Whether it is time to look; if so, that is noted as done at once, come of it what may.

        It is too where the clock has been set back: nobody would look before it has caught up.
        """
        self.used_at = now
        if self.read_at is not None and 0 <= (now - self.read_at).total_seconds() < every_s:
            return False
        self.read_at = now
        return True

    def wait_s(self, now: dt.datetime, every_s: float) -> float | None:
        """Return the seconds until it is time, at least one; None where it was never looked at."""
        if self.read_at is None:
            return None
        return max(1.0, every_s - max(0.0, (now - self.read_at).total_seconds()))


K = TypeVar("K", bound=Hashable)
L = TypeVar("L", bound=Looked)


def forget(known: MutableMapping[K, L], now: dt.datetime) -> None:
    """Forget what nobody has wanted to know for an hour."""
    for key, each in list(known.items()):
        if each.used_at and (now - each.used_at).total_seconds() > _FORGET_AFTER_S:
            del known[key]

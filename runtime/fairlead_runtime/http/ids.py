"""Ids for requests that bring none."""

from __future__ import annotations

import uuid

_COUNT = 1 << 48  # of the ids that 12 hexadecimal digits tell apart


class RequestIds:
    """Version 4 UUIDs of one process: random once, then counted.

    A random one for each request costs a system call and as much as a small model's own work.
    """

    def __init__(self) -> None:
        start = uuid.uuid4()
        self._prefix = str(start)[:24]
        self._next = start.int & (_COUNT - 1)

    def next(self) -> str:
        """Return another one."""
        self._next = (self._next + 1) & (_COUNT - 1)
        return self._prefix + hex(self._next | _COUNT)[3:]  # half the cost of a format

"""A request in the queue, and who counts what happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

from fairlead_runtime.batching.pending import Pending
from fairlead_runtime.protocol.types import InferRequest


class Observer(Protocol):
    """Who counts what happens in the queue."""

    def batch(self, *, requests: int, rows: int, seconds: float) -> None:
        """Note a batch that ran."""

    def queued(self, seconds: float) -> None:
        """Note how long a request waited before it ran."""

    def dropped(self, reason: str) -> None:
        """Note a request that was not run: `queue_full`, `queue_slow`, `deadline`, `cancelled`."""

    def split_up(self) -> None:
        """Note a batch that failed and was run request by request."""


class Item(Pending):
    """A request in the queue, and the answer to it."""

    __slots__ = ("arrived", "key", "leave", "request", "rows", "size", "timer")

    arrived: float
    key: Hashable | None  # what those have in common that it may run with; None where nobody may
    leave: Callable[[Item, str], None]
    request: InferRequest
    rows: int  # -1 where it waits no longer
    size: int
    timer: asyncio.TimerHandle | None

    def cancel(self, msg: object = None) -> bool:
        """Nobody waits for the answer any more: what has not begun is not run."""
        cancelled = super().cancel(msg)
        if cancelled:
            self.end_timer()
            if self.rows >= 0:
                # It is skipped when its turn comes; its place is free at once.
                self.leave(self, "cancelled")
        return cancelled

    def end_timer(self) -> None:
        """Let the deadline pass unnoticed."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


def begin(batch: Sequence[Item]) -> int:
    """Mark items as running and return their rows."""
    rows = 0
    for item in batch:
        rows += item.rows
        item.rows = -1
    return rows

"""A bounded queue with one thread behind it: what the event loop hands over and does not wait for.

What the thread cannot keep up with is dropped and counted, never waited for.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")

CAPACITY = 8192
"""Items that wait; further ones are dropped."""
CAPACITY_BYTES = 64 << 20
"""Bytes that wait, about; beyond that items are dropped as well."""
PAUSE_S = 0.02
"""How long items are gathered, so that the thread wakes fifty times a second at most."""
BATCH = 256
"""Items worked on at once."""
_REST = 1.0  # the thread rests as long as it has worked, times this: half a core at most


class Watcher(Protocol):
    """Who counts what is not looked at."""

    def unseen(self, reason: str, count: int) -> None:
        """Count what was dropped; each reason is counted by one thread."""


class Worker(ABC, Generic[T]):
    """Gathers items and works on them in a thread of its own.

    Args:
        watcher: Counts what is dropped.
        full: The reason that it is told, see `Watcher`.
        capacity: Items that may wait.
        capacity_bytes: Bytes that may wait or be worked on.
        pause_s: How long items are gathered.
    """

    def __init__(
        self,
        watcher: Watcher,
        *,
        full: str,
        capacity: int = CAPACITY,
        capacity_bytes: int = CAPACITY_BYTES,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._watcher, self._full = watcher, full
        self._capacity, self._capacity_bytes, self._pause_s = capacity, capacity_bytes, pause_s
        self._queue: deque[tuple[T, int, int]] = deque()
        # Counters with one writer each, so that no lock is needed.
        self._in = self._out = self._bytes_in = self._bytes_out = 0
        self._awake = False
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def put(self, item: T, size: int, count: int = 1) -> bool:
        """Take an item, or drop it; called on the event loop, and never blocks.

        Args:
            item: What to work on.
            size: About how many bytes it holds.
            count: As how many items it counts.

        Returns:
            Whether it was taken.
        """
        if (
            self._in - self._out + count > self._capacity
            or self._bytes_in - self._bytes_out + size > self._capacity_bytes
        ):
            self._watcher.unseen(self._full, count)
            return False
        self._in += count
        self._bytes_in += size
        self._queue.append((item, size, count))
        if not self._awake:
            self._awake = True
            self._wake.set()
        return True

    def start(self) -> None:
        """Begin, unless that was done before."""
        if self._thread is None:
            name = type(self).__name__.lower()
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Work on what is there for at most so long, and end; blocks."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    @abstractmethod
    def work(self, batch: list[T]) -> None:
        """Work on some items, in the thread; raises nothing."""

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if not self._closing:
                time.sleep(self._pause_s)
            while self._queue:
                started = time.perf_counter()
                self._hand_over()
                if self._closing:
                    continue
                time.sleep(_REST * (time.perf_counter() - started))
                if self._in - self._out < BATCH:
                    break  # gathered first: who wakes for each item takes turns with the event loop
            if self._closing and not self._queue:
                return
            self._awake = False
            if self._queue:  # came between the last look and this line
                self._awake = True
                self._wake.set()

    def _hand_over(self) -> None:
        batch: list[T] = []
        count = size = 0
        while self._queue and count < BATCH:
            item, its_size, its_count = self._queue.popleft()
            batch.append(item)
            count += its_count
            size += its_size
        self._out += count
        self.work(batch)
        self._bytes_out += size

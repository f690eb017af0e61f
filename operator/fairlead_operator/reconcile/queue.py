"""A work queue of keys: one pass per key at a time, no key twice, failures back off."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K")

_BACKOFF_FIRST_S = 0.5
_BACKOFF_LIMIT_S = 300.0
_EXPONENT_LIMIT = 16  # 0.5 s doubled 16 times is beyond the limit already


@dataclass(slots=True)
class _Entry:
    due: float = 0.0
    queued_at: float | None = None
    running: bool = False
    again: bool = False
    failures: int = 0
    generation: int = field(default=0)


class WorkQueue(Generic[K]):
    """Keys that are due now or later.

    `add` while a key's pass runs makes it due again when that pass ends; adding a waiting key
    earlier than it was due moves it forward; adding it later changes nothing.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._jitter = jitter
        self._entries: dict[K, _Entry] = {}
        self._heap: list[tuple[float, int, int, K]] = []
        self._sequence = 0
        self._changed = asyncio.Event()

    def add(self, key: K, *, after_s: float = 0.0) -> None:
        """Make a key due, now or after some seconds."""
        entry = self._entries.setdefault(key, _Entry())
        if entry.running:
            if after_s <= 0:
                entry.again = True
            return
        due = self._clock() + max(0.0, after_s)
        if entry.queued_at is not None and entry.due <= due:
            return
        entry.queued_at = self._clock() if entry.queued_at is None else entry.queued_at
        self._push(key, entry, due)

    async def get(self) -> K:
        """Wait for the next due key and mark its pass as running."""
        while True:
            now = self._clock()
            while self._heap and self._stale(self._heap[0]):
                heapq.heappop(self._heap)
            if self._heap and self._heap[0][0] <= now:
                key = heapq.heappop(self._heap)[3]
                entry = self._entries[key]
                entry.running, entry.queued_at = True, None
                return key
            self._changed.clear()
            wait = self._heap[0][0] - now if self._heap else None
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, key: K, *, requeue_after_s: float | None = None) -> None:
        """End a pass that went well; the decision may ask for the next one."""
        entry = self._entries[key]
        entry.failures = 0
        again = self._end(entry)
        if again:
            self.add(key)
        elif requeue_after_s is not None:
            self.add(key, after_s=requeue_after_s)
        else:
            del self._entries[key]

    def failed(self, key: K, *, at_least_s: float = 0.0) -> float:
        """End a pass that failed; return after how many seconds it is tried again."""
        entry = self._entries[key]
        self._end(entry)
        exponent = min(entry.failures, _EXPONENT_LIMIT)
        entry.failures += 1
        delay: float = min(_BACKOFF_LIMIT_S, _BACKOFF_FIRST_S * 2**exponent)
        delay = max(at_least_s, delay * (0.5 + self._jitter() / 2))
        self.add(key, after_s=delay)
        return delay

    def depth(self) -> int:
        """Return how many keys are due now and wait for a worker."""
        now = self._clock()
        return sum(1 for e in self._entries.values() if e.queued_at is not None and e.due <= now)

    def age_s(self) -> float:
        """Return for how long the longest waiting due key has been due."""
        now = self._clock()
        due = [e.due for e in self._entries.values() if e.queued_at is not None and e.due <= now]
        return now - min(due) if due else 0.0

    def _end(self, entry: _Entry) -> bool:
        again, entry.running, entry.again = entry.again, False, False
        return again

    def _push(self, key: K, entry: _Entry, due: float) -> None:
        self._sequence += 1
        entry.due, entry.generation = due, self._sequence
        heapq.heappush(self._heap, (due, self._sequence, entry.generation, key))
        self._changed.set()

    def _stale(self, item: tuple[float, int, int, K]) -> bool:
        entry = self._entries.get(item[3])
        return entry is None or entry.queued_at is None or entry.generation != item[2]

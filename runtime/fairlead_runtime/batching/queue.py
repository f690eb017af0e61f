"""The queue in front of a model: admission, deadlines, and what runs next and where.

Everything here belongs to one event loop and is called on it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor

from fairlead_runtime.batching.items import Item, Observer, begin
from fairlead_runtime.batching.pace import Pace
from fairlead_runtime.batching.pending import Pending
from fairlead_runtime.batching.plan import Lanes, shape_key
from fairlead_runtime.batching.probe import INLINE_LIMIT_S, Profile
from fairlead_runtime.batching.regroup import LEAST_GAIN, Regroup
from fairlead_runtime.batching.run import Ran, run
from fairlead_runtime.batching.settings import Choice, Mode, Settings
from fairlead_runtime.batching.traced import Traced, Tracer
from fairlead_runtime.engine.session import Engine
from fairlead_runtime.protocol.errors import DeadlineError, NotReadyError, OverloadedError
from fairlead_runtime.protocol.types import DATATYPES, InferRequest, InferResponse

log = logging.getLogger(__name__)
_LARGE = 2.0  # a request is no batch for the loop where it takes this many times the limit
_MOST_RETRY_AFTER_S = 60
_LEAST_TIMER_S = 0.001  # uvloop's timers go by whole milliseconds, and 0 is this turn again


class Batcher:
    """Queues requests and runs them in batches, on the event loop or in threads."""

    def __init__(
        self,
        engine: Engine,
        *,
        settings: Settings,
        choice: Choice,
        profile: Profile,
        pool: Executor,
        observer: Observer,
        look: Callable[[Ran], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer
        self._engine, self._settings = engine, settings
        self._pool, self._observer, self._clock = pool, observer, clock
        self._order = tuple(spec.name for spec in engine.signature.inputs)
        self._look = look  # at each batch, once its answers are on their way
        self._merge = choice.merge
        self._adapts = settings.mode in (Mode.AUTO, Mode.OFF)
        self._pace = Pace(inline=choice.inline, adapts=self._adapts)
        specs = engine.signature.inputs
        itemsize = max((DATATYPES[spec.datatype].itemsize for spec in specs), default=1)
        self._large = profile.elements_within(_LARGE * INLINE_LIMIT_S) * itemsize
        self._has_text = any(spec.datatype == "BYTES" for spec in specs)
        self._loop = asyncio.get_running_loop()
        self._light: Lanes[Item] = Lanes()  # for the event loop
        self._heavy: Lanes[Item] = Lanes()  # for the threads
        self._waiting = self._waiting_bytes = 0
        self._busy = 0
        # Where a batch costs little more than a row, rows that wait for it get more done than a
        # second run beside it, until they fill one.
        self._gathers = self._merge and profile.gain >= LEAST_GAIN
        self._eager = settings.max_delay_s <= 0
        self._flushing = self._pumping = False
        self._regroup = Regroup(profile)
        self._wait_for_s = max(self._regroup.wait_s, _LEAST_TIMER_S)
        self._awaited: Hashable | None = None
        self._regrouping: asyncio.TimerHandle | None = None
        self._timed: set[Callable[[], None]] = set()
        self._per_request_s = profile.single_s if math.isfinite(profile.single_s) else 0.0

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._waiting

    def infer(self, request: InferRequest) -> Pending:
        """Take a request; its answer is to be awaited, which raises what is said here as well.

        Raises:
            OverloadedError: Too many are waiting.
            DeadlineError: Its deadline passed first.
            InferenceError: The model failed on it.
        """
        now = self._clock()
        if self._waiting >= self._settings.max_waiting:
            self._observer.dropped("queue_full")
            raise OverloadedError(self._waiting, self._retry_after_s())
        if self._waiting and self._wait_s() > self._settings.max_wait_s:
            self._observer.dropped("queue_slow")
            raise OverloadedError(self._waiting, self._retry_after_s())
        if request.deadline is not None and request.deadline <= now:
            self._observer.dropped("deadline")
            raise DeadlineError
        size = self._size(request)
        if self._waiting and self._waiting_bytes + size > self._settings.max_waiting_bytes:
            self._observer.dropped("queue_full")
            held = self._waiting_bytes
            raise OverloadedError(self._waiting, self._retry_after_s(), size=held)
        return self._admit(request, size, now)

    def _size(self, request: InferRequest) -> int:
        size = 0
        for array in request.inputs.values():
            size += array.nbytes
            if self._has_text and array.dtype.kind == "O":
                size += sum(map(len, array.flat))
        return size

    def _admit(self, request: InferRequest, size: int, now: float) -> Item:
        found = shape_key(request, self._order) if self._merge else None
        key, rows = found if found is not None else (None, 1)
        item = Item(loop=self._loop)
        item.request, item.rows, item.size, item.arrived = request, rows, size, now
        item.key = key
        item.waker = item.timer = None
        item.leave = self._leave
        self._waiting += 1
        self._waiting_bytes += size
        # A request of many rows is no batch for the event loop.
        if self._pace.inline and not (self._adapts and size > self._large):
            full = self._light.push(key, rows, item) >= self._settings.max_rows
            if self._eager and self._pace.at_once(full=full, gathering=self._flushing):
                self._run_light()
            elif not self._flushing:
                self._flushing = True
                self._loop.call_soon(self._flush)
        else:
            self._heavy.push(key, rows, item)
            self._pump_soon(item)
        if request.deadline is not None:
            item.timer = self._loop.call_later(request.deadline - now, self._expire, item)
        return item

    def _expire(self, item: Item) -> None:
        if not item.done():
            if item.rows >= 0:
                self._leave(item, "deadline")
            item.end_timer()
            item.settle(DeadlineError())

    def _leave(self, item: Item, reason: str) -> None:
        item.rows = -1
        self._waiting -= 1
        self._waiting_bytes -= item.size
        self._observer.dropped(reason)

    def _take(self, lanes: Lanes[Item]) -> list[Item]:
        """Return the next batch of those who still wait for an answer."""
        while lanes:
            batch = [item for item in lanes.pop(self._settings.max_rows) if item.rows >= 0]
            now = self._clock()
            for item in batch:
                deadline = item.request.deadline
                if deadline is not None and deadline <= now:
                    self._expire(item)
            batch = [item for item in batch if item.rows >= 0]
            if batch:
                self._waiting -= len(batch)
                for item in batch:
                    self._waiting_bytes -= item.size
                    self._observer.queued(now - item.arrived)
                return batch
        return []

    # On the event loop.

    def _flush(self) -> None:
        self._flushing = False
        if not self._due(self._light, self._flush):
            return
        self._pace.gathered(self._run_light())
        if self._light and not self._flushing:
            # The rest in the next turn, after health checks and whatever else has come in.
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _run_light(self) -> int:
        """Run the next batch and return of how many requests it was."""
        batch = self._take(self._light)
        if batch:
            rows = begin(batch)
            ran = self._guarded([item.request for item in batch])
            self._pace.ran_inline(ran.seconds, rows)
            self._finish(batch, rows, ran)
        return len(batch)

    def _guarded(self, requests: list[InferRequest]) -> Ran:
        try:
            return run(self._engine, requests)
        except Exception as error:  # noqa: BLE001 - nobody may be left waiting
            return Ran([error] * len(requests), 0.0)

    # In threads.

    def _pump_soon(self, item: Item) -> None:
        if not self._pumping and self._busy < self._settings.workers:
            if self._regrouping is not None:
                if not self._regrouped() and not self._is_urgent(item):
                    return
                self._end_regrouping()
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        while self._busy < self._settings.workers and self._due(self._heavy, self._pump):
            if self._busy and self._gathers and not self._heavy.full(self._settings.max_rows):
                return
            batch = self._take(self._heavy)
            if not batch:
                return
            rows = begin(batch)
            self._busy += 1
            requests = [item.request for item in batch]
            running = self._loop.run_in_executor(self._pool, self._guarded, requests)
            running.add_done_callback(
                lambda done, batch=batch, rows=rows: self._returned(batch, rows, done)  # type: ignore[misc]
            )

    def _returned(self, batch: list[Item], rows: int, done: asyncio.Future[Ran]) -> None:
        self._busy -= 1
        if done.cancelled():
            ran = Ran([NotReadyError("the server has stopped")] * len(batch), 0.0)
        else:
            ran = done.result()
        if self._is_to_regroup(batch, rows):
            self._awaited = batch[0].key
            self._regrouping = self._loop.call_later(self._wait_for_s, self._wait_is_over)
        elif self._heavy:
            self._pump()  # first: the model need not wait while these answers are written
        self._finish(batch, rows, ran)
        self._pace.ran_in_thread(ran.seconds)

    # Between two batches in a thread.

    def _is_to_regroup(self, batch: Sequence[Item], rows: int) -> bool:
        key = batch[0].key
        if not self._gathers or not self._eager or key is None:
            return False
        if self._busy or self._pumping or self._regrouping is not None:
            return False
        already = self._heavy.alone(key)
        # Those who wait must be able to run with those who may come back.
        if already < 0 or already + rows > self._settings.max_rows:
            return False
        if any(self._is_urgent(item) for item in self._heavy):
            return False
        return self._regroup.begin(answered=len(batch), waiting=self._waiting)

    def _regrouped(self) -> bool:
        """Whether a wait is over: enough are there, a batch is full, or others came."""
        if self._heavy.alone(self._awaited) < 0 or self._heavy.full(self._settings.max_rows):
            return True
        return self._regroup.enough(self._waiting)

    def _is_urgent(self, item: Item) -> bool:
        """Whether a request may not be there any more after a wait."""
        deadline = item.request.deadline
        return deadline is not None and deadline < self._clock() + 2 * self._wait_for_s

    def _wait_is_over(self) -> None:
        self._end_regrouping()
        self._pump()

    def _end_regrouping(self) -> None:
        if self._regrouping is not None:
            self._regrouping.cancel()
            self._regrouping = None
            self._regroup.end(self._waiting)

    # Both.

    def _due(self, lanes: Lanes[Item], again: Callable[[], None]) -> bool:
        """Whether a batch may go now; otherwise `again` is called when it may."""
        oldest = lanes.oldest()
        if oldest is None:
            return False
        delay_s = self._settings.max_delay_s
        if delay_s <= 0 or not self._merge or lanes.full(self._settings.max_rows):
            return True
        left = oldest.arrived + delay_s - self._clock()
        if left <= 0:
            return True
        if again not in self._timed:
            self._timed.add(again)
            self._loop.call_later(max(left, _LEAST_TIMER_S), self._time_is_up, again)
        return False

    def _time_is_up(self, again: Callable[[], None]) -> None:
        self._timed.discard(again)
        again()

    def _finish(self, batch: list[Item], rows: int, ran: Ran) -> None:
        if ran.failure is not None:
            self._observer.split_up()
            log.debug("a batch of %d requests failed: %s", len(batch), ran.failure)
        self._observer.batch(requests=len(batch), rows=rows, seconds=ran.seconds)
        self._per_request_s += 0.1 * (ran.seconds / len(batch) - self._per_request_s)
        if self._tracer is not None:
            self._trace(self._tracer, batch, rows, ran)
        for item, result in zip(batch, ran.results, strict=True):
            if item.timer is not None:
                item.end_timer()
            item.settle(result)
        if self._look is not None:
            self._look(ran)

    def _trace(self, tracer: Tracer, batch: list[Item], rows: int, ran: Ran) -> None:
        found = [
            Traced(
                span=item.request.trace,
                arrived=item.arrived,
                failed=not isinstance(result, InferResponse),
            )
            for item, result in zip(batch, ran.results, strict=True)
            if item.request.trace is not None
        ]
        if found:
            tracer.ran(found, rows=rows, seconds=ran.seconds)

    def _retry_after_s(self) -> int:
        return min(_MOST_RETRY_AFTER_S, max(1, math.ceil(self._wait_s())))

    def _wait_s(self) -> float:
        """Return how long a request that comes now waits, going by what the last ones took."""
        return self._waiting * self._per_request_s / self._settings.workers

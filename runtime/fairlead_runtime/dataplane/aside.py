"""What looks at answers without delaying them: a bounded queue, and one thread that empties it.

A prediction pays for one small object and one append. Everything else, whatever it costs, happens
in the thread, and what the thread cannot keep up with is dropped and counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

from fairlead_runtime.contract import names
from fairlead_runtime.protocol.types import InferRequest, InferResponse

log = logging.getLogger(__name__)
Headers = Mapping[bytes, bytes] | Sequence[tuple[str, str | bytes]]
"""HTTP's headers by name in lower case, or gRPC's metadata."""

CAPACITY = 8192
"""Answers that wait to be looked at; further ones are dropped."""
CAPACITY_BYTES = 64 << 20
"""Bytes of requests and answers that wait, about; beyond that they are dropped as well."""
PAUSE_S = 0.05
"""How long answers are gathered, so that the thread wakes twenty times a second at most."""
BATCH = 256
"""Answers handed to a sink at once."""
_REST = 1.0  # the thread rests as long as it has worked, times this: half a core at most
_COMPLAIN_S = 60.0


class Seen:
    """An answered prediction.

    Nothing here is copied. The arrays are the ones that were given to the model and came from it:
    often views of the request's bytes or of a whole batch's output. Nobody reuses or changes them
    afterwards, so they may be read at any time; but who keeps one keeps all of its memory, so what
    is to be kept for long must be copied, and nothing here may be written to.

    Attributes:
        request: What the client asked; inputs by name.
        response: What the model answered; outputs by name.
        request_id: The client's own or the one that was made; empty where there is none (v2).
        latency_s: From the parsed request to the answer.
        protocol: `predict`, `v2` or `grpc`.
        time_s: When the answer was there, in seconds since 1970.
    """

    __slots__ = ("_headers", "latency_s", "protocol", "request", "request_id", "response", "time_s")

    def __init__(
        self,
        request: InferRequest,
        response: InferResponse,
        request_id: str,
        latency_s: float,
        protocol: str,
        headers: Headers,
    ) -> None:
        self.request, self.response, self.request_id = request, response, request_id
        self.latency_s, self.protocol = latency_s, protocol
        self.time_s = time.time()
        self._headers = headers  # looked into by the thread: decoding all of them here costs more

    def header(self, name: str) -> str:
        """Return a header of the request, or of gRPC's metadata; empty where it is not there.

        Args:
            name: In lower case.
        """
        headers = self._headers
        if isinstance(headers, Mapping):
            return headers.get(name.encode(), b"").decode("latin-1")
        for key, value in headers:
            if key == name:
                return value if isinstance(value, str) else value.decode("latin-1")
        return ""

    @property
    def variant(self) -> str:
        """The variant that the router sent the request to, where it says so."""
        return self.header(names.VARIANT_HEADER)

    @property
    def experiment(self) -> str:
        """The experiment that the request belongs to, where the router says so."""
        return self.header(names.EXPERIMENT_HEADER)

    @property
    def unit(self) -> str:
        """What the router picked the arm by: salt and user."""
        return self.header(names.UNIT_HEADER)

    @property
    def compare(self) -> str:
        """The key under which two copies of a request are compared."""
        return self.header(names.COMPARE_HEADER)

    @property
    def traceparent(self) -> str:
        """W3C trace context."""
        return self.header("traceparent")


class Sink(Protocol):
    """Who looks at answers."""

    def take(self, batch: Sequence[Seen]) -> None:
        """Look at some; called by one background thread, never by the event loop.

        What is raised is logged, and these answers are counted as dropped. Python's own work here
        still takes turns with the event loop's: work on whole arrays, and not on more than needed.
        """


class Watcher(Protocol):
    """Who counts what is not looked at."""

    def unseen(self, reason: str, count: int) -> None:
        """Count answers that were dropped: `queue_full` (event loop) or `sink_failed` (thread)."""


class Aside:
    """Hands answers to sinks in a thread of its own."""

    def __init__(
        self,
        watcher: Watcher,
        *,
        capacity: int = CAPACITY,
        capacity_bytes: int = CAPACITY_BYTES,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._watcher = watcher
        self._capacity, self._capacity_bytes, self._pause_s = capacity, capacity_bytes, pause_s
        self._sinks: tuple[Sink, ...] = ()
        self._queue: deque[tuple[Seen, int]] = deque()
        # Two counters with one writer each, so that no lock is needed.
        self._bytes_in = self._bytes_out = 0
        self._awake = False
        self._wake = threading.Event()
        self._closing = False
        self._complained = -_COMPLAIN_S
        self._thread: threading.Thread | None = None

    def add(self, sink: Sink) -> None:
        """Let a sink look at all further answers."""
        self._sinks = (*self._sinks, sink)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="aside", daemon=True)
            self._thread.start()

    def see(self, seen: Seen, size: int) -> None:
        """Take an answer, or drop it; called on the event loop, and never blocks.

        Args:
            seen: The answer.
            size: About how many bytes it holds: those of the request's and the answer's body.
        """
        if (
            len(self._queue) >= self._capacity
            or self._bytes_in - self._bytes_out + size > self._capacity_bytes
        ):
            self._watcher.unseen("queue_full", 1)
            return
        self._bytes_in += size
        self._queue.append((seen, size))
        if not self._awake:
            self._awake = True
            self._wake.set()

    def close(self, timeout_s: float) -> None:
        """Look at what is there for at most so long, and end; blocks."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if not self._closing:
                time.sleep(self._pause_s)
            while self._queue:
                started = time.perf_counter()
                self._hand_over()
                if not self._closing:
                    time.sleep(_REST * (time.perf_counter() - started))
            if self._closing:
                return
            self._awake = False
            if self._queue:  # came between the last look and this line
                self._awake = True
                self._wake.set()

    def _hand_over(self) -> None:
        batch: list[Seen] = []
        size = 0
        while self._queue and len(batch) < BATCH:
            seen, bytes_ = self._queue.popleft()
            batch.append(seen)
            size += bytes_
        for sink in self._sinks:
            try:
                sink.take(batch)
            except Exception:
                self._watcher.unseen("sink_failed", len(batch))
                now = time.monotonic()
                if now - self._complained >= _COMPLAIN_S:
                    self._complained = now
                    log.exception("%s failed on %d answers", type(sink).__name__, len(batch))
        self._bytes_out += size

"""What looks at answers without delaying them: a bounded queue, and one thread that empties it.

A prediction pays for one small object and one append. Everything else, whatever it costs, happens
in the thread, and what the thread cannot keep up with is dropped and counted.

Who needs every answer and little of it is shown them on the event loop instead, some at a time,
when they are on their way. An answer that waits for a thread keeps its memory, so that the next
request gets memory that is in no cache, and the thread takes turns with the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from fairlead_runtime.contract import names
from fairlead_runtime.dataplane.seldom import Seldom
from fairlead_runtime.dataplane.worker import (
    CAPACITY,
    CAPACITY_BYTES,
    PAUSE_S,
    Watcher,
    Worker,
)
from fairlead_runtime.protocol.types import InferRequest, InferResponse

log = logging.getLogger(__name__)
Headers = Mapping[bytes, bytes] | Sequence[tuple[str, str | bytes]]
"""HTTP's headers by name in lower case, or gRPC's metadata."""

FEW = 32
"""Answers that are shown at once together: the second costs half of the first."""
FEW_BYTES = 256 << 10
"""Fewer are, where they and their requests are larger than this."""
VARIANT, EXPERIMENT, _UNIT, _COMPARE = (
    each.encode()
    for each in (
        names.VARIANT_HEADER,
        names.EXPERIMENT_HEADER,
        names.UNIT_HEADER,
        names.COMPARE_HEADER,
    )
)
_YES = names.COMPARED.encode()
_YES_TEXT = names.COMPARED


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

    __slots__ = ("headers", "latency_s", "protocol", "request", "request_id", "response", "time_s")

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
        self.headers = headers  # decoding all of them would cost more than finding a few

    def header(self, name: bytes) -> str:
        """Return a header of the request, or of gRPC's metadata; empty where it is not there.

        Args:
            name: In lower case.
        """
        headers = self.headers
        if isinstance(headers, Mapping):
            return headers.get(name, b"").decode("latin-1")
        wanted = name.decode()
        for key, value in headers:
            if key == wanted:
                return value if isinstance(value, str) else value.decode("latin-1")
        return ""

    def has_any(self, names: frozenset[bytes]) -> bool:
        """Whether the request may have one of these headers; quick where it has none."""
        headers = self.headers
        return type(headers) is not dict or not names.isdisjoint(headers)

    @property
    def variant(self) -> str:
        """The variant that the router sent the request to, where it says so."""
        return self.header(VARIANT)

    @property
    def experiment(self) -> str:
        """The experiment that the request belongs to, where the router says so."""
        return self.header(EXPERIMENT)

    @property
    def unit(self) -> str:
        """What the router picked the arm by: salt and user."""
        return self.header(_UNIT)

    @property
    def compare(self) -> str:
        """The mark of a request that is to be compared with its copy: `names.COMPARED`."""
        return self.header(_COMPARE)

    @property
    def traceparent(self) -> str:
        """W3C trace context."""
        return self.header(b"traceparent")


class Sink(Protocol):
    """Who looks at answers."""

    def take(self, batch: Sequence[Seen]) -> None:
        """Look at some; called by one background thread, or else (`add_prompt`) by the event loop.

        What is raised is logged, and these answers are counted as dropped. Python's own work here
        still takes turns with the event loop's: work on whole arrays, and not on more than needed.
        """


@runtime_checkable
class Closing(Protocol):
    """A sink that has something to finish."""

    def close(self, timeout_s: float) -> None:
        """Finish it within this time; called after the last answers were shown."""


class Aside(Worker[Seen]):
    """Hands answers to sinks in a thread of its own.

    Attributes:
        wants: Whether the next answer is to be shown at all.

    Args:
        watcher: Counts answers that were dropped: `queue_full`, `sink_failed`, or
            `event_failed` by who is shown them at once.
        capacity: Answers that may wait.
        capacity_bytes: Bytes of requests and answers that may wait.
        pause_s: How long answers are gathered.
    """

    SAMPLE = 1
    """Answers that are taken in each pause while no sink wants them all: one wakes the thread."""

    def __init__(
        self,
        watcher: Watcher,
        *,
        capacity: int = CAPACITY,
        capacity_bytes: int = CAPACITY_BYTES,
        pause_s: float = PAUSE_S,
    ) -> None:
        super().__init__(
            watcher,
            full="queue_full",
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            pause_s=pause_s,
        )
        self.wants = self._gathers = False
        self._prompt: tuple[Sink, ...] = ()
        self._few: list[Seen] = []
        self._few_bytes = 0
        self._timed = False
        self._sinks: tuple[Sink, ...] = ()
        self._samples: tuple[Callable[[], bool], ...] = ()
        self._all = self._marked = False
        self._left = self.SAMPLE
        self._complains = {"sink_failed": Seldom(), "event_failed": Seldom()}

    def add_prompt(self, sink: Sink) -> None:
        """Let a sink look at all further answers on the event loop, some at a time."""
        self._prompt = (*self._prompt, sink)
        self.wants = True

    def add(
        self, sink: Sink, *, sample: bool | Callable[[], bool] = False, marked: bool = False
    ) -> None:
        """Let a sink look at further answers.

        Args:
            sink: Who looks.
            sample: It needs only some of them, or does so whenever this returns true. Others are
                not even gathered then, unless another sink wants them all.
            marked: It needs those whose requests are marked to be compared, and gets others only
                where another sink wants them.
        """
        self._sinks = (*self._sinks, sink)
        enough = sample if callable(sample) else lambda: sample or marked
        self._samples = (*self._samples, enough)
        self._all = self._all or not enough()
        self._marked = self._marked or marked
        self._gathers = self.wants = True
        self.start()

    def marked(self, headers: Headers) -> bool:
        """Whether the answer is to be shown for the mark of its request, whatever `wants` says."""
        if not self._marked:
            return False
        if isinstance(headers, Mapping):
            return headers.get(_COMPARE) == _YES
        return any(key == names.COMPARE_HEADER and value == _YES_TEXT for key, value in headers)

    def see(self, seen: Seen, size: int) -> None:
        """Take an answer, or drop it; called on the event loop, and never blocks.

        Args:
            seen: The answer.
            size: About how many bytes it holds: those of the request's and the answer's body.
        """
        if self._prompt:
            self._shown_soon(seen, size)
            if not self._gathers and not self.marked(seen.headers):
                return
        if not self._all:
            # Before the thread has it: what that wants next must not be overwritten here.
            self._left -= 1
            self._gather(wanted=self._left > 0)
        if not self.put(seen, size) and not self._all:
            self._left += 1  # the thread is not woken: another one has to
            self._gather(wanted=True)

    def close(self, timeout_s: float) -> None:
        """Show what is there for at most so long, and let sinks finish; blocks."""
        self._show_few()
        super().close(timeout_s)
        for sink in (*self._prompt, *self._sinks):
            if isinstance(sink, Closing):
                sink.close(timeout_s)

    def work(self, batch: list[Seen]) -> None:
        """Show each sink some answers."""
        self._all = not all(sample() for sample in self._samples)
        self._left = self.SAMPLE
        self._gather(wanted=True)
        self._show(self._sinks, batch, "sink_failed")

    def _gather(self, *, wanted: bool) -> None:
        self._gathers = wanted
        self.wants = wanted or bool(self._prompt)

    def _shown_soon(self, seen: Seen, size: int) -> None:
        few = self._few
        few.append(seen)
        self._few_bytes += size
        if len(few) == FEW or (self._few_bytes > FEW_BYTES and len(few) > 1):
            asyncio.get_running_loop().call_soon(self._show_few)
        elif not self._timed:
            self._timed = True
            asyncio.get_running_loop().call_later(self._pause_s, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timed = False
        self._show_few()

    def _show_few(self) -> None:
        few, self._few, self._few_bytes = self._few, [], 0
        if few:
            self._show(self._prompt, few, "event_failed")

    def _show(self, sinks: tuple[Sink, ...], batch: list[Seen], failed: str) -> None:
        for sink in sinks:
            try:
                sink.take(batch)
            except Exception:
                self._watcher.unseen(failed, len(batch))
                if self._complains[failed].due():
                    log.exception("%s failed on %d answers", type(sink).__name__, len(batch))

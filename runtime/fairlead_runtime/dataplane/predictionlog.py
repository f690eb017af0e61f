"""The prediction log: a sink that makes CloudEvents of answers and hands them to a writer.

It makes them on the event loop, of some answers at a time.
"""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Callable, Sequence

from fairlead_runtime.dataplane.aside import Seen
from fairlead_runtime.dataplane.events import Events, Style
from fairlead_runtime.dataplane.eventwriters import EventWriter
from fairlead_runtime.dataplane.seldom import Seldom
from fairlead_runtime.dataplane.worker import Watcher
from fairlead_runtime.protocol.types import Signature

log = logging.getLogger(__name__)


class PredictionLog:
    """A sink that logs a sample of the answers.

    Args:
        writer: Writes them.
        watcher: Counts answers of which no event can be made: `event_failed`.
        signature: Returns the model's; asked for when there are answers, so it is loaded.
        style: What is told of each.
        share: Of the answers that are logged, 0 to 1; which ones is left to chance.
    """

    def __init__(
        self,
        writer: EventWriter,
        *,
        watcher: Watcher,
        signature: Callable[[], Signature],
        style: Style,
        share: float,
    ) -> None:
        self._writer, self._watcher, self._signature = writer, watcher, signature
        self._complains = Seldom()
        self._style, self._share = style, share
        self._events: Events | None = None
        self._prefix, self._number = uuid.uuid4().hex.encode(), 0
        writer.start()

    def take(self, batch: Sequence[Seen]) -> None:
        """Log a sample of the batch."""
        if self._events is None:
            self._events = Events(self._signature(), self._style)
        event, share = self._events.event, self._share
        lines: list[bytes] = []
        for seen in batch:
            if share >= 1 or random.random() < share:  # noqa: S311 - no secret
                try:
                    lines.append(event(seen, self._next_id()))
                except Exception as error:  # noqa: BLE001 - the others are told all the same
                    self._lose(error)
        if lines:
            self._writer.put(lines, sum(map(len, lines)), len(lines))

    def close(self, timeout_s: float) -> None:
        """Write what is there for at most so long, and end; blocks."""
        self._writer.close(timeout_s)

    def _lose(self, error: Exception) -> None:
        self._watcher.unseen("event_failed", 1)
        if self._complains.due():
            log.error("an answer has no event in the prediction log", exc_info=error)

    def _next_id(self) -> bytes:
        self._number += 1
        return b"%b-%d" % (self._prefix, self._number)

"""The prediction log: a sink that makes CloudEvents of answers and hands them to a writer.

It makes them on the event loop, of some answers at a time.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence

from fairlead_runtime.dataplane.aside import Seen
from fairlead_runtime.dataplane.events import Events, Style
from fairlead_runtime.dataplane.eventwriters import EventWriter
from fairlead_runtime.protocol.types import Signature


class PredictionLog:
    """A sink that logs a sample of the answers.

    Args:
        writer: Writes them.
        signature: Returns the model's; asked for when there are answers, so it is loaded.
        style: What is told of each.
        share: Of the answers that are logged, 0 to 1; which ones is left to chance.
    """

    def __init__(
        self,
        writer: EventWriter,
        *,
        signature: Callable[[], Signature],
        style: Style,
        share: float,
    ) -> None:
        self._writer, self._signature = writer, signature
        self._style, self._share = style, share
        self._events: Events | None = None
        self._prefix, self._number = uuid.uuid4().hex.encode(), 0
        writer.start()

    def take(self, batch: Sequence[Seen]) -> None:
        """Log a sample of the batch."""
        if self._events is None:
            self._events = Events(self._signature(), self._style)
        event, share = self._events.event, self._share
        lines = [
            event(seen, self._next_id())
            for seen in batch
            if share >= 1 or random.random() < share  # noqa: S311 - no secret
        ]
        if lines:
            self._writer.put(lines, sum(map(len, lines)), len(lines))

    def close(self, timeout_s: float) -> None:
        """Write what is there for at most so long, and end; blocks."""
        self._writer.close(timeout_s)

    def _next_id(self) -> bytes:
        self._number += 1
        return b"%b-%d" % (self._prefix, self._number)

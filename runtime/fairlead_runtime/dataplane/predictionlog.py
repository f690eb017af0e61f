"""The prediction log: a sink that writes answers as CloudEvents, one JSON object a line."""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Callable, Sequence
from typing import Protocol

from fairlead_runtime.dataplane.aside import Seen
from fairlead_runtime.dataplane.events import Style, event
from fairlead_runtime.protocol.types import Signature

STDOUT = "stdout"


class Counter(Protocol):
    """Who counts what is logged."""

    def logged(self, count: int) -> None:
        """Count answers that were written to the prediction log."""


class Lines:
    """A file, or standard output, to which whole lines are added.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, target: str) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        # Appending puts each write at the end, so that a file may be cut short by who rotates it.
        self._descriptor = 1 if target == STDOUT else os.open(target, flags, 0o640)
        self._torn = False

    def write(self, lines: Sequence[bytes]) -> None:
        """Add lines; waits for as long as the reader of a pipe does.

        Raises:
            OSError: They could not all be written. The next ones begin on a line of their own.
        """
        rest = memoryview(b"".join([b"\n" if self._torn else b"", *(x + b"\n" for x in lines)]))
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
            self._torn = bool(rest)


class PredictionLog:
    """A sink that writes a sample of the answers.

    Args:
        lines: Where to.
        signature: Returns the model's; asked for when there are answers, so it is loaded.
        style: What is told of each.
        share: Of the answers that are written, 0 to 1; which ones is left to chance.
        counter: Counts those that were written.
    """

    def __init__(
        self,
        lines: Lines,
        *,
        signature: Callable[[], Signature],
        style: Style,
        share: float,
        counter: Counter,
    ) -> None:
        self._lines, self._signature, self._style = lines, signature, style
        self._share, self._counter = share, counter
        self._prefix, self._number = uuid.uuid4().hex, 0

    def take(self, batch: Sequence[Seen]) -> None:
        """Write a sample of the batch.

        Raises:
            OSError: It could not be written.
        """
        signature, share = self._signature(), self._share
        chosen = [
            seen
            for seen in batch
            if share >= 1 or random.random() < share  # noqa: S311 - no secret
        ]
        if not chosen:
            return
        self._lines.write([event(x, signature, self._style, self._next_id()) for x in chosen])
        self._counter.logged(len(chosen))

    def _next_id(self) -> str:
        self._number += 1
        return f"{self._prefix}-{self._number}"

"""Keeps the answers to requests that two revisions got, for somebody to compare them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from fairlead_runtime.contract import names
from fairlead_runtime.dataplane.aside import Seen
from fairlead_runtime.protocol.types import Array

CAPACITY = 1024
"""Answers that are kept: most of a minute of 20 a second, were they all one pod's."""
CAPACITY_BYTES = 4 << 20
"""Bytes of all answers that are kept; older ones make room."""
LARGEST_BYTES = 256 << 10
"""A larger answer is not kept, or a few of them would drive all others out."""
_REQUEST_ID = names.REQUEST_ID_HEADER.encode()
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


class ComparedAnswers:
    """A sink for answers to marked requests, and the page that shows them.

    The page is JSON: `now` and `started` in seconds since 1970 by this machine's clock, `dropped`
    (answers that were too large, or had no id), and `answers`, the oldest first: `seq` (rising by
    1), `id` (the request's, the same at both revisions), `time`, and `outputs` by name, each with
    `kind` (numpy's: `f` a number, `i`, `u`, `b` and `O` a label; `map` of classes to numbers) and
    `data` (nested lists, rows first; null for what is not finite).
    """

    def __init__(
        self,
        *,
        capacity: int = CAPACITY,
        capacity_bytes: int = CAPACITY_BYTES,
        largest_bytes: int = LARGEST_BYTES,
    ) -> None:
        self._capacity, self._capacity_bytes = capacity, capacity_bytes
        self._largest_bytes = largest_bytes
        self._answers: deque[bytes] = deque()
        self._bytes = self._serial = self._dropped = 0
        self._started = time.time()
        self._lock = threading.Lock()

    def take(self, batch: Sequence[Seen]) -> None:
        """Keep the marked ones of some answers."""
        for seen in batch:
            if seen.compare == names.COMPARED:
                self._keep(seen)

    def page(self) -> tuple[str, bytes]:
        """Return the content type and the page; from any thread."""
        with self._lock:
            answers, dropped = list(self._answers), self._dropped
        head = b'{"now":%.6f,"started":%.6f,"dropped":%d,"answers":[' % (
            time.time(),
            self._started,
            dropped,
        )
        return "application/json", head + b",".join(answers) + b"]}"

    def _keep(self, seen: Seen) -> None:
        # The router's id, which both copies have; a body's own is not always there.
        request_id = seen.header(_REQUEST_ID) or seen.request_id
        size = sum(_size(value) for value in seen.response.outputs.values())
        if not request_id or size > self._largest_bytes:
            self._drop()
            return
        outputs = {name: _output(value) for name, value in seen.response.outputs.items()}
        answer = {"seq": self._serial, "id": request_id, "time": seen.time_s, "outputs": outputs}
        try:
            written = orjson.dumps(answer, option=_OPTIONS)
        except TypeError:  # a text that is no Unicode
            self._drop()
            return
        if len(written) > self._largest_bytes:
            self._drop()
            return
        with self._lock:
            self._serial += 1
            self._answers.append(written)
            self._bytes += len(written)
            while len(self._answers) > self._capacity or self._bytes > self._capacity_bytes:
                self._bytes -= len(self._answers.popleft())

    def _drop(self) -> None:
        with self._lock:
            self._dropped += 1


def _size(value: Array | list[Any]) -> int:
    """Return about how many bytes an output has, before anything is made of it."""
    return value.nbytes if isinstance(value, np.ndarray) else 32 * len(value)


def _output(value: Array | list[Any]) -> dict[str, Any]:
    if isinstance(value, list):
        return {"kind": "map", "data": value}
    if value.dtype.kind == "O":
        return {"kind": "O", "data": value.tolist()}
    return {"kind": value.dtype.kind, "data": np.ascontiguousarray(value)}

"""Where events go: a file or standard output, a line each, or an HTTP server, many at once.

A thread of their own writes them. What waits for a slow disk, a full pipe or a server far away
waits alone: answers are looked at meanwhile.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from fairlead_runtime.dataplane.seldom import Seldom
from fairlead_runtime.dataplane.worker import Watcher, Worker

log = logging.getLogger(__name__)
STDOUT = "stdout"
_TIMEOUT_S = 5.0
_BATCH_TYPE = "application/cloudevents-batch+json"


class Counter(Protocol):
    """Who counts what is logged."""

    def logged(self, count: int) -> None:
        """Count events that were written."""


class Target(Protocol):
    """Where events go."""

    def write(self, events: Sequence[bytes]) -> None:
        """Write events; may take its time.

        Raises:
            OSError: They could not all be written.
        """


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

    def write(self, events: Sequence[bytes]) -> None:
        """Add lines; waits for as long as the reader of a pipe does.

        Raises:
            OSError: They could not all be written. The next ones begin on a line of their own.
        """
        rest = memoryview(b"\n".join([*([b""] if self._torn else ()), *events, b""]))
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
            self._torn = bool(rest)


class HttpBatches:
    """An HTTP server that takes CloudEvents in batches: a POST of a JSON array.

    Nothing is sent twice, but where the server had closed an idle connection: what it did not take
    is lost, and counted.

    Args:
        url: Where to.
        timeout_s: How long the server may take.
        token_file: A file with a token for it, read anew for each batch, because tokens of
            Kubernetes are renewed in their file.

    Raises:
        ValueError: The URL is none; the message says why.
    """

    def __init__(
        self, url: str, *, timeout_s: float = _TIMEOUT_S, token_file: Path | None = None
    ) -> None:
        self._token_file = token_file
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no http:// or https:// URL")
        if parts.username is not None:
            raise ValueError("credentials do not belong in the URL")
        kind = http.client.HTTPConnection if parts.scheme == "http" else http.client.HTTPSConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout_s)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not self._path.isascii() or not self._path.isprintable() or " " in self._path:
            raise ValueError(f"{url!r} has what HTTP cannot say: write it with percent signs")

    def write(self, events: Sequence[bytes]) -> None:
        """Send events.

        Raises:
            OSError: The server did not take them.
        """
        body = b"[" + b",".join(events) + b"]"
        kept = self._connection.sock is not None
        try:
            status = self._post(body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            if not kept:
                raise
            status = self._post(body)
        if not 200 <= status < 300:
            raise OSError(f"the server answered {status}")

    def _post(self, body: bytes) -> int:
        connection = self._connection
        try:
            connection.request("POST", self._path, body, self._headers())
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            with contextlib.suppress(OSError):
                connection.close()
            if isinstance(error, OSError):
                raise
            raise OSError(f"this is no HTTP: {error}") from error
        return answer.status

    def _headers(self) -> dict[str, str]:
        headers = {"content-type": _BATCH_TYPE}
        if self._token_file is not None:
            headers["authorization"] = f"Bearer {self._token(self._token_file)}"
        return headers

    @staticmethod
    def _token(path: Path) -> str:
        token = path.read_bytes().strip().decode("latin-1")
        if not token.isascii() or not token.isprintable():  # http.client's words would have it
            raise OSError(f"{path} holds no token: one line of ASCII is needed")
        return token


class EventWriter(Worker[Sequence[bytes]]):
    """Writes events, which come some at a time, in a thread of its own.

    Args:
        target: Where to.
        watcher: Counts what is lost: `log_full`, or `log_failed`.
        counter: Counts what is written.
    """

    def __init__(self, target: Target, *, watcher: Watcher, counter: Counter) -> None:
        super().__init__(watcher, full="log_full")
        self._target, self._counter = target, counter
        self._complains = Seldom()

    def work(self, batch: list[Sequence[bytes]]) -> None:
        """Write some events."""
        events = [each for some in batch for each in some]
        try:
            self._target.write(events)
        except Exception as error:  # noqa: BLE001 - the thread goes on whatever a token file holds
            self._watcher.unseen("log_failed", len(events))
            if self._complains.due():
                log.warning("the prediction log loses events: %s", error)
        else:
            self._counter.logged(len(events))

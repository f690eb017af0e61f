"""Brings one remote file to disk: resumed where it broke off, limited, and told to the user."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fairlead_runtime.repository.errors import DownloadFailedError, ModelTooLargeError

log = logging.getLogger(__name__)
Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and, where it is known, how many there will be."""
_ADVANCE = 1 << 16
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_SLOWEST_BYTES_PER_S = 1024
_TELL_EVERY_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a source is waited for.

    Attributes:
        retries: How often a broken download is taken up again without having advanced.
        stall_s: Seconds without a byte, or with less than 1 KiB a second, after which a connection
            is given up.
        sleep: Waits between two tries.
    """

    retries: int = 4
    stall_s: float = 30.0
    sleep: Callable[[float], None] = field(default=time.sleep)

    def pause(self, failure: int, wanted_s: float | None = None) -> None:
        """Wait before the next try: twice as long each time, at random below that, at most 30 s."""
        longest = min(_FIRST_PAUSE_S * 2**failure, _LONGEST_PAUSE_S)
        seconds = random.uniform(longest / 2, longest)  # noqa: S311 - only spreads the load
        self.sleep(min(max(seconds, wanted_s or 0.0), _LONGEST_PAUSE_S))


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """An answer: bytes of one version of the file, from `start` to its end.

    Attributes:
        start: Where in the file they begin: what was asked for, or 0 where the file has changed.
        total_bytes: Size of the whole file, where the source says it.
        chunks: The bytes.
    """

    start: int
    total_bytes: int | None
    chunks: Iterator[bytes]


class Remote(Protocol):
    """One file at a source, of which the version that `open` met first is remembered."""

    @property
    def shown(self) -> str:
        """Its name for people, without secrets."""

    def open(self, start: int) -> AbstractContextManager[Piece]:
        """Ask for the bytes from `start`.

        Where these cannot be had of the version that was met before, the piece begins at 0.

        Raises:
            FetchError: It cannot be had; a `DownloadFailedError` may be tried again.
        """


class Budget:
    """The bytes that a model may still have, over all of its files."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._spent = 0

    def check(self, file_bytes: int, shown: str) -> None:
        """Refuse a file that has, or will have, this size.

        Raises:
            ModelTooLargeError: It is more than what is left.
        """
        if self._spent + file_bytes > self._limit:
            raise ModelTooLargeError(
                f"{shown} has more bytes than spec.model.maxSizeMiB allows ({self._limit})"
            )

    def spend(self, file_bytes: int) -> None:
        """Count a file that is there."""
        self._spent += file_bytes


def transfer(
    remote: Remote, goal: Path, *, budget: Budget, patience: Patience, progress: Progress
) -> None:
    """Bring a file to `goal`.

    A broken download goes on where it broke off, if the source can tell that the file is still the
    same one. It ends with the number of tries that brought nothing new, so that a large file comes
    through a bad line, and a source that always breaks off at the same byte is given up.

    Raises:
        FetchError: It is not there, refused, too large, or failed too often.
    """
    failures, furthest = 0, 0
    meter = _Meter(patience.stall_s, progress)
    with goal.open("wb") as output:
        while True:
            try:
                with remote.open(output.tell()) as piece:
                    if piece.start != output.tell():
                        log.info("%s is downloaded from its beginning", remote.shown)
                        output.seek(piece.start)
                        output.truncate()
                    _write(piece, output.write, output.tell(), remote.shown, budget, meter)
            except DownloadFailedError as error:
                if output.tell() >= furthest + _ADVANCE:
                    failures, furthest = 0, output.tell()
                failures += 1
                if not error.again or failures > patience.retries:
                    raise
                log.warning("%s; trying again (%d of %d)", error, failures, patience.retries)
                patience.pause(failures - 1, error.pause_s)
            else:
                budget.spend(output.tell())
                return


def _write(
    piece: Piece,
    write: Callable[[bytes], int],
    done: int,
    shown: str,
    budget: Budget,
    meter: _Meter,
) -> None:
    total = piece.total_bytes
    if total is not None:
        budget.check(total, shown)
    meter.begin()
    for chunk in piece.chunks:
        done += len(chunk)
        budget.check(done, shown)
        write(chunk)
        meter.count(len(chunk), done, total, shown)
    if total is not None and done != total:
        raise DownloadFailedError(f"{shown}: the connection ended after {done} of {total} bytes")
    meter.end(done, total)


class _Meter:
    """Tells the progress now and then, and notices a source that only trickles."""

    def __init__(self, stall_s: float, progress: Progress) -> None:
        self._stall_s, self._progress = stall_s, progress
        self._told = self._since = time.monotonic()
        self._bytes = 0

    def begin(self) -> None:
        """Begin to measure the speed of a connection."""
        self._since, self._bytes = time.monotonic(), 0

    def count(self, size: int, done: int, total: int | None, shown: str) -> None:
        """Count a chunk."""
        now = time.monotonic()
        self._bytes += size
        if now - self._told >= _TELL_EVERY_S:
            self._told = now
            self._progress(done, total)
        if now - self._since >= self._stall_s:
            if self._bytes < _SLOWEST_BYTES_PER_S * (now - self._since):
                raise DownloadFailedError(
                    f"{shown}: only {self._bytes} bytes came in {now - self._since:.0f} s"
                )
            self.begin()

    def end(self, done: int, total: int | None) -> None:
        """Tell that a file is complete."""
        self._progress(done, total)


def logged() -> Progress:
    """Return a progress that is a line in the log every five seconds."""
    told = time.monotonic()

    def tell(done: int, total: int | None) -> None:
        nonlocal told
        if time.monotonic() - told >= 5.0:
            told = time.monotonic()
            log.info("downloaded %d of %s MiB", done >> 20, total >> 20 if total else "?")

    return tell

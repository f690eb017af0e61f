"""One thread that writes: what waits is written in one transaction, and acknowledged after it.

Many small batches then cost one synchronisation of the disk together. A change that fails does so
alone: the others are done again without it.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from fairlead_recorder.store.database import Session
from fairlead_recorder.store.errors import BusyError, StoreError, UnavailableError

log = logging.getLogger(__name__)
T = TypeVar("T")
_MOST_TOGETHER = 40_000
_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Job:
    change: Callable[[Session], Any]
    rows: int
    future: Future[Any]


class Writer:
    """Runs changes one after the other.

    Args:
        connect: Opens the database; called in the writing thread, again after it was lost.
        most_waiting: How many rows may wait; more are refused.
        committed: Is told of each transaction: its seconds, changes and rows.
    """

    def __init__(
        self,
        connect: Callable[[], Session],
        *,
        most_waiting: int = 200_000,
        committed: Callable[[float, int, int], None] = lambda *_: None,
    ) -> None:
        self._connect = connect
        self._most_waiting = most_waiting
        self._committed = committed
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many rows wait."""
        return self._waiting

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits and end."""
        with self._lock:
            self._closed = True
        self._jobs.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def submit(self, change: Callable[[Session], T], rows: int = 1) -> Future[T]:
        """Have a change made; the future is done when it is durable.

        Args:
            change: A function of the session only: it may be called again after a rollback. It
                raises a StoreError only before it has written anything.
            rows: About how many rows it writes.

        Raises:
            BusyError: Too much is waiting.
            UnavailableError: The writer has ended.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise UnavailableError("the recorder is stopping: try again in a moment")
            if self._waiting and self._waiting + rows > self._most_waiting:
                raise BusyError(f"{self._waiting} rows are waiting to be written: try again later")
            self._waiting += rows
        self._jobs.put(_Job(change, rows, future))
        return future

    def _run(self) -> None:
        ended = False
        while not ended:
            first = self._jobs.get()
            jobs = [] if first is None else [first]
            ended = first is None
            rows = sum(job.rows for job in jobs)
            while not ended and rows < _MOST_TOGETHER:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    ended = True
                else:
                    jobs.append(job)
                    rows += job.rows
            if jobs:
                self._together(jobs)
        if self._session is not None:
            self._session.close()

    def _together(self, jobs: list[_Job]) -> None:
        try:
            self._transaction(jobs)
        except Exception as error:  # noqa: BLE001 - it is answered, or logged by `_named`
            if len(jobs) > 1:
                for job in jobs:
                    self._together([job])
                return
            self._done(jobs)
            jobs[0].future.set_exception(_named(error))

    def _transaction(self, jobs: list[_Job]) -> None:
        began = time.monotonic()
        session = self._open()
        try:
            session.begin()
            results = [_result(job, session) for job in jobs]
            session.commit()
        except BaseException:
            # Whatever it was: the next transaction has a fresh connection.
            self._session = None
            with contextlib.suppress(Exception):
                session.rollback()
            with contextlib.suppress(Exception):
                session.close()
            raise
        self._done(jobs)
        self._committed(time.monotonic() - began, len(jobs), sum(job.rows for job in jobs))
        for job, result in zip(jobs, results, strict=True):
            if isinstance(result, StoreError):
                job.future.set_exception(result)
            else:
                job.future.set_result(result)

    def _open(self) -> Session:
        if self._session is None:
            self._session = self._connect()
        return self._session

    def _done(self, jobs: list[_Job]) -> None:
        with self._lock:
            self._waiting -= sum(job.rows for job in jobs)


def _result(job: _Job, session: Session) -> object:
    """Return what a change returns, or why it changed nothing; that harms no other change."""
    try:
        return job.change(session)
    except StoreError as error:
        return error


def _named(error: Exception) -> Exception:
    if isinstance(error, StoreError):
        return error
    log.error("a change was not written", exc_info=error)
    named = UnavailableError(f"the database did not take it: {error}")
    named.__cause__ = error
    return named

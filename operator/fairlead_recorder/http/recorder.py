"""What the handlers share: the writer, a reader, who may write, and what was lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from fairlead_recorder.http.access import Access
from fairlead_recorder.http.rates import Rates
from fairlead_recorder.http.telemetry import Metrics
from fairlead_recorder.store import database
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.errors import StoreError, UnavailableError
from fairlead_recorder.store.writer import Writer

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The recorder's settings.

    Attributes:
        database: URL of the database.
        host: Address to listen at.
        port: Port of everything but exposures.
        exposures_port: Port at which routers send exposures.
        tls_dir: Folder with `tls.crt` and `tls.key` for both ports; empty serves http.
        operators: User names that may register experiments.
        authenticate: Whether writers have to send a token.
        retention_s: How long data of ended experiments is kept.
        outcomes_per_second: What one writer may send.
        requests_per_second: How many requests one writer may make.
        most_waiting: Rows that may wait to be written.
        replica: Number of this one among those that share the database, from 0.
    """

    database: str
    host: str = "0.0.0.0"  # noqa: S104 - a pod's own address is not known before
    port: int = 8080
    exposures_port: int = 4318
    tls_dir: str = ""
    operators: frozenset[str] = frozenset()
    authenticate: bool = True
    retention_s: float = 90 * 86_400
    outcomes_per_second: float = 50_000
    requests_per_second: float = 500
    most_waiting: int = 200_000
    replica: int = 0


def now() -> int:
    """Return the time in microseconds."""
    return time.time_ns() // 1_000


class Recorder:
    """One recorder."""

    def __init__(self, settings: Settings, access: Access) -> None:
        self.settings = settings
        self.access = access
        self.metrics = Metrics()
        self.writer = Writer(
            lambda: database.connect(settings.database),
            most_waiting=settings.most_waiting,
            committed=self.metrics.committed,
        )
        self.metrics.waiting.set_function(lambda: self.writer.waiting)
        burst = settings.outcomes_per_second
        self.outcome_rates = Rates(settings.outcomes_per_second, burst)
        self.request_rates = Rates(settings.requests_per_second, settings.requests_per_second)
        self.beaten = 0.0
        """When the last heartbeat was written, on the monotonic clock."""
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._session: Session | None = None

    @property
    def ready(self) -> bool:
        """Whether the database takes events."""
        return time.monotonic() - self.beaten < 30

    async def write(self, change: Callable[[Session], T], rows: int = 1) -> T:
        """Make a change and return when it is durable.

        Raises:
            StoreError: It was not made.
        """
        # A client that goes away does not undo its change.
        return await asyncio.shield(asyncio.wrap_future(self.writer.submit(change, rows)))

    async def read(self, query: Callable[[Session], T]) -> T:
        """Read from one moment of the database, beside the writer.

        Raises:
            StoreError: It cannot be read.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reading, self._read, query)

    def _read(self, query: Callable[[Session], T]) -> T:
        try:
            if self._session is None:
                self._session = database.connect(self.settings.database)
            self._session.begin(write=False)
            try:
                return query(self._session)
            finally:
                self._session.rollback()
        except StoreError:
            raise
        except Exception as error:
            self._session = None
            raise UnavailableError(f"the database cannot be read: {error}") from error

    def close(self) -> None:
        """Write what waits, and end."""
        self.writer.stop()
        self._reading.shutdown()
        if self._session is not None:
            self._session.close()

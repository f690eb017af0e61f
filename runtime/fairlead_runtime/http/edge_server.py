"""Our own HTTP server: listens, keeps its connections within their limits, drains and ends."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from collections.abc import Callable
from email.utils import formatdate

from fairlead_runtime.dataplane.model import ServedModel
from fairlead_runtime.http.edge import Answering, Connection
from fairlead_runtime.http.lifecycle import JITTER, ListenError
from fairlead_runtime.http.limits import Limits

log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_POLL_S = 0.05
_LONGEST_SWEEP_S = 1.0
_BACKLOG = 1024


class EdgeServer:
    """Serves until a signal; then stops accepting, answers what comes, and ends."""

    def __init__(
        self,
        routes: Answering,
        model: ServedModel,
        *,
        host: str,
        port: int,
        limits: Limits,
        drain_s: float,
        max_connection_age_s: float,
        on_drain: Callable[[], None] = lambda: None,
    ) -> None:
        self.routes, self.limits = routes, limits
        self.loop = asyncio.get_running_loop()
        self.date = b""
        self.draining = False
        self._model, self._address = model, (host, port)
        self._drain_s, self._max_age_s = drain_s, max_connection_age_s
        self._on_drain = on_drain
        self._connections: set[Connection] = set()
        self._stopped = asyncio.Event()
        self._draining: asyncio.Task[None] | None = None

    def opened(self, connection: Connection) -> float:
        """Note a new connection and return when it is to end, in the loop's time."""
        self._connections.add(connection)
        spread = 1 - JITTER + 2 * JITTER * random.random()  # noqa: S311 - no secret
        return self.loop.time() + self._max_age_s * spread

    def closed(self, connection: Connection) -> None:
        """Note that a connection has gone."""
        self._connections.discard(connection)

    async def serve(self) -> None:
        """Serve until a signal or `stop`.

        Raises:
            ListenError: The port cannot be opened.
        """
        host, port = self._address
        self._tick()
        try:
            server = await self.loop.create_server(
                lambda: Connection(self), host, port, backlog=_BACKLOG
            )
        except OSError as error:
            raise ListenError(f"cannot listen on port {port}: {error}") from error
        for each in _SIGNALS:
            self.loop.add_signal_handler(each, self._signalled, server)
        sweeping = asyncio.create_task(self._sweep())
        log.info("listening on %s:%d", host, server.sockets[0].getsockname()[1])
        try:
            await self._stopped.wait()
        finally:
            sweeping.cancel()
            if self._draining is not None:
                self._draining.cancel()
            for each in _SIGNALS:
                self.loop.remove_signal_handler(each)
            server.close()
            for connection in tuple(self._connections):
                connection.close()
            await asyncio.sleep(0)

    def stop(self) -> None:
        """Stop without draining."""
        self._stopped.set()

    def _signalled(self, server: asyncio.Server) -> None:
        """Drain on the first signal, stop at once on the second."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain(server))
        else:
            self.stop()

    async def _drain(self, server: asyncio.Server) -> None:
        """Stop accepting, end each connection with its next answer, and wait for that."""
        log.info("draining for at most %.0f s", self._drain_s)
        self._model.drain()
        self._on_drain()
        self.draining = True
        server.close()
        # Half of the time for clients that still have something to say on an open connection,
        # the rest for requests in flight.
        half = self.loop.time() + self._drain_s / 2
        while self._connections and self.loop.time() < half:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        for connection in tuple(self._connections):
            if connection.idle:
                connection.close()
        end = half + self._drain_s / 2
        while self._connections and self.loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        self.stop()

    async def _sweep(self) -> None:
        pause_s = min(_LONGEST_SWEEP_S, self.limits.shortest_s / 4)
        while True:
            await asyncio.sleep(pause_s)
            self._tick()
            now = self.loop.time()
            for connection in tuple(self._connections):
                connection.check(now)

    def _tick(self) -> None:
        self.date = b"date: %b\r\n" % formatdate(usegmt=True).encode()

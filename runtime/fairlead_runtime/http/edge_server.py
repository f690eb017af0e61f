"""Our own HTTP server: it listens, drains on a signal, and ends."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

from fairlead_runtime.dataplane.model import ServedModel
from fairlead_runtime.http.edge import Answering
from fairlead_runtime.http.lifecycle import ListenError
from fairlead_runtime.http.limits import Limits
from fairlead_runtime.http.listener import Listener

log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_POLL_S = 0.05


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
        self._listener = Listener(
            routes,
            limits=limits,
            max_connection_age_s=max_connection_age_s,
            refused=model.metrics.dropped,
        )
        self._loop = asyncio.get_running_loop()
        self._model, self._address = model, (host, port)
        self._drain_s, self._on_drain = drain_s, on_drain
        self._stopped = asyncio.Event()
        self._draining: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Serve until a signal or `stop`.

        Raises:
            ListenError: The port cannot be opened.
        """
        host, port = self._address
        try:
            bound = await self._listener.open(host, port)
        except OSError as error:
            raise ListenError(f"cannot listen on port {port}: {error}") from error
        for each in _SIGNALS:
            self._loop.add_signal_handler(each, self._signalled)
        log.info("listening on %s:%d", host, bound)
        try:
            await self._stopped.wait()
        finally:
            if self._draining is not None:
                self._draining.cancel()
            for each in _SIGNALS:
                self._loop.remove_signal_handler(each)
            await self._listener.close()

    def stop(self) -> None:
        """Stop without draining."""
        self._stopped.set()

    def _signalled(self) -> None:
        """Drain on the first signal, stop at once on the second."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        else:
            self.stop()

    async def _drain(self) -> None:
        """Stop accepting, end each connection with its next answer, and wait for that."""
        log.info("draining for at most %.0f s", self._drain_s)
        self._model.drain()
        self._on_drain()
        listener, clock = self._listener, self._loop.time
        listener.drain()
        # Half of the time for clients that still have something to say on an open connection,
        # the rest for requests in flight.
        half = clock() + self._drain_s / 2
        while listener.connections and clock() < half:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        for connection in tuple(listener.connections):
            if connection.idle:
                connection.close()
        end = half + self._drain_s / 2
        while listener.connections and clock() < end:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        self.stop()

"""uvicorn as the HTTP server, with our limits and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from fairlead_runtime.dataplane.model import ServedModel
from fairlead_runtime.http.app import App
from fairlead_runtime.http.asgi_protocol import limited
from fairlead_runtime.http.edge import Answering
from fairlead_runtime.http.lifecycle import ListenError
from fairlead_runtime.http.limits import Limits

log = logging.getLogger(__name__)
_POLL_S = 0.05


class AsgiServer(uvicorn.Server):
    """Serves until a signal; then stops accepting, answers what comes, and ends."""

    def __init__(
        self,
        config: uvicorn.Config,
        model: ServedModel,
        drain_s: float,
        on_drain: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._model, self._drain_s, self._on_drain = model, drain_s, on_drain
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port."""
        self._loop = asyncio.get_running_loop()
        try:
            await super().startup(sockets)
        except SystemExit:  # uvicorn's way to say that the port cannot be opened
            raise ListenError(f"cannot listen on port {self.config.port}") from None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        """Drain on the first signal, stop at once on the second."""
        if self._loop is None or self._draining is not None:
            self.should_exit = self.force_exit = True
            return
        self._loop.call_soon_threadsafe(self._start_draining)

    def stop(self) -> None:
        """Stop without draining."""
        self.should_exit = True

    def _start_draining(self) -> None:
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        """Stop accepting, end each connection with its next answer, and wait for that."""
        log.info("draining for at most %.0f s", self._drain_s)
        self._model.drain()
        self._on_drain()
        for server in self.servers:
            server.close()
        # Half of the time for clients that still have something to say on an open connection;
        # uvicorn's own shutdown has the rest for requests in flight.
        deadline = time.monotonic() + self._drain_s / 2
        while self.server_state.connections and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        self.should_exit = True


def asgi_server(
    routes: Answering,
    model: ServedModel,
    *,
    host: str,
    port: int,
    limits: Limits,
    drain_s: float,
    max_connection_age_s: float,
    on_drain: Callable[[], None],
) -> AsgiServer:
    """Return uvicorn as a server of these routes."""
    log.info("uvicorn serves: a client that ends its sending side gets no answer any more")
    config = uvicorn.Config(
        App(model, routes, limits),
        host=host,
        port=port,
        loop="none",
        http=limited(limits, max_connection_age_s, model.metrics.dropped),
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=max(1, int(limits.keep_alive_s)),
        timeout_graceful_shutdown=max(1, int(drain_s / 2)),
        backlog=1024,
        ws="none",
    )
    return AsgiServer(config, model, drain_s, on_drain)

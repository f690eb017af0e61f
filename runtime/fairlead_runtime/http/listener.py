"""Listens on a port with our own edge, and keeps its connections within their limits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from email.utils import formatdate

from fairlead_runtime.http.edge import Answering, Connection, Guest
from fairlead_runtime.http.lifecycle import JITTER
from fairlead_runtime.http.limits import Limits

_BACKLOG = 1024


class Listener:
    """The house of all connections to one port."""

    def __init__(
        self,
        routes: Answering,
        *,
        limits: Limits,
        max_connection_age_s: float,
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.routes, self.limits = routes, limits
        self.loop = asyncio.get_running_loop()
        self.date = b""
        self.draining = False
        self.held_bytes = 0
        self.connections: set[Guest] = set()
        self.refused = refused
        self._max_age_s = max_connection_age_s
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.Task[None] | None = None

    def opened(self, connection: Guest) -> float:
        """Note a new connection and return when it is to end, in the loop's time."""
        self.connections.add(connection)
        spread = 1 - JITTER + 2 * JITTER * random.random()  # noqa: S311 - no secret
        return self.loop.time() + self._max_age_s * spread

    def closed(self, connection: Guest) -> None:
        """Note that a connection has gone."""
        self.connections.discard(connection)

    def replaced(self, before: Guest, after: Guest) -> None:
        """Note that a connection goes on as another one."""
        self.connections.discard(before)
        self.connections.add(after)

    @property
    def crowd(self) -> int:
        """How many connections there are."""
        return len(self.connections)

    async def open(self, host: str, port: int) -> int:
        """Begin to listen and return the port.

        Raises:
            OSError: The port cannot be opened.
        """
        self._tick()
        self._server = await self.loop.create_server(
            lambda: Connection(self), host, port, backlog=_BACKLOG
        )
        self._sweeping = asyncio.create_task(self._sweep())
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def accept_no_more(self) -> None:
        """Refuse new connections; those that are there go on."""
        if self._server is not None:
            self._server.close()

    def drain(self) -> None:
        """Accept no more, and end each connection with its next answer."""
        self.draining = True
        self.accept_no_more()

    async def close(self) -> None:
        """End all connections, in good order."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        self.accept_no_more()
        for connection in tuple(self.connections):
            connection.close()
        await asyncio.sleep(0)

    async def _sweep(self) -> None:
        pause_s = self.limits.look_s
        while True:
            await asyncio.sleep(pause_s)
            self._tick()
            now = self.loop.time()
            for connection in tuple(self.connections):
                connection.check(now)

    def _tick(self) -> None:
        self.date = b"date: %b\r\n" % formatdate(usegmt=True).encode()

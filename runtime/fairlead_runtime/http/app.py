"""The routes as a plain ASGI application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fairlead_runtime.dataplane.model import Phase, ServedModel
from fairlead_runtime.http.asgi_protocol import CONNECTION, Connection
from fairlead_runtime.http.edge import Answering
from fairlead_runtime.http.limits import Limits
from fairlead_runtime.http.messages import Request, Response
from fairlead_runtime.http.wire import RefusedError, too_much_held, too_slow
from fairlead_runtime.protocol.errors import TooLargeError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ClientGoneError(Exception):
    """Nobody is there to be answered."""


class App:
    """The ASGI application of one model."""

    def __init__(self, model: ServedModel, routes: Answering, limits: Limits) -> None:
        self._model, self._routes, self._limits = model, routes, limits
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        connection: Connection | None = scope.get(CONNECTION)
        if connection is None:
            await self._serve(scope, receive, send, None)
            return
        # So that the work ends when the client goes, see `Connection.connection_lost`.
        connection.running = asyncio.current_task()
        try:
            await self._serve(scope, receive, send, connection)
        except (asyncio.CancelledError, RuntimeError):
            # uvloop raises the latter for what is written to a connection that has just ended.
            if not connection.transport.is_closing():
                raise
            connection.give_up(scope)
        finally:
            connection.running = None

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, connection: Connection | None
    ) -> None:
        ends = False
        try:
            response = await self._respond(scope, receive)
        except ClientGoneError:
            return
        except RefusedError as why:
            response, ends = why.response(), True
        headers = [*response.headers, (b"content-length", b"%d" % len(response.body))]
        if ends or not self._keep(connection):
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body})

    def _keep(self, connection: Connection | None) -> bool:
        """Whether the connection may go on: not when it is old, nor while draining."""
        young = connection is None or time.monotonic() < connection.ends
        return self._model.phase is not Phase.DRAINING and young

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        headers = dict(scope["headers"])
        try:
            body = await self._body(headers, receive)
        except TooLargeError:
            return self._routes.too_large()
        return await self._routes.respond(
            Request(scope["method"], scope["path"], scope["query_string"], headers, body)
        )

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """Return the whole body.

        Raises:
            TooLargeError: It is too large.
            RefusedError: It took too long, or it is too much beside those of others.
            ClientGoneError: The client went before its end.
        """
        limits = self._limits
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > limits.max_body_bytes:
            raise TooLargeError(limits.max_body_bytes)
        chunks: list[bytes] = []
        size = held = 0
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout_at(started + limits.body_s) as timeout:
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGoneError
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > limits.max_body_bytes:
                        raise TooLargeError(limits.max_body_bytes)
                    chunks.append(chunk)
                    if not message.get("more_body"):
                        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
                    self._held_bytes += len(chunk)
                    held += len(chunk)
                    if self._held_bytes > limits.max_held_bytes:
                        self._model.metrics.dropped("bodies")
                        raise too_much_held()
                    timeout.reschedule(started + limits.body_s + size / limits.body_rate)
        except TimeoutError:
            raise too_slow("body", limits.body_s) from None
        finally:
            self._held_bytes -= held

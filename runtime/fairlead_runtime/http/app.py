"""The routes as a plain ASGI application."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fairlead_runtime.dataplane.model import Phase, ServedModel
from fairlead_runtime.http.edge import Answering
from fairlead_runtime.http.messages import Request, Response
from fairlead_runtime.protocol.errors import TooLargeError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CONNECTION_ENDS = "fairlead.connection_ends"


class ClientGoneError(Exception):
    """Nobody is there to be answered."""


class App:
    """The ASGI application of one model."""

    def __init__(self, model: ServedModel, routes: Answering, *, max_body_bytes: int) -> None:
        self._model, self._routes = model, routes
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            response = await self._respond(scope, receive)
        except ClientGoneError:
            return
        headers = [*response.headers, (b"content-length", b"%d" % len(response.body))]
        if not self._keep(scope):
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body})

    def _keep(self, scope: Scope) -> bool:
        """Whether the connection may go on: not when it is old, nor while draining."""
        ends = scope.get(CONNECTION_ENDS)
        return self._model.phase is not Phase.DRAINING and (ends is None or time.monotonic() < ends)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        headers = dict(scope["headers"])
        try:
            body = await _body(headers, receive, self._max_body_bytes)
        except TooLargeError:
            return self._routes.too_large()
        return await self._routes.respond(
            Request(scope["method"], scope["path"], scope["query_string"], headers, body)
        )


async def _body(headers: dict[bytes, bytes], receive: Receive, limit: int) -> bytes:
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > limit:
        raise TooLargeError(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLargeError(limit)
        chunks.append(chunk)
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)

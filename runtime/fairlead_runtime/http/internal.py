"""A second port for what the platform asks and clients must not: metrics, health, inner pages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from fairlead_runtime.http.limits import Limits
from fairlead_runtime.http.listener import Listener
from fairlead_runtime.http.messages import Request, Response, error_response
from fairlead_runtime.http.routes import Routes
from fairlead_runtime.protocol.errors import (
    MethodNotAllowedError,
    NotFoundError,
    RequestError,
    TooLargeError,
)

log = logging.getLogger(__name__)
Page = Callable[[], tuple[str, bytes]]
"""Returns a content type and a body; called in a thread."""
_MAX_BODY_BYTES = 1 << 16


class Internal:
    """The port `--metrics-port`: `/metrics`, `/health...` and the pages that were added.

    The pages are on no other port. Without the port they are nowhere; adding them does no harm.
    """

    def __init__(self, *, host: str, port: int) -> None:
        self._address = (host, port)
        self._pages: dict[str, Page] = {}
        self._routes: Routes | None = None
        self._listener: Listener | None = None

    def add(self, path: str, page: Page) -> None:
        """Answer `GET path` with what `page` returns.

        Args:
            path: Without a slash at its end, such as `/fairlead/v1/drift`.
            page: Called in a thread, for one request at a time or several.
        """
        self._pages[path] = page

    async def start(self, routes: Routes) -> None:
        """Begin to listen, unless the port is 0.

        Raises:
            OSError: The port cannot be opened.
        """
        host, port = self._address
        if port == 0:
            return
        self._routes = routes
        limits = Limits(max_body_bytes=_MAX_BODY_BYTES)
        self._listener = Listener(self, limits=limits, max_connection_age_s=limits.keep_alive_s)
        try:
            await self._listener.open(host, port)
        except OSError as error:
            raise OSError(f"cannot listen on port {port} for metrics: {error}") from error
        log.info("listening on %s:%d for metrics", host, port)

    async def stop(self) -> None:
        """End; metrics and health are answered until the last moment."""
        if self._listener is not None:
            await self._listener.close()

    async def respond(self, request: Request) -> Response:
        """Answer a request; an error is an answer as well, never an exception."""
        path = request.path.rstrip("/")
        try:
            return await self._answer(request, path)
        except RequestError as error:
            return error_response(error)
        except Exception:
            log.exception("%s %s failed", request.method, path)
            return error_response(RequestError("internal error: see the server's log"))

    def too_large(self) -> Response:
        """Return the answer to a body that is too large."""
        return error_response(TooLargeError(_MAX_BODY_BYTES))

    async def _answer(self, request: Request, path: str) -> Response:
        page = self._pages.get(path)
        if page is not None:
            if request.method not in ("GET", "HEAD"):
                raise MethodNotAllowedError("GET, HEAD")
            content_type, body = await asyncio.to_thread(page)
            return Response(200, [(b"content-type", content_type.encode())], body)
        if self._routes is not None and (
            path in ("/metrics", "/health") or path.startswith("/health/")
        ):
            return await self._routes.respond(request)
        raise NotFoundError(f"there is nothing at {path or '/'} on this port")

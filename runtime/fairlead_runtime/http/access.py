"""The routes with an access log."""

from __future__ import annotations

import time

from fairlead_runtime.dataplane.access import AccessLog
from fairlead_runtime.http.edge import Answering
from fairlead_runtime.http.messages import Request, Response
from fairlead_runtime.http.routes import REQUEST_ID, TRACEPARENT


class Logged:
    """Answers as the routes do, and notes each request.

    What HTTP itself forbids never becomes a request, and so is not here.
    """

    def __init__(self, routes: Answering, access: AccessLog) -> None:
        self._routes, self._access = routes, access

    async def respond(self, request: Request) -> Response:
        """Answer a request; an error is an answer as well, never an exception."""
        started = time.perf_counter()
        response = await self._routes.respond(request)
        asked = request.headers.get(REQUEST_ID, b"")
        given = next((value for name, value in response.headers if name == REQUEST_ID), asked)
        self._access.note(
            protocol="http",
            method=request.method,
            path=request.path,
            status=response.status,
            seconds=time.perf_counter() - started,
            request_id=given.decode("latin-1"),
            traceparent=request.headers.get(TRACEPARENT, b"").decode("latin-1"),
        )
        return response

    def too_large(self) -> Response:
        """Return the answer to a body that is too large."""
        return self._routes.too_large()

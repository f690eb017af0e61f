"""The routes with a span for each prediction."""

from __future__ import annotations

from fairlead_runtime.contract import names
from fairlead_runtime.dataplane.tracing import Tracing
from fairlead_runtime.http.edge import Answering
from fairlead_runtime.http.messages import Request, Response

_CONTEXT = [(name, name.encode()) for name in names.TRACE_HEADERS]
_REQUEST_ID = names.REQUEST_ID_HEADER.encode()
_STATUS = "http.response.status_code"
_GONE = 499
"""What a request ends with whose client has gone, as NGINX has it: nobody was answered."""


class Traced:
    """Answers as the routes do, and makes a span of each prediction."""

    def __init__(self, routes: Answering, tracing: Tracing) -> None:
        self._routes, self._tracing = routes, tracing

    async def respond(self, request: Request) -> Response:
        """Answer a request; an error is an answer as well, never an exception."""
        path = request.path.rstrip("/")
        if request.method != "POST" or not path.endswith(("/predict", "/infer")):
            return await self._routes.respond(request)
        headers = request.headers
        carrier = {name: headers[key].decode("latin-1") for name, key in _CONTEXT if key in headers}
        said = {"http.request.method": "POST", "url.path": path}
        if _REQUEST_ID in headers:
            said["fairlead.request.id"] = headers[_REQUEST_ID].decode("latin-1")[:256]
        request.trace = self._tracing.begin(f"POST {path}", carrier, said)
        status = _GONE
        try:
            response = await self._routes.respond(request)
            status = response.status
            return response
        finally:
            self._tracing.end(request.trace, _STATUS, status, failed=status >= 500)  # noqa: PLR2004

    def too_large(self) -> Response:
        """Return the answer to a body that is too large."""
        return self._routes.too_large()

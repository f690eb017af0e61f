"""Routes from HTTP to the data plane: a request in, a response out, free of any transport."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from fairlead_runtime.contract import names
from fairlead_runtime.dataplane.access import trace_id
from fairlead_runtime.dataplane.aside import Seen
from fairlead_runtime.dataplane.model import ServedModel
from fairlead_runtime.http.ids import RequestIds
from fairlead_runtime.http.messages import (
    JSON,
    Headers,
    Request,
    Response,
    error_response,
    json_response,
)
from fairlead_runtime.http.openapi import openapi
from fairlead_runtime.protocol import simple, v2
from fairlead_runtime.protocol.answers import render_infer, render_model
from fairlead_runtime.protocol.coding import deflate, inflate
from fairlead_runtime.protocol.errors import (
    Code,
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
    RequestError,
    TooLargeError,
)

__all__ = ["Request", "Response", "Routes"]

log = logging.getLogger(__name__)

EXTENSIONS = ("binary_tensor_data",)
_TEXT = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
# The docs page needs nothing from elsewhere, and nothing else may get into it.
_POLICY = (
    b"default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)
_PAGE: Headers = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", _POLICY),
]
_BINARY = (b"content-type", b"application/octet-stream")
_CODING = b"content-encoding"
_HEADER_LENGTH = b"inference-header-content-length"
REQUEST_ID = names.REQUEST_ID_HEADER.encode()
_TIMEOUTS = (names.TIMEOUT_HEADER.encode(), names.ENVOY_TIMEOUT_HEADER.encode())
_MODEL = names.MODEL_HEADER.encode()
TRACEPARENT, _TRACESTATE = (name.encode() for name in names.TRACE_HEADERS)
_LONG_WORK = 1 << 18  # bytes: a coding of more takes long enough to leave the event loop for it
_ENDPOINTS = [
    "POST /predict",
    "GET /health",
    "GET /metrics",
    "GET /docs",
    "GET /openapi.json",
    "GET /v2",
    "GET /v2/models/NAME",
    "POST /v2/models/NAME/infer",
]


class Routes:
    """Everything that one model answers over HTTP."""

    def __init__(self, model: ServedModel, *, server_version: str, max_body_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes
        self._model, self._server_version = model, server_version
        self._server = {
            "name": "fairlead",
            "version": server_version,
            "extensions": list(EXTENSIONS),
        }
        self._openapi = b""
        self._ids = RequestIds()
        self._version_header = (names.MODEL_VERSION_HEADER.encode(), model.version.encode())
        base = f"/v2/models/{model.name}"
        self._predictions: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/predict": self._predict,
            f"{base}/infer": self._infer,
            f"{base}/versions/{model.version}/infer": self._infer,
        }

    async def respond(self, request: Request) -> Response:
        """Answer a request; an error is an answer as well, never an exception."""
        predict = self._prediction(request.path)
        if predict is None and _MODEL in request.headers:
            request = self._of_this_model(request)
            predict = self._prediction(request.path)
        try:
            if predict is None:
                response = await self._read(request)
            elif request.method != "POST":
                response = error_response(MethodNotAllowedError("POST"))
            else:
                metrics = self._model.metrics
                metrics.answering += 1
                try:
                    response = await predict(request)
                finally:
                    metrics.answering -= 1
        except RequestError as error:
            if predict is not None:
                self._model.metrics.failed(error.code)
            response = error_response(error)
        except Exception:
            log.exception("%s %s failed", request.method, request.path, extra=who(request))
            self._model.metrics.failed(Code.INTERNAL)
            response = error_response(RequestError("internal error: see the server's log"))
        for name in (TRACEPARENT, _TRACESTATE):
            value = request.headers.get(name)
            if value is not None:
                response.headers.append((name, value))
        return response

    def _prediction(self, path: str) -> Callable[[Request], Awaitable[Response]] | None:
        return self._predictions.get(path) or self._predictions.get(path.rstrip("/"))

    def _of_this_model(self, request: Request) -> Request:
        """Return a request as it would be with this model's own name.

        As an arm of an experiment a model answers for the one whose address it shares.
        """
        asked = f"/v2/models/{request.headers[_MODEL].decode('latin-1')}"
        if request.path != asked and not request.path.startswith(f"{asked}/"):
            return request
        path = f"/v2/models/{self._model.name}{request.path[len(asked) :]}"
        return dataclasses.replace(request, path=path)

    def too_large(self) -> Response:
        """Return the answer to a body of more than `max_body_bytes`; the edge kept none of it."""
        self._model.metrics.failed(Code.TOO_LARGE)
        return error_response(TooLargeError(self.max_body_bytes))

    async def _predict(self, request: Request) -> Response:
        started = time.perf_counter()
        model = self._model
        signature, chosen = model.signature(), model.answering()
        deadline = _deadline(request, time.monotonic())
        body = request.body
        if _CODING in request.headers:
            body = await self._plain_body(request)
        asked = simple.parse_predict(body, signature, chosen, deadline=deadline)
        asked.infer.trace = request.trace
        request_id = asked.infer.id or _request_id(request) or self._ids.next()
        answer = await model.infer(asked.infer)
        rendered = simple.render_predict(
            answer,
            chosen,
            single=asked.single,
            request_id=request_id,
            model_version=model.version,
        )
        took = time.perf_counter() - started
        model.metrics.succeeded(took)
        aside = model.aside
        if aside is not None and (aside.wants or aside.marked(request.headers)):
            seen = Seen(asked.infer, answer, request_id, took, "predict", request.headers)
            aside.see(seen, len(body) + len(rendered))
        return await self._answer(request, [JSON], rendered, request_id)

    async def _infer(self, request: Request) -> Response:
        started, now = time.perf_counter(), time.monotonic()
        model = self._model
        signature = model.signature()
        deadline = _deadline(request, now)
        body = request.body
        if _CODING in request.headers:
            body = await self._plain_body(request)
        asked = v2.parse_infer(
            body,
            signature,
            header_length=_header_length(request, len(body)),
            now=now,
            deadline=deadline,
        )
        asked.infer.trace = request.trace
        request_id = asked.infer.id or _request_id(request)
        answer = await model.infer(asked.infer)
        rendered = render_infer(
            answer,
            signature,
            identity=request_id,
            model_name=model.name,
            model_version=model.version,
            raw=asked.raw,
        )
        took = time.perf_counter() - started
        model.metrics.succeeded(took)
        aside = model.aside
        if aside is not None and (aside.wants or aside.marked(request.headers)):
            seen = Seen(asked.infer, answer, request_id, took, "v2", request.headers)
            aside.see(seen, len(body) + len(rendered.body))
        if rendered.header_length is None:
            return await self._answer(request, [JSON], rendered.body, request_id)
        headers = [_BINARY, (_HEADER_LENGTH, b"%d" % rendered.header_length)]
        return await self._answer(request, headers, rendered.body, request_id)

    async def _plain_body(self, request: Request) -> bytes:
        coding = request.headers[_CODING]
        name, limit = coding.decode("latin-1").strip().lower(), self.max_body_bytes
        if len(request.body) * 16 < _LONG_WORK:
            return inflate(request.body, name, limit=limit)
        return await asyncio.to_thread(inflate, request.body, name, limit=limit)

    async def _answer(
        self, request: Request, headers: Headers, body: bytes, request_id: str
    ) -> Response:
        headers.append(self._version_header)
        if request_id.isascii() and request_id.isprintable() and request_id:
            headers.append((REQUEST_ID, request_id.encode()))
        # Libraries list all codings that they know, whether the caller cares or not, and packing
        # costs more than the whole request; who names just one means it.
        wanted = request.headers.get(b"accept-encoding")
        if wanted in (b"gzip", b"deflate"):
            coding = wanted.decode()
            if len(body) < _LONG_WORK:
                body = deflate(body, coding)
            else:
                body = await asyncio.to_thread(deflate, body, coding)
            headers += [(b"content-encoding", wanted), (b"vary", b"accept-encoding")]
        return Response(200, headers, body)

    async def _read(self, request: Request) -> Response:
        """Return the answer of everything that only reads."""
        path = request.path.rstrip("/") or "/"
        found = await self._page(path) or self._health(path) or self._of_model(path)
        if found is None:
            raise NotFoundError(f"there is nothing at {path}")
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowedError("GET, HEAD")
        return found

    async def _page(self, path: str) -> Response | None:
        model = self._model
        if path == "/metrics":
            return Response(200, [_TEXT], await model.metrics.rendered())
        if path == "/v2":
            return json_response(self._server)
        if path == "/openapi.json":
            return Response(200, [JSON], self._described())
        if path == "/docs":
            page = Path(__file__).with_name("docs.html").read_bytes()
            return Response(200, [*_PAGE], page)
        if path == "/":
            document = {"model": model.name, "version": model.version, "endpoints": _ENDPOINTS}
            return json_response(document)
        return None

    def _described(self) -> bytes:
        if not self._openapi:
            model = self._model
            self._openapi = openapi(
                model.signature(),
                model.answering(),
                name=model.name,
                version=model.version,
                server_version=self._server_version,
            )
        return self._openapi

    def _health(self, path: str) -> Response | None:
        model = self._model
        status = 200 if model.ready else 503
        if path in ("/health", "/health/ready"):
            document = {"status": model.phase.value, "model_loaded": model.loaded}
            return json_response(document, status)
        if path == "/health/live":
            return json_response({"status": "alive"})
        if path == "/v2/health/live":
            return json_response({"live": True})
        if path == "/v2/health/ready":
            return json_response({"ready": model.ready}, status)
        return None

    def _of_model(self, path: str) -> Response | None:
        """Return the answer of `/v2/models/NAME[/versions/VERSION][/ready]`."""
        parts = path.split("/")[1:]
        if parts[:2] != ["v2", "models"] or len(parts) < 3:
            return None
        model = self._model
        name, rest, version = parts[2], parts[3:], None
        if rest[:1] == ["versions"] and len(rest) >= 2:
            version, rest = rest[1], rest[2:]
        if rest not in ([], ["ready"], ["infer"]):
            return None
        model.check_name(name, version)
        if rest == ["ready"]:
            document = {"name": model.name, "ready": model.ready}
            return json_response(document, 200 if model.ready else 503)
        if rest:  # an infer that is served would not have come here
            return None
        body = render_model(
            model.name, model.version, model.signature(), names.PLATFORM, model.properties
        )
        return Response(200, [JSON], body)


def who(request: Request) -> dict[str, str]:
    """Return the fields by which a line of the log is found again."""
    trace = request.headers.get(TRACEPARENT, b"").decode("latin-1")
    return {"request_id": _request_id(request), "trace_id": trace_id(trace)}


def _request_id(request: Request) -> str:
    value = request.headers.get(REQUEST_ID)
    return value.decode("latin-1")[:256] if value else ""


def _deadline(request: Request, now: float) -> float | None:
    """Return when the client stops waiting, by the first header that says so."""
    for name in _TIMEOUTS:
        value = request.headers.get(name)
        if value is not None:
            most = names.LONGEST_TIMEOUT_MS
            if not value.isdigit() or len(value) > 12 or int(value) > most:
                message = f"must be a whole number of milliseconds, {most} at most"
                raise InvalidRequestError(name.decode(), message, expected="milliseconds")
            return now + int(value) / 1000 if int(value) else None
    return None


def _header_length(request: Request, size: int) -> int | None:
    value = request.headers.get(_HEADER_LENGTH)
    if value is None:
        return None
    if not value.isdigit() or len(value) > 12 or int(value) > size:
        message = f"must be the number of bytes of the JSON, at most the body's {size}"
        raise InvalidRequestError(_HEADER_LENGTH.decode(), message, expected=f"at most {size}")
    return int(value)

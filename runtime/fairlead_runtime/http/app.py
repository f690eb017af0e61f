"""Routes from HTTP to the data plane, as a plain ASGI application."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from fairlead_runtime.contract import names
from fairlead_runtime.dataplane.model import ServedModel
from fairlead_runtime.protocol import simple, v2
from fairlead_runtime.protocol.errors import (
    InferenceError,
    InvalidRequestError,
    NotReadyError,
    RequestError,
    UnknownModelError,
)

log = logging.getLogger(__name__)
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PLATFORM = "onnxruntime_onnx"
CONNECTION_ENDS = "fairlead.connection_ends"
_JSON = b"application/json"
_STATUS: dict[type[RequestError], int] = {
    InvalidRequestError: 400,
    UnknownModelError: 404,
    NotReadyError: 503,
    InferenceError: 500,
}


@dataclass(slots=True)
class Response:
    """An HTTP response."""

    status: int = 200
    body: bytes = b""
    content_type: bytes = _JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


class TooLargeError(Exception):
    """The request's body is larger than allowed."""


class App:
    """The ASGI application of one model."""

    def __init__(self, model: ServedModel, *, server_version: str, max_body_bytes: int) -> None:
        self._model = model
        self._limit = max_body_bytes
        self._server = {"name": "fairlead", "version": server_version, "extensions": []}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        response = await self._respond(scope, receive)
        headers = [
            (b"content-type", response.content_type),
            (b"content-length", str(len(response.body)).encode()),
            *response.headers,
        ]
        if not self._keep(scope):
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body})

    def _keep(self, scope: Scope) -> bool:
        """Whether the connection may go on: not when it is old, nor while draining."""
        ends = scope.get(CONNECTION_ENDS)
        return self._model.phase.value != "draining" and (ends is None or time.monotonic() < ends)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        method, path = scope["method"], scope["path"].rstrip("/") or "/"
        is_prediction = path == "/predict" or path.endswith("/infer")
        try:
            if is_prediction:
                if method != "POST":
                    return _wrong_method("POST")
                with self._model.metrics.in_flight():
                    return await self._predict(scope, path, receive)
            found = self._read(path)
            if found is not None and method not in ("GET", "HEAD"):
                return _wrong_method("GET, HEAD")
            return found or _error(404, f"there is nothing at {path}")
        except TooLargeError:
            self._model.metrics.failed()
            return _error(413, f"the body has more than {self._limit} bytes")
        except RequestError as error:
            if is_prediction:
                self._model.metrics.failed()
            response = _error(_STATUS.get(type(error), 500), str(error))
            if isinstance(error, NotReadyError):
                response.headers.append((b"retry-after", b"1"))
            return response
        except Exception:
            log.exception("%s %s failed", method, path)
            self._model.metrics.failed()
            return _error(500, "internal error: see the server's log")

    async def _predict(self, scope: Scope, path: str, receive: Receive) -> Response:
        started = time.perf_counter()
        model = self._model
        if path == "/predict":
            signature, chosen = model.signature(), model.answering()
            asked = simple.parse_predict(await self._body(scope, receive), signature, chosen)
            request_id = asked.infer.id or _request_id(scope) or str(uuid.uuid4())
            answer = await model.infer(asked.infer)
            body = simple.render_predict(
                answer,
                chosen,
                single=asked.single,
                request_id=request_id,
                model_version=model.version,
            )
        else:
            name, version, _ = _model_path(path)
            model.check_name(name, version)
            request = v2.parse_infer(await self._body(scope, receive), model.signature())
            request_id = request.id or _request_id(scope)
            answer = await model.infer(request)
            body = v2.render_infer(
                answer, identity=request_id, model_name=model.name, model_version=model.version
            )
        model.metrics.succeeded(time.perf_counter() - started)
        headers = [(names.MODEL_VERSION_HEADER.encode(), model.version.encode())]
        if request_id.isascii() and request_id.isprintable() and request_id:
            headers.append((names.REQUEST_ID_HEADER.encode(), request_id.encode()))
        return Response(body=body, headers=headers)

    def _read(self, path: str) -> Response | None:
        """Return the answer of everything that only reads."""
        model = self._model
        if path in ("/health", "/health/ready"):
            document = {"status": model.phase.value, "model_loaded": model.loaded}
            return _json(document, 200 if model.ready else 503)
        if path == "/health/live":
            return _json({"status": "alive"})
        if path == "/metrics":
            kind = b"text/plain; version=0.0.4; charset=utf-8"
            return Response(body=model.metrics.render(), content_type=kind)
        if path == "/v2":
            return _json(self._server)
        if path == "/v2/health/live":
            return _json({"live": True})
        if path == "/v2/health/ready":
            return _json({"ready": model.ready}, 200 if model.ready else 503)
        if path.startswith("/v2/models/"):
            name, version, rest = _model_path(path)
            model.check_name(name, version)
            if rest == "ready":
                document = {"name": model.name, "ready": model.ready}
                return _json(document, 200 if model.ready else 503)
            if rest == "":
                signature = model.signature()
                body = v2.render_model(model.name, model.version, signature, PLATFORM)
                return Response(body=body)
        if path == "/":
            return _json({"model": model.name, "version": model.version, "endpoints": _ENDPOINTS})
        return None

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        for key, value in scope["headers"]:
            if key == b"content-length" and value.isdigit() and int(value) > self._limit:
                raise TooLargeError
            if key == b"content-encoding" and value.lower() not in (b"", b"identity"):
                encoding = value.decode("latin-1")
                raise InvalidRequestError("content-encoding", f"{encoding} is not supported")
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise InvalidRequestError("", "the client has gone")
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._limit:
                raise TooLargeError
            chunks.append(chunk)
            if not message.get("more_body"):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)


_ENDPOINTS = [
    "POST /predict",
    "GET /health",
    "GET /metrics",
    "GET /v2",
    "GET /v2/models/NAME",
    "POST /v2/models/NAME/infer",
]


def _model_path(path: str) -> tuple[str, str | None, str]:
    """Split `/v2/models/NAME[/versions/VERSION][/ready|/infer]`."""
    parts = path.split("/")[3:]
    name, rest = parts[0], parts[1:]
    version = None
    if rest[:1] == ["versions"] and len(rest) >= 2:
        version, rest = rest[1], rest[2:]
    return name, version, "/".join(rest)


def _request_id(scope: Scope) -> str:
    wanted = names.REQUEST_ID_HEADER.encode()
    for key, value in scope["headers"]:
        if key == wanted:
            return str(value.decode("latin-1"))[:256]
    return ""


def _json(document: object, status: int = 200) -> Response:
    return Response(status=status, body=orjson.dumps(document))


def _error(status: int, message: str) -> Response:
    return _json({"error": message}, status)


def _wrong_method(allowed: str) -> Response:
    response = _error(405, f"use {allowed}")
    response.headers.append((b"allow", allowed.encode()))
    return response

"""Routes from HTTP to the data plane, free of any transport: a request in, a response out."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

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

PLATFORM = "onnxruntime_onnx"
Headers = list[tuple[bytes, bytes]]
_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
_STATUS: dict[type[RequestError], int] = {
    InvalidRequestError: 400,
    UnknownModelError: 404,
    NotReadyError: 503,
    InferenceError: 500,
}
_REQUEST_ID = names.REQUEST_ID_HEADER.encode()
_MODEL_VERSION = names.MODEL_VERSION_HEADER.encode()
_ENDPOINTS = [
    "POST /predict",
    "GET /health",
    "GET /metrics",
    "GET /v2",
    "GET /v2/models/NAME",
    "POST /v2/models/NAME/infer",
]


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request, read to its end.

    Attributes:
        method: `GET`, `POST` and so on, in capitals.
        path: Without the query, percent-decoded.
        query: What follows the question mark.
        headers: By name in lower case; of a repeated header the last.
        body: Without the transfer coding; a content coding is still on it.
    """

    method: str
    path: str
    query: bytes
    headers: Mapping[bytes, bytes]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response.

    Attributes:
        status: Its code.
        headers: Without content-length and what belongs to the connection: the edge adds those.
        body: Sent by the edge unless the method is HEAD.
    """

    status: int
    headers: Headers
    body: bytes


class Routes:
    """Everything that one model answers over HTTP."""

    def __init__(self, model: ServedModel, *, server_version: str, max_body_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes
        self._model = model
        self._server = {"name": "fairlead", "version": server_version, "extensions": []}

    async def respond(self, request: Request) -> Response:
        """Answer a request; an error is an answer as well, never an exception."""
        method, path = request.method, request.path.rstrip("/") or "/"
        is_prediction = path == "/predict" or path.endswith("/infer")
        try:
            if is_prediction:
                if method != "POST":
                    return _wrong_method("POST")
                with self._model.metrics.in_flight():
                    return await self._predict(request, path)
            found = self._read(path)
            if found is not None and method not in ("GET", "HEAD"):
                return _wrong_method("GET, HEAD")
            return found or _error(404, f"there is nothing at {path}")
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

    def too_large(self) -> Response:
        """Return the answer to a body of more than `max_body_bytes`; the edge kept none of it."""
        self._model.metrics.failed()
        return _error(413, f"the body has more than {self.max_body_bytes} bytes")

    async def _predict(self, request: Request, path: str) -> Response:
        started = time.perf_counter()
        model = self._model
        _check_encoding(request)
        if path == "/predict":
            signature, chosen = model.signature(), model.answering()
            asked = simple.parse_predict(request.body, signature, chosen)
            request_id = asked.infer.id or _request_id(request) or str(uuid.uuid4())
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
            parsed = v2.parse_infer(request.body, model.signature())
            request_id = parsed.id or _request_id(request)
            answer = await model.infer(parsed)
            body = v2.render_infer(
                answer, identity=request_id, model_name=model.name, model_version=model.version
            )
        model.metrics.succeeded(time.perf_counter() - started)
        headers = [_JSON, (_MODEL_VERSION, model.version.encode())]
        if request_id.isascii() and request_id.isprintable() and request_id:
            headers.append((_REQUEST_ID, request_id.encode()))
        return Response(200, headers, body)

    def _read(self, path: str) -> Response | None:
        """Return the answer of everything that only reads."""
        model = self._model
        if path in ("/health", "/health/ready"):
            document = {"status": model.phase.value, "model_loaded": model.loaded}
            return _json(document, 200 if model.ready else 503)
        if path == "/health/live":
            return _json({"status": "alive"})
        if path == "/metrics":
            return Response(200, [_TEXT], model.metrics.render())
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
                return Response(200, [_JSON], body)
        if path == "/":
            return _json({"model": model.name, "version": model.version, "endpoints": _ENDPOINTS})
        return None


def _check_encoding(request: Request) -> None:
    encoding = request.headers.get(b"content-encoding", b"identity").lower()
    if encoding not in (b"", b"identity"):
        shown = encoding.decode("latin-1")
        raise InvalidRequestError("content-encoding", f"{shown} is not supported")


def _model_path(path: str) -> tuple[str, str | None, str]:
    """Split `/v2/models/NAME[/versions/VERSION][/ready|/infer]`."""
    parts = path.split("/")[3:]
    name, rest = parts[0], parts[1:]
    version = None
    if rest[:1] == ["versions"] and len(rest) >= 2:
        version, rest = rest[1], rest[2:]
    return name, version, "/".join(rest)


def _request_id(request: Request) -> str:
    return request.headers.get(_REQUEST_ID, b"").decode("latin-1")[:256]


def _json(document: object, status: int = 200) -> Response:
    return Response(status, [_JSON], orjson.dumps(document))


def _error(status: int, message: str) -> Response:
    return _json({"error": message}, status)


def _wrong_method(allowed: str) -> Response:
    response = _error(405, f"use {allowed}")
    response.headers.append((b"allow", allowed.encode()))
    return response

"""HTTP requests and responses as the routes see them, free of any transport."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from fairlead_runtime.protocol.errors import (
    DeadlineError,
    InferenceError,
    InputRefusedError,
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
    NotReadyError,
    OverloadedError,
    RequestError,
    TooLargeError,
    UnknownModelError,
)

Headers = list[tuple[bytes, bytes]]
JSON = (b"content-type", b"application/json")
_STATUS: dict[type[RequestError], int] = {
    InvalidRequestError: 400,
    UnknownModelError: 404,
    NotFoundError: 404,
    MethodNotAllowedError: 405,
    TooLargeError: 413,
    InputRefusedError: 400,
    OverloadedError: 429,
    InferenceError: 500,
    NotReadyError: 503,
    DeadlineError: 504,
}


@dataclass(slots=True)  # frozen would cost 0.3 us: it is made for each request
class Request:
    """An HTTP request, read to its end.

    Attributes:
        method: `GET`, `POST` and so on, in capitals.
        path: Without the query, percent-decoded.
        query: What follows the question mark.
        headers: By name in lower case; of a repeated header the last.
        body: Without the transfer coding; a content coding is still on it.
        trace: See `InferRequest.trace`.
    """

    method: str
    path: str
    query: bytes
    headers: Mapping[bytes, bytes]
    body: bytes
    trace: Any = None


@dataclass(slots=True)
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


def json_response(document: object, status: int = 200) -> Response:
    """Return a response of JSON."""
    return Response(status, [JSON], orjson.dumps(document))


def error_response(error: RequestError) -> Response:
    """Return the response that tells a client of an error."""
    response = json_response(error.document(), _STATUS.get(type(error), 500))
    if isinstance(error, OverloadedError):
        response.headers.append((b"retry-after", b"%d" % error.retry_after_s))
    elif isinstance(error, NotReadyError):
        response.headers.append((b"retry-after", b"1"))
    elif isinstance(error, MethodNotAllowedError):
        response.headers.append((b"allow", error.expected.encode()))
    return response

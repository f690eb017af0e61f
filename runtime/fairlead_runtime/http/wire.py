"""HTTP/1.1 as bytes: request heads checked, response heads written. No socket, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import unquote

from fairlead_runtime.http.messages import Headers, Response, json_response
from fairlead_runtime.protocol.errors import Code

_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RefusedError(Exception):
    """A request that HTTP itself forbids, or that is beyond a limit; the connection ends."""

    def __init__(
        self, status: int, code: Code, message: str, *, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.retry_after_s = status, code, retry_after_s

    def response(self) -> Response:
        """Return what the client is told."""
        response = json_response({"error": str(self), "code": str(self.code)}, self.status)
        if self.retry_after_s is not None:
            response.headers.append((b"retry-after", b"%d" % self.retry_after_s))
        return response


def too_many_connections(most: int) -> RefusedError:
    """Return what a client is told whose connection is one too many."""
    message = f"{most} connections are open, which is all that may: use fewer, or try again"
    return RefusedError(503, Code.TOO_MANY_CONNECTIONS, message, retry_after_s=1)


def too_much_held() -> RefusedError:
    """Return what a client is told whose body, beside those of others, is too much to hold."""
    message = "too many large bodies are being read at once: try again, or start more replicas"
    return RefusedError(429, Code.OVERLOADED, message, retry_after_s=1)


def check_head(version: str, headers: Mapping[bytes, bytes], hosts: int) -> None:
    """Check what a lenient server would let pass, to the harm of who stands behind a proxy.

    Conflicting lengths, broken chunks, folded lines and bare line feeds the parser refuses itself.

    Args:
        version: `1.1` and so on.
        headers: By name in lower case.
        hosts: How many Host headers there are.

    Raises:
        RefusedError: The request cannot be answered.
    """
    if version not in ("1.1", "1.0"):
        message = f"HTTP/{version} is not spoken here: use HTTP/1.1"
        raise RefusedError(505, Code.VERSION_NOT_SUPPORTED, message)
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise RefusedError(400, Code.BAD_REQUEST, f"one Host header is needed, not {hosts}")
    coding = headers.get(b"transfer-encoding")
    if coding is not None:
        if version == "1.0":
            raise RefusedError(400, Code.BAD_REQUEST, "HTTP/1.0 has no transfer-encoding")
        if coding.lower() != b"chunked":
            message = "the only transfer-encoding that is understood is chunked"
            raise RefusedError(501, Code.NOT_IMPLEMENTED, message)
    expected = headers.get(b"expect")
    if expected is not None and expected.lower() != b"100-continue":
        message = "the only expectation that can be met is 100-continue"
        raise RefusedError(417, Code.EXPECTATION_FAILED, message)


@lru_cache(maxsize=256)
def target(url: bytes) -> tuple[str, bytes]:
    """Return the path, percent-decoded, and the query of a request target in any of its forms."""
    if not url.startswith((b"/", b"*")) and b"://" in url:
        rest = url.split(b"://", 1)[1]
        slash, mark = rest.find(b"/"), rest.find(b"?")
        # The authority ends at the first slash or question mark.
        if slash >= 0 and (mark < 0 or slash < mark):
            url = rest[slash:]
        else:
            url = b"/" + (rest[mark:] if mark >= 0 else b"")
    path, _, query = url.partition(b"#")[0].partition(b"?")
    text = path.decode("latin-1")
    return (unquote(text) if "%" in text else text), query


def head(
    status: int, headers: Headers, length: int, *, date: bytes, connection: bytes = b""
) -> bytes:
    """Return the bytes of a response's head.

    Args:
        status: The status code.
        headers: As the routes gave them.
        length: Of the body, sent or not.
        date: The line of the Date header, with its line end.
        connection: Value of the Connection header; empty for none.
    """
    lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status, date]
    for name, value in headers:
        if b"\n" in value or b"\r" in value:
            continue  # whatever it was: it will not become a header of its own, or a body
        lines += (name, b": ", value, b"\r\n")
    if connection:
        lines += (b"connection: ", connection, b"\r\n")
    lines.append(b"content-length: %d\r\n\r\n" % length)
    return b"".join(lines)

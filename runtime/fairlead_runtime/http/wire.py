"""HTTP/1.1 as bytes: request heads checked, response heads written. No socket, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import unquote

from fairlead_runtime.contract import names
from fairlead_runtime.http.limits import Limits
from fairlead_runtime.http.messages import Headers, Response, json_response
from fairlead_runtime.protocol.errors import Code

_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
_CODING = "transfer-encoding"
# Headers of which there are few different ones: their lines are made once.
_SAME = frozenset({b"content-type", names.MODEL_VERSION_HEADER.encode()})
_LINES: dict[tuple[bytes, bytes], bytes] = {}
_MOST_LINES = 64
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RefusedError(Exception):
    """A request that HTTP itself forbids, or that is beyond a limit; the connection ends."""

    def __init__(
        self,
        status: int,
        code: Code,
        message: str,
        *,
        field: str = "",
        expected: str = "",
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.retry_after_s = status, code, retry_after_s
        self.field, self.expected = field, expected

    def response(self) -> Response:
        """Return what the client is told."""
        document = {"error": str(self), "code": str(self.code)}
        if self.field:
            document["field"] = self.field
        if self.expected:
            document["expected"] = self.expected
        response = json_response(document, self.status)
        if self.retry_after_s is not None:
            response.headers.append((b"retry-after", b"%d" % self.retry_after_s))
        return response


def not_http(why: object) -> RefusedError:
    """Return what a client is told whose bytes the parser refuses."""
    return RefusedError(400, Code.BAD_REQUEST, f"this is not HTTP: {why}", expected="HTTP/1.1")


def too_slow(what: str, seconds: float) -> RefusedError:
    """Return what a client is told whose `headers` or `body` did not come in time."""
    message = f"the {what} took too long"
    expected = f"all of it within {seconds:g} s"
    return RefusedError(408, Code.REQUEST_TIMEOUT, message, field=what, expected=expected)


def too_long_target(limits: Limits) -> RefusedError:
    """Return what a client is told whose request target is too long."""
    message, expected = "the request target is too long", f"at most {limits.max_url_bytes} bytes"
    return RefusedError(414, Code.URI_TOO_LONG, message, field="target", expected=expected)


def too_large_head(limits: Limits) -> RefusedError:
    """Return what a client is told whose headers are too many or too large."""
    most = f"at most {limits.max_headers} of {limits.max_head_bytes} bytes together"
    message = f"headers may be {most}"
    return RefusedError(431, Code.HEADERS_TOO_LARGE, message, field="headers", expected=most)


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
        raise RefusedError(505, Code.VERSION_NOT_SUPPORTED, message, expected="HTTP/1.1")
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        message = f"one Host header is needed, not {hosts}"
        raise RefusedError(400, Code.BAD_REQUEST, message, field="host", expected="one")
    coding = headers.get(b"transfer-encoding")
    if coding is not None:
        if version == "1.0":
            message = "HTTP/1.0 has no transfer-encoding"
            raise RefusedError(400, Code.BAD_REQUEST, message, field=_CODING, expected="none")
        if coding.lower() != b"chunked":
            message = "the only transfer-encoding that is understood is chunked"
            raise RefusedError(
                501, Code.NOT_IMPLEMENTED, message, field=_CODING, expected="chunked"
            )
    expected = headers.get(b"expect")
    if expected is not None and expected.lower() != b"100-continue":
        message = "the only expectation that can be met is 100-continue"
        raise RefusedError(
            417, Code.EXPECTATION_FAILED, message, field="expect", expected="100-continue"
        )


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


def _line(header: tuple[bytes, bytes]) -> bytes:
    name, value = header
    if b"\n" in value or b"\r" in value:
        return b""  # whatever it was: it will not become a header of its own, or a body
    line = b"%b: %b\r\n" % header
    if name in _SAME and len(_LINES) < _MOST_LINES:
        _LINES[header] = line
    return line


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
    lines += [_LINES.get(header) or _line(header) for header in headers]
    if connection:
        lines += (b"connection: ", connection, b"\r\n")
    lines.append(b"content-length: %d\r\n\r\n" % length)
    return b"".join(lines)

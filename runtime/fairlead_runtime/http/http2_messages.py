"""HTTP/2 heads to requests and responses to heads, by the same rules as for HTTP/1.1. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from fairlead_runtime.http.limits import Limits
from fairlead_runtime.http.messages import Headers, Request, Response
from fairlead_runtime.http.wire import (
    check_head,
    target,
    too_large_head,
    too_long_target,
)

_ENTRY_BYTES = 32  # what RFC 7541 counts for each header beside its name and value


def request(headers: Iterable[tuple[bytes, bytes]], limits: Limits) -> Request:
    """Return the request of a head, its body still to come.

    Args:
        headers: As `h2` gives them, pseudo-headers included: it has checked what RFC 9113 forbids.
        limits: What a client may send.

    Raises:
        RefusedError: It is beyond a limit, or expects what cannot be.
    """
    method, url, authority = b"", b"", b""
    plain: dict[bytes, bytes] = {}
    size = count = 0
    for name, value in headers:
        size += len(name) + len(value) + _ENTRY_BYTES
        if name.startswith(b":"):
            if name == b":method":
                method = value
            elif name == b":path":
                url = value
            elif name == b":authority":
                authority = value
            continue
        count += 1
        plain[name] = value.strip()
    if count > limits.max_headers or size > limits.max_head_bytes:
        raise too_large_head(limits)
    if len(url) > limits.max_url_bytes:
        raise too_long_target(limits)
    if authority:
        plain.setdefault(b"host", authority)
    check_head("1.1", plain, 1)
    path, query = target(url)
    return Request(method.decode("latin-1"), path, query, plain, b"")


def head(response: Response, date: bytes) -> Headers:
    """Return the head of a response.

    Args:
        response: The response.
        date: The line of the Date header of HTTP/1.1, with its line end.
    """
    return [
        (b":status", b"%d" % response.status),
        (b"date", date[len(b"date: ") : -2]),
        # Whatever it was: it will not become a header of its own, or a body, behind a proxy.
        *((n, v) for n, v in response.headers if b"\n" not in v and b"\r" not in v),
        (b"content-length", b"%d" % len(response.body)),
    ]


def declared_length(asked: Request) -> int:
    """Return the length of the body that the head announces; 0 where it announces none."""
    length = asked.headers.get(b"content-length", b"")
    return int(length) if length.isdigit() and len(length) < 20 else 0

"""Content codings of HTTP bodies: gzip and deflate, with a limit on what comes out."""

from __future__ import annotations

import zlib

from fairlead_runtime.protocol.errors import Code, InvalidRequestError, TooLargeError

_GZIP, _ZLIB, _RAW = 31, 15, -15
_FAST = 1


def inflate(body: bytes, coding: str, *, limit: int) -> bytes:
    """Return the body without its content coding.

    Raises:
        InvalidRequestError: The coding is unknown, or the body is not of it.
        TooLargeError: More than `limit` bytes came out.
    """
    if coding in ("", "identity"):
        return body
    if coding in ("gzip", "x-gzip"):
        return _inflate(body, _GZIP, "gzip", limit)
    if coding == "deflate":
        # The standard means zlib's format; some clients send the bare stream all the same.
        is_zlib = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2]) % 31 == 0
        return _inflate(body, _ZLIB if is_zlib else _RAW, coding, limit)
    message = f"{coding} is not supported; send gzip, deflate or none"
    raise InvalidRequestError(
        "content-encoding", message, expected="gzip or deflate", code=Code.INVALID_ENCODING
    )


def deflate(body: bytes, coding: str) -> bytes:
    """Return the body in `gzip` or `deflate`, fast rather than small."""
    stream = zlib.compressobj(_FAST, zlib.DEFLATED, _GZIP if coding == "gzip" else _ZLIB)
    return stream.compress(body) + stream.flush()


def _inflate(body: bytes, window: int, coding: str, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit
    try:
        while True:
            stream = zlib.decompressobj(window)
            part = stream.decompress(body, left + 1)
            left -= len(part)
            if left < 0:
                raise TooLargeError(limit, inflated=True)
            parts.append(part)
            if not stream.eof:
                raise _broken(coding, "it ends too early")
            body = stream.unused_data
            if not body:
                return b"".join(parts)
            if window != _GZIP:
                raise _broken(coding, "more follows after its end")
    except zlib.error as error:
        raise _broken(coding, str(error)) from None


def _broken(coding: str, why: str) -> InvalidRequestError:
    return InvalidRequestError(
        "body", f"is not {coding}: {why}", expected=coding, code=Code.INVALID_ENCODING
    )

"""Bytes to requests: httptools finds them and refuses broken ones, limits and rules are here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum

import httptools

from fairlead_runtime.http.http2_frames import PREFACE
from fairlead_runtime.http.limits import Limits
from fairlead_runtime.http.messages import Request, Response
from fairlead_runtime.http.wire import (
    RefusedError,
    check_head,
    not_http,
    target,
    too_large_head,
    too_long_target,
)


class At(Enum):
    """What is read next."""

    START = "start"
    HEAD = "head"
    BODY = "body"
    NOTHING = "nothing"  # what still comes is thrown away


# Each of these is looked up several times for a request, and a member of an enum is not cheap.
_START, _HEAD, _BODY, _NOTHING = At.START, At.HEAD, At.BODY, At.NOTHING


_HEAD_END = b"\r\n\r\n"
_MOST_REMEMBERED = 2048  # bytes of a head
_MOST_UNLIKE = 16  # behind a proxy each head is another: looking costs, too
_JOINED = frozenset({b"transfer-encoding", b"connection"})  # all lines of them count
# Where one of these is there, what is done depends on more than the head.
_NOT_REMEMBERED = frozenset({b"transfer-encoding", b"expect", b"upgrade"})


class Entry:
    """A request, or what is answered in place of one that cannot be taken."""

    __slots__ = ("is_head", "keep", "request", "response", "version")

    def __init__(
        self,
        request: Request | None,
        response: Response | None,
        is_head: bool,  # noqa: FBT001 - one is made for each request, and names cost
        keep: bool,  # noqa: FBT001
        version: str,
    ) -> None:
        self.request, self.response = request, response
        self.is_head, self.keep, self.version = is_head, keep, version


class _Known:
    """A request whose head may come again, byte by byte, with another body of the same size."""

    __slots__ = ("head", "request", "size", "version")

    def __init__(self, head: bytes, size: int, request: Request, version: str) -> None:
        self.head, self.size, self.request, self.version = head, size, request, version


class _EnoughError(Exception):
    """Stops the parser: no further request is wanted."""


class Reader(ABC):
    """Reads one connection; what is done with the requests is a subclass's matter.

    Args:
        limits: What a client may send.
        clock: The time in seconds.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits, self._clock = limits, clock
        self._parser = httptools.HttpRequestParser(self)
        self._at = _START
        self._since = 0.0  # when what is read next began
        self._begun: bytes | None = b""  # the first bytes, until it is known what is spoken
        self._read_ended_one = self._pipelined = False
        self._resumes = False
        self._known: _Known | None = None
        self._unlike = 0  # requests whose heads were not the one before
        self._last: Request | None = None
        self._wants_continue = False
        self._begin()

    @abstractmethod
    def _push(self, entry: Entry) -> None:
        """Take a request, or a refusal, in the order of their bytes."""

    @abstractmethod
    def _speak_http2(self, data: bytes) -> None:
        """Hand the connection over, as HTTP/2, and what followed its preface."""

    @abstractmethod
    def _continue(self) -> None:
        """Ask for the body where `_wants_continue`, once it is this request's turn."""

    @abstractmethod
    def _hold(self, size: int) -> None:
        """Note that a body, of which so much has come, is not yet at its end."""

    @abstractmethod
    def _too_large(self) -> Response:
        """Return the answer to a body that is too large."""

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        known = self._known
        if known is not None:
            if (
                len(data) == known.size
                and self._at is _START
                and data.startswith(known.head)
                and not self._resumes
            ):
                self._again(known, data)
                return
            self._known = None
            self._unlike += 1
        fresh = self._at is _START
        self._read_ended_one = self._pipelined = False
        if self._begun is not None:
            data = self._opening(data)
        while data and self._at is not _NOTHING:
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                # An upgrade is an offer that may be ignored; what follows is plain HTTP again.
                data = self._same_request() + data[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                self._broken(error)
        if self._at is _START and fresh:
            self._remember(data)
        elif self._at is _BODY:
            self._hold(self._body_bytes)
        elif self._at is _HEAD and not self._read_ended_one:
            # A name or value that never ends is not shown by the parser, so bytes are counted;
            # not those that came together with the end of another request.
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.max_head_bytes:
                self._refuse(too_large_head(self._limits))

    def _forget(self) -> None:
        """End for good. The parser knows us and we it: left so, only the collector could free both.

        It comes by seldom, and connections that are gone would pile up meanwhile.
        """
        del self._parser
        self._known = self._last = None

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request line begins."""
        if self._at is _NOTHING:
            raise _EnoughError
        if self._resumes:
            return
        self._begin()
        self._at, self._since = _HEAD, self._clock()

    def on_url(self, url: bytes) -> None:
        """The request target, or a part of it."""
        if self._resumes:
            return
        self._url += url
        if len(self._url) > self._limits.max_url_bytes:
            raise too_long_target(self._limits)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer: of those only the size matters."""
        if self._resumes:
            return
        self._size += len(name) + len(value) + 4
        self._count += 1
        limits = self._limits
        if self._size > limits.max_head_bytes or self._count > limits.max_headers:
            raise too_large_head(limits)
        if self._at is _HEAD:
            name = name.lower()
            if name == b"host":
                self._hosts += 1
            elif name in _JOINED and name in self._headers:
                value = self._headers[name] + b", " + value  # so that none of them goes unseen
            self._headers[name] = value.strip()

    def on_headers_complete(self) -> None:
        """The head is there: decide whether to take the body."""
        if self._resumes:
            self._resumes = False
            return
        parser, headers = self._parser, self._headers
        self._version, self._method = parser.get_http_version(), parser.get_method()
        check_head(self._version, headers, self._hosts)
        self._keep = parser.should_keep_alive()
        if self._keep and self._version == "1.0":  # the parser forgets a close beside a keep-alive
            options = headers.get(b"connection", b"").lower().split(b",")
            self._keep = b"close" not in {option.strip() for option in options}
        self._at, self._since = _BODY, self._clock()
        length = headers.get(b"content-length")
        if length is not None and int(length) > self._limits.max_body_bytes:
            self._refuse_body()
        elif b"expect" in headers and self._version == "1.1":
            self._wants_continue = self._has_body()
            self._continue()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._at is not _BODY:
            return
        self._wants_continue = False
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.max_body_bytes:
            self._refuse_body()

    def on_message_complete(self) -> None:
        """The request is there as a whole."""
        if self._at is _NOTHING or (self._parser.should_upgrade() and self._has_body()):
            return
        parts = self._body
        path, query = target(self._url)
        method = self._method.decode("latin-1")
        request = Request(
            method,
            path,
            query,
            self._headers,
            parts[0] if len(parts) == 1 else b"".join(parts),
        )
        keep = self._keep and method != "CONNECT"
        self._at = _START if keep else _NOTHING
        self._pipelined, self._read_ended_one = self._read_ended_one, True
        self._since, self._last = self._clock(), request
        self._push(Entry(request, None, method == "HEAD", keep, self._version))

    def _remember(self, data: bytes) -> None:
        """Note a request that was all of `data`: a client mostly repeats its head, byte by byte.

        Such a head need not be parsed again, which is a fifth of a small request's whole cost.
        """
        request, size = self._last, len(data) - self._body_bytes
        self._last = None
        if (
            request is not None
            and self._read_ended_one
            and not self._pipelined
            and size <= _MOST_REMEMBERED
            and self._unlike < _MOST_UNLIKE
            and data.find(_HEAD_END) + len(_HEAD_END) == size
            and not request.headers.keys() & _NOT_REMEMBERED
        ):
            self._known = _Known(data[:size], len(data), request, self._version)

    def _again(self, known: _Known, data: bytes) -> None:
        """Take a request whose head is the one before, and whose body is all there."""
        before = known.request
        request = Request(
            before.method, before.path, before.query, before.headers, data[len(known.head) :]
        )
        self._since = self._clock()
        self._push(Entry(request, None, before.method == "HEAD", True, known.version))  # noqa: FBT003

    def _opening(self, data: bytes) -> bytes:
        """Return the connection's first bytes, once they cannot be those of HTTP/2."""
        begun = (self._begun or b"") + data
        if self._at is _NOTHING or not begun.startswith(PREFACE[: len(begun)]):
            self._begun = None
            return begun
        if len(begun) < len(PREFACE):
            self._begun = begun
            if self._at is _START:
                self._at, self._since = _HEAD, self._clock()
            return b""
        self._begun, self._at = None, _NOTHING
        self._speak_http2(begun[len(PREFACE) :])
        return b""

    def _broken(self, error: httptools.HttpParserError) -> None:
        if self._at is _NOTHING:
            return  # more than was wanted, and who sends it has been told so
        reason = error.__context__
        if not isinstance(reason, RefusedError):
            reason = not_http(error)
        self._refuse(reason)

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._body_bytes = self._size = self._count = self._hosts = self._head_bytes = 0
        self._version, self._method, self._keep = "1.1", b"", False

    def _has_body(self) -> bool:
        headers = self._headers
        if self._method == b"CONNECT":
            return False
        return b"transfer-encoding" in headers or int(headers.get(b"content-length", 0)) > 0

    def _same_request(self) -> bytes:
        """Return what makes a new parser go on with the body of this request, if it has one.

        httptools takes a body behind an offered upgrade for the other protocol's. Java's client
        makes that offer with its first request, whatever that is.
        """
        if self._at is not _BODY:
            return b""
        self._parser = httptools.HttpRequestParser(self)
        self._resumes = True
        length = self._headers.get(b"content-length")
        size = b"transfer-encoding: chunked" if length is None else b"content-length: " + length
        return b"POST / HTTP/1.1\r\n%b\r\n\r\n" % size

    def _refuse_body(self) -> None:
        self._refuse(self._too_large())

    def _refuse(self, why: RefusedError | Response) -> None:
        """Answer in place of a request that is not taken, after those before it, and end."""
        is_head = self._method == b"HEAD"
        self._at = _NOTHING
        self._wants_continue = False
        self._body.clear()
        response = why.response() if isinstance(why, RefusedError) else why
        self._push(Entry(None, response, is_head, False, self._version))  # noqa: FBT003

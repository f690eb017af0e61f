"""One HTTP/1.1 connection: bytes to requests, responses to bytes, one after the other.

httptools finds the requests in the bytes and refuses broken ones; everything else that HTTP asks
of a server is here, and tests/functional/test_http_conformance.py holds it to that.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from enum import Enum
from typing import Protocol, cast

import httptools

from fairlead_runtime.http.limits import Limits
from fairlead_runtime.http.messages import Request, Response
from fairlead_runtime.http.wire import CONTINUE, RefusedError, check_head, head, target

log = logging.getLogger(__name__)
_JOINED = 1 << 14  # up to here one copy is cheaper than a second buffer to write


class Answering(Protocol):
    """Who answers requests; see `Routes`."""

    async def respond(self, request: Request) -> Response:
        """Answer a request."""

    def too_large(self) -> Response:
        """Return the answer to a body that is too large."""


class House(Protocol):
    """What all connections of a server have in common."""

    limits: Limits
    routes: Answering
    loop: asyncio.AbstractEventLoop
    date: bytes
    draining: bool

    def opened(self, connection: Connection) -> float:
        """Note a new connection and return when it is to end, in the loop's time."""

    def closed(self, connection: Connection) -> None:
        """Note that a connection has gone."""


class _At(Enum):
    """What is read next."""

    START = "start"
    HEAD = "head"
    BODY = "body"
    NOTHING = "nothing"  # what still comes is thrown away


class _Entry:
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


class _EnoughError(Exception):
    """Stops the parser: no further request is wanted."""


class Connection(asyncio.Protocol):
    """Serves one client."""

    def __init__(self, house: House) -> None:
        self._house, self._limits, self._loop = house, house.limits, house.loop
        self._respond = house.routes.respond
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[_Entry] = deque()
        self._ahead_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._at = _At.START
        self._since = 0.0  # when what is read next began
        self._read_ended_one = False
        self._resumes = False
        self._reading_paused = self._writing_paused = False
        self._wants_continue = False
        self._ended_at: float | None = None  # when the client ended its sending side
        self._last_said = False  # the last answer is written
        self._unsent, self._unsent_since = 0, 0.0
        self._begin()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass
        self._since = self._loop.time()
        self._ends = self._house.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop's
        """End: whatever is being done for this client is in vain."""
        self._house.closed(self)
        self._at = _At.NOTHING
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._read_ended_one = False
        while data and self._at is not _At.NOTHING:
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                # An upgrade is an offer that may be ignored; what follows is plain HTTP again.
                data = self._same_request() + data[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                self._broken(error)
        if self._at is _At.HEAD and not self._read_ended_one:
            # A name or value that never ends is not shown by the parser, so bytes are counted;
            # not those that came together with the end of another request.
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.max_head_bytes:
                self._refuse(self._too_large_head())

    def eof_received(self) -> bool:
        """Take the end of what the client sends; it may still read."""
        self._ended_at = self._loop.time()
        self._at = _At.NOTHING
        return bool(self._task or self._waiting) and not self._last_said

    def pause_writing(self) -> None:
        """Take nothing more from a client that does not read its answers."""
        self._writing_paused = True
        self._pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._writing_paused = False
        self._next()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request line begins."""
        if self._at is _At.NOTHING:
            raise _EnoughError
        if self._resumes:
            return
        self._begin()
        self._at, self._since = _At.HEAD, self._loop.time()

    def on_url(self, url: bytes) -> None:
        """The request target, or a part of it."""
        if self._resumes:
            return
        self._url += url
        if len(self._url) > self._limits.max_url_bytes:
            raise RefusedError(414, "UriTooLong", "the request target is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer: of those only the size matters."""
        if self._resumes:
            return
        self._size += len(name) + len(value) + 4
        self._count += 1
        limits = self._limits
        if self._size > limits.max_head_bytes or self._count > limits.max_headers:
            raise self._too_large_head()
        if self._at is _At.HEAD:
            name = name.lower()
            if name == b"host":
                self._hosts += 1
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
        self._at, self._since = _At.BODY, self._loop.time()
        length = headers.get(b"content-length")
        if length is not None and int(length) > self._limits.max_body_bytes:
            self._refuse_body()
        elif b"expect" in headers and self._version == "1.1":
            self._wants_continue = self._has_body()
            self._continue()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._at is not _At.BODY:
            return
        self._wants_continue = False
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.max_body_bytes:
            self._refuse_body()

    def on_message_complete(self) -> None:
        """The request is there as a whole."""
        if self._at is _At.NOTHING or (self._parser.should_upgrade() and self._has_body()):
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
        self._at = _At.START if keep else _At.NOTHING
        self._since, self._read_ended_one = self._loop.time(), True
        self._push(_Entry(request, None, method == "HEAD", keep, self._version))

    # What the server calls.

    @property
    def idle(self) -> bool:
        """Whether the client has nothing in flight."""
        return self._task is None and not self._waiting and self._at in (_At.START, _At.NOTHING)

    def close(self) -> None:
        """End the connection at once, in good order."""
        self._transport.close()

    def check(self, now: float) -> None:
        """End the connection where its client takes too long."""
        limits, transport = self._limits, self._transport
        unsent = transport.get_write_buffer_size()
        if unsent:
            if unsent != self._unsent:
                self._unsent, self._unsent_since = unsent, now
            elif now - self._unsent_since > limits.write_s:
                transport.abort()
            return
        self._unsent = 0
        if self._last_said:
            if now - self._since > limits.linger_s:
                transport.abort()
        elif self._task is not None or self._waiting:
            if self._ended_at is not None and now - self._ended_at > limits.half_closed_s:
                transport.abort()
        elif not self._reading_paused:
            self._check_sender(now - self._since)

    # The rest is ours.

    def _broken(self, error: httptools.HttpParserError) -> None:
        if self._at is _At.NOTHING:
            return  # more than was wanted, and who sends it has been told so
        reason = error.__context__
        if not isinstance(reason, RefusedError):
            reason = RefusedError(400, "BadRequest", f"this is not HTTP: {error}")
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
        if self._at is not _At.BODY:
            return b""
        self._parser = httptools.HttpRequestParser(self)
        self._resumes = True
        length = self._headers.get(b"content-length")
        size = b"transfer-encoding: chunked" if length is None else b"content-length: " + length
        return b"POST / HTTP/1.1\r\n%b\r\n\r\n" % size

    def _check_sender(self, waited_s: float) -> None:
        limits = self._limits
        if self._at is _At.START:
            if waited_s > limits.keep_alive_s:
                self._transport.close()
        elif self._at is _At.HEAD:
            if waited_s > limits.header_s:
                self._refuse(RefusedError(408, "RequestTimeout", "the headers took too long"))
        elif self._at is _At.BODY and waited_s > (
            limits.body_s + self._body_bytes / limits.body_rate
        ):
            self._refuse(RefusedError(408, "RequestTimeout", "the body took too long"))

    def _too_large_head(self) -> RefusedError:
        limits = self._limits
        text = f"headers may have {limits.max_head_bytes} bytes and be {limits.max_headers} at most"
        return RefusedError(431, "HeadersTooLarge", text)

    def _refuse_body(self) -> None:
        self._refuse(self._house.routes.too_large())

    def _refuse(self, why: RefusedError | Response) -> None:
        """Answer in place of a request that is not taken, after those before it, and end."""
        is_head = self._method == b"HEAD"
        self._at = _At.NOTHING
        self._wants_continue = False
        self._body.clear()
        response = why.response() if isinstance(why, RefusedError) else why
        self._push(_Entry(None, response, is_head, False, self._version))  # noqa: FBT003

    def _continue(self) -> None:
        """Ask for the body, once all that was asked before is answered."""
        if self._wants_continue and self._task is None and not self._waiting:
            self._wants_continue = False
            self._transport.write(CONTINUE)

    def _push(self, entry: _Entry) -> None:
        if self._task is None and not self._waiting and not self._writing_paused:
            self._start(entry)
            return
        self._waiting.append(entry)
        if entry.request is not None:
            self._ahead_bytes += len(entry.request.body)
        limits = self._limits
        if (
            len(self._waiting) >= limits.max_pipelined
            or self._ahead_bytes >= limits.max_ahead_bytes
        ):
            self._pause_reading()

    def _start(self, entry: _Entry) -> None:
        if entry.response is not None:
            self._write(entry, entry.response)
        elif entry.request is not None:
            self._task = self._loop.create_task(self._answer(entry, entry.request))

    async def _answer(self, entry: _Entry, request: Request) -> None:
        try:
            response = await self._respond(request)
        except Exception:  # it never should; but nobody may be left hanging
            log.exception("%s %s failed", request.method, request.path)
            self._transport.abort()
            return
        self._task = None
        self._write(entry, response)
        self._next()

    def _next(self) -> None:
        """Take up what is waiting, or read on."""
        while self._waiting and self._task is None and not self._writing_paused:
            entry = self._waiting.popleft()
            if entry.request is not None:
                self._ahead_bytes -= len(entry.request.body)
            self._start(entry)
        if self._task is None and not self._waiting and not self._writing_paused:
            self._continue()
            self._resume_reading()

    def _write(self, entry: _Entry, response: Response) -> None:
        house, transport = self._house, self._transport
        keep = (
            entry.keep
            and not house.draining
            and (self._ended_at is None or bool(self._waiting))
            and self._loop.time() < self._ends
        )
        connection = b"close"
        if keep:
            connection = b"keep-alive" if entry.version == "1.0" else b""
        body = response.body
        start = head(
            response.status, response.headers, len(body), date=house.date, connection=connection
        )
        if entry.is_head or not body:
            transport.write(start)
        elif len(body) <= _JOINED:
            transport.write(start + body)
        else:
            transport.writelines((start, body))
        if not keep:
            self._finish()

    def _finish(self) -> None:
        """End our side; the client's last bytes are read, lest a reset takes the answer along."""
        self._last_said, self._at = True, _At.NOTHING
        self._since = self._loop.time()
        self._waiting.clear()
        self._wants_continue = False
        if not self._writing_paused:
            self._resume_reading()
        if self._ended_at is not None or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and not self._transport.is_closing():
            self._reading_paused = False
            self._since = self._loop.time()
            self._transport.resume_reading()

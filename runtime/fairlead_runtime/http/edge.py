"""One HTTP/1.1 connection: requests are answered one after the other, and nobody holds it for long.

`reader.py` makes requests of bytes. tests/functional/test_http_*.py hold both to what HTTP asks. A
connection that begins as HTTP/2 does is handed to `http2.py`, which is loaded with the first one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Protocol, cast

from fairlead_runtime.http.limits import Limits
from fairlead_runtime.http.messages import Request, Response
from fairlead_runtime.http.reader import At, Entry, Reader
from fairlead_runtime.http.stepping import Stepper
from fairlead_runtime.http.taking import Taking, unsent
from fairlead_runtime.http.wire import CONTINUE, head, too_many_connections, too_much_held, too_slow

log = logging.getLogger(__name__)
_POLITELY = 256  # connections beyond the limit that are told so; still more are cut
_JOINED = 1 << 14  # up to here one copy is cheaper than a second buffer to write


class Answering(Protocol):
    """Who answers requests; see `Routes`."""

    async def respond(self, request: Request) -> Response:
        """Answer a request."""

    def too_large(self) -> Response:
        """Return the answer to a body that is too large."""


class Guest(Protocol):
    """A connection, as the server sees it."""

    @property
    def idle(self) -> bool:
        """Whether the client has nothing in flight."""

    def close(self) -> None:
        """End the connection at once, in good order."""

    def check(self, now: float) -> None:
        """End the connection where its client takes too long."""


class House(Protocol):
    """What all connections of a server have in common."""

    limits: Limits
    loop: asyncio.AbstractEventLoop
    date: bytes
    draining: bool
    held_bytes: int

    @property
    def routes(self) -> Answering:
        """Who answers requests."""

    def opened(self, connection: Guest) -> float:
        """Note a new connection and return when it is to end, in the loop's time."""

    def closed(self, connection: Guest) -> None:
        """Note that a connection has gone."""

    def replaced(self, before: Guest, after: Guest) -> None:
        """Note that a connection goes on as another one."""

    def refused(self, reason: str) -> None:
        """Count what is refused for want of room: `connections` or `bodies`."""

    @property
    def crowd(self) -> int:
        """How many connections there are."""


class Connection(Reader, asyncio.Protocol):
    """Serves one client."""

    def __init__(self, house: House) -> None:
        super().__init__(house.limits, house.loop.time)
        self._house, self._loop = house, house.loop
        self._respond = house.routes.respond
        self._waiting: deque[Entry] = deque()
        self._ahead_bytes = self._held_bytes = 0
        self._stepper: Stepper[Response] = Stepper(house.loop, self._answered)
        self._entry: Entry | None = None  # what is being answered
        self._comes_back = False
        self._reading_paused = self._writing_paused = False
        self._ended_at: float | None = None  # when the client ended its sending side
        self._last_said = False  # the last answer is written
        self._taking = Taking(house.limits)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass
        self._since = self._loop.time()
        house = self._house
        self._ends = house.opened(self)
        most = self._limits.max_connections
        if house.crowd > most + _POLITELY:
            house.refused("connections")
            self._transport.abort()
        elif house.crowd > most:
            house.refused("connections")
            self._refuse(too_many_connections(most))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop's
        """End: whatever is being done for this client is in vain."""
        self._house.closed(self)
        self._let_go()
        self._at = At.NOTHING
        self._waiting.clear()
        self._stepper.close()
        self._forget()

    def eof_received(self) -> bool:
        """Take the end of what the client sends; it may still read."""
        self._ended_at = self._loop.time()
        self._at = At.NOTHING
        return (self._stepper.busy or bool(self._waiting)) and not self._last_said

    def pause_writing(self) -> None:
        """Take nothing more from a client that does not read its answers."""
        self._writing_paused = True
        self._pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._writing_paused = False
        self._next()

    # What the server calls.

    @property
    def idle(self) -> bool:
        """Whether the client has nothing in flight."""
        return not self._stepper.busy and not self._waiting and self._at in (At.START, At.NOTHING)

    def close(self) -> None:
        """End the connection at once, in good order."""
        self._transport.close()

    def check(self, now: float) -> None:
        """End the connection where its client takes too long."""
        limits, transport = self._limits, self._transport
        rest = unsent(transport)
        if self._taking.too_slow(rest, now):
            transport.abort()
        if rest:
            return
        if self._last_said:
            if now - self._since > limits.linger_s:
                transport.abort()
        elif self._stepper.busy or self._waiting:
            if self._ended_at is not None and now - self._ended_at > limits.half_closed_s:
                transport.abort()
        elif not self._reading_paused:
            self._check_sender(now - self._since)

    # The rest is ours.

    def _speak_http2(self, data: bytes) -> None:
        from fairlead_runtime.http.http2 import Http2Connection

        successor = Http2Connection(self._house, self._transport, self._ends)
        self._house.replaced(self, successor)
        self._transport.set_protocol(successor)
        self._forget()
        successor.data_received(data)

    def _check_sender(self, waited_s: float) -> None:
        limits = self._limits
        if self._at is At.START:
            if waited_s > limits.keep_alive_s:
                self._transport.close()
        elif self._at is At.HEAD:
            if waited_s > limits.header_s:
                self._refuse(too_slow("headers", limits.header_s))
        elif self._at is At.BODY and waited_s > (
            limits.body_s + self._body_bytes / limits.body_rate
        ):
            self._refuse(too_slow("body", limits.body_s))

    def _too_large(self) -> Response:
        return self._house.routes.too_large()

    def _continue(self) -> None:
        """Ask for the body, once all that was asked before is answered."""
        if self._wants_continue and not self._stepper.busy and not self._waiting:
            self._wants_continue = False
            self._transport.write(CONTINUE)

    def _hold(self, size: int) -> None:
        house = self._house
        house.held_bytes += size - self._held_bytes
        self._held_bytes = size
        if house.held_bytes > self._limits.max_held_bytes:
            house.refused("bodies")
            self._refuse(too_much_held())

    def _let_go(self) -> None:
        if self._held_bytes:
            self._house.held_bytes -= self._held_bytes
            self._held_bytes = 0

    def _push(self, entry: Entry) -> None:
        if self._held_bytes:
            self._let_go()
        if not self._stepper.busy and not self._waiting and not self._writing_paused:
            if not self._pipelined:
                self._start(entry)
                return
            self._come_back()
        self._waiting.append(entry)
        if entry.request is not None:
            self._ahead_bytes += len(entry.request.body)
        limits = self._limits
        if (
            len(self._waiting) >= limits.max_pipelined
            or self._ahead_bytes >= limits.max_ahead_bytes
        ):
            self._pause_reading()

    def _come_back(self) -> None:
        """Take up what waits in a later turn: a client that pipelines gets one answer in each."""
        if not self._comes_back:
            self._comes_back = True
            self._loop.call_soon(self._came_back)

    def _came_back(self) -> None:
        self._comes_back = False
        self._next()

    def _next(self) -> None:
        """Take up what is waiting, or read on."""
        if self._stepper.busy or self._writing_paused:
            return
        if self._waiting:
            entry = self._waiting.popleft()
            if entry.request is not None:
                self._ahead_bytes -= len(entry.request.body)
            self._start(entry)
        else:
            self._since = self._loop.time()  # idle from now on, however long the answer took
            self._continue()
            self._resume_reading()

    def _start(self, entry: Entry) -> None:
        if entry.response is not None:
            self._write(entry, entry.response)
        elif entry.request is not None:
            self._entry = entry
            self._stepper.begin(self._respond(entry.request))

    def _answered(self, response: Response | None, error: Exception | None) -> None:
        entry, self._entry = self._entry, None
        if entry is None or response is None:  # it never should; but nobody may be left hanging
            log.error("a request failed", exc_info=error)
            self._transport.abort()
            return
        self._write(entry, response)
        if self._waiting:
            self._come_back()
        else:
            self._next()

    def _write(self, entry: Entry, response: Response) -> None:
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
        if entry.is_head:
            body = b""
        self._taking.written += len(start) + len(body)
        if not body:
            transport.write(start)
        elif len(body) <= _JOINED:
            transport.write(start + body)
        else:
            transport.writelines((start, body))
        if not keep:
            self._finish()

    def _finish(self) -> None:
        """End our side; the client's last bytes are read, lest a reset takes the answer along."""
        self._last_said, self._at = True, At.NOTHING
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

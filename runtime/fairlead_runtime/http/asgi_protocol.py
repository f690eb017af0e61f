"""uvicorn's connection with the limits of ours, which uvicorn has no settings for.

What uvicorn lacks is added from outside: times for headers and idle newcomers, for clients that do
not take their answers, sizes of heads, the rules of `check_head`, work that ends with its client,
and connections that age. A body's time is kept by `app.py`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from fairlead_runtime.http.lifecycle import JITTER
from fairlead_runtime.http.limits import Limits
from fairlead_runtime.http.taking import Taking, unsent
from fairlead_runtime.http.wire import (
    RefusedError,
    check_head,
    head,
    not_http,
    too_large_head,
    too_long_target,
    too_many_connections,
    too_slow,
)

CONNECTION = "fairlead.connection"
"""Key of the ASGI scope: the connection that a request came by."""
_CYCLE = "fairlead.cycle"  # likewise, uvicorn's own state of the request


class Connection(HttpToolsProtocol):
    """A connection; `limited` makes the class that uvicorn is given."""

    limits: Limits
    max_age_s: float
    refused: Callable[[str], None]

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """Begin."""
        self.running: asyncio.Task[Any] | None = None
        spread = 1 - JITTER + 2 * JITTER * random.random()  # noqa: S311 - no secret
        self.ends = time.monotonic() + self.max_age_s * spread
        self._timer: asyncio.TimerHandle | None = None
        self._unsent_timer: asyncio.TimerHandle | None = None
        self._head_bytes = self._head_size = self._hosts = 0
        self._in_head = self._in_message = self._ended_message = False
        super().connection_made(transport)
        # Any byte that is not taken counts, so that nobody holds an answer for ever.
        transport.set_write_buffer_limits(high=0)
        self._arm(self.limits.keep_alive_s, self._close)
        if len(self.connections) > self.limits.max_connections:
            type(self).refused("connections")
            self._refuse(too_many_connections(self.limits.max_connections))

    def connection_lost(self, exc: Exception | None) -> None:
        """End: whatever is being done for this client is in vain."""
        self._disarm()
        if self._unsent_timer is not None:
            self._unsent_timer.cancel()
        self.pipeline.clear()
        super().connection_lost(exc)
        if self.running is not None:
            self.running.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._ended_message = False
        super().data_received(data)
        if self._in_head and not self._ended_message:
            # A name or value that never ends is not shown by the parser.
            self._head_bytes += len(data)
            if self._head_bytes > self.limits.max_head_bytes:
                self._refuse(too_large_head(self.limits))

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser has refused, in our own words."""
        self._refuse(not_http(msg))

    def give_up(self, scope: Any) -> None:  # noqa: ANN401 - ASGI's
        """Let uvicorn expect no answer to a request whose client has gone."""
        scope[_CYCLE].disconnected = True

    # What the parser calls. What is raised here ends up in `data_received`, as its context.

    def on_message_begin(self) -> None:
        """A request line begins."""
        super().on_message_begin()
        scope: Any = self.scope
        scope[CONNECTION] = self
        self._head_bytes = self._head_size = self._hosts = 0
        self._in_head = self._in_message = True
        self._arm(self.limits.header_s, self._head_too_slow)

    def on_url(self, url: bytes) -> None:
        """The request target, or a part of it."""
        super().on_url(url)
        if len(self.url) > self.limits.max_url_bytes:
            self._stop(too_long_target(self.limits))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer: of those only the size matters."""
        self._head_size += len(name) + len(value) + 4
        limits = self.limits
        if self._head_size > limits.max_head_bytes or len(self.headers) >= limits.max_headers:
            self._stop(too_large_head(limits))
        if self._in_head and name.lower() == b"host":
            self._hosts += 1
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._disarm()
        self._in_head = False
        headers = dict(self.headers)
        codings = [value for name, value in self.headers if name == b"transfer-encoding"]
        if len(codings) > 1:  # so that none of them goes unseen
            headers[b"transfer-encoding"] = b", ".join(codings)
        try:
            check_head(self.parser.get_http_version(), headers, self._hosts)
        except RefusedError as why:
            self._stop(why)
        super().on_headers_complete()
        scope: Any = self.scope
        scope[_CYCLE] = self.cycle

    def on_message_complete(self) -> None:
        """The request is there as a whole."""
        self._in_message, self._ended_message = False, True
        super().on_message_complete()

    # What the transport calls.

    def pause_writing(self) -> None:
        """Wait no longer than allowed for a client that does not take its answer."""
        super().pause_writing()
        self._taking = Taking(self.limits)  # nothing is written meanwhile, so nothing is counted
        self._look_at_unsent()

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        if self._unsent_timer is not None:
            self._unsent_timer.cancel()
            self._unsent_timer = None

    # The rest is ours.

    def _look_at_unsent(self) -> None:
        if self._taking.too_slow(unsent(self.transport), self.loop.time()):
            self.transport.abort()
        else:
            self._unsent_timer = self.loop.call_later(self.limits.look_s, self._look_at_unsent)

    def _arm(self, seconds: float, action: Callable[[], None]) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, action)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        self.transport.close()

    def _head_too_slow(self) -> None:
        if self._busy():  # with the request before, whose answer goes first
            self._arm(self.limits.header_s, self._head_too_slow)
        else:
            self._refuse(too_slow("headers", self.limits.header_s))

    def _busy(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _may_speak(self) -> bool:
        """Whether no other answer is under way: the request before has it, or waits for a body."""
        reads_body = self._in_message and not self._in_head and not self.pipeline
        return not self._busy() or (reads_body and not self.cycle.response_started)

    def _stop(self, why: RefusedError) -> None:
        """Refuse and stop the parser, which then says the same to `data_received`."""
        self._refuse(why)
        raise httptools.HttpParserError(str(why))

    def _refuse(self, why: RefusedError) -> None:
        """Answer in place of a request that is not taken, and end.

        While one before it is being answered, only the end is left.
        """
        self._disarm()
        self._in_head = False
        if self.transport.is_closing():
            return
        if self._may_speak():
            response = why.response()
            start = head(
                response.status, response.headers, len(response.body), date=b"", connection=b"close"
            )
            self.transport.write(start + response.body)
        self.transport.close()


def limited(limits: Limits, max_age_s: float, refused: Callable[[str], None]) -> type[Connection]:
    """Return the class of connections with these limits and an age, give or take 10 %.

    A Service's new endpoints reach only new connections; a client that keeps one for ever would
    stay with the old pods for ever.

    Args:
        limits: Of each connection, and of all together.
        max_age_s: The age.
        refused: Counts connections that are one too many.
    """
    fixed = {"limits": limits, "max_age_s": max_age_s, "refused": staticmethod(refused)}
    return type("LimitedConnection", (Connection,), fixed)

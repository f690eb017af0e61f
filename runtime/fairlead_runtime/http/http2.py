"""One HTTP/2 connection without TLS, of a client that knew beforehand that HTTP/2 is spoken here.

`h2` knows the protocol; here are the bounds, the times and the end, which are those of HTTP/1.1
wherever both have them. tests/functional/test_http2*.py hold it to what RFC 9113 asks.
"""

from __future__ import annotations

import asyncio

from h2.errors import ErrorCodes
from h2.events import PingAckReceived
from h2.exceptions import ProtocolError
from hyperframe.frame import GoAwayFrame

from fairlead_runtime.http.edge import House
from fairlead_runtime.http.http2_frames import PREFACE, Allowance, Frame, Frames, TooLongError
from fairlead_runtime.http.http2_streams import ANY_STREAM, Streams
from fairlead_runtime.http.taking import Taking, unsent

_ROUND_TRIP_S = 1.0  # after which a client has heard that the connection ends


class Http2Connection(Streams, asyncio.Protocol):
    """Serves one client, many requests at a time.

    Args:
        house: What the connections of a server have in common.
        transport: The connection, taken over from `Connection` behind the client's preface.
        ends: When the connection is to end, in the loop's time.
    """

    def __init__(self, house: House, transport: asyncio.Transport, ends: float) -> None:
        super().__init__(house)
        self._transport, self._ends = transport, ends
        self._frames = Frames()
        self._unfinished_since = self._checked_at = self._since
        self._taking = Taking(house.limits)
        self._leaving_since: float | None = None  # when it was said that the connection ends
        self._ended_at: float | None = None  # when the client ended its sending side
        self._last_said = False
        self._h2.receive_data(PREFACE)
        self._write()

    # What the event loop calls.

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        frames = self._frames
        finished, was_unfinished = frames.finished, frames.unfinished
        try:
            for frame in frames.feed(data):
                if self._last_said:
                    return
                self._take(frame)
        except TooLongError:
            self._fail(ErrorCodes.FRAME_SIZE_ERROR, "a frame is too long")
        except ProtocolError:
            self._write()  # h2 has put down why
            self._finish()
        if frames.finished != finished or not was_unfinished:
            self._unfinished_since = self._loop.time()
        if not self._last_said:
            self._send()

    def eof_received(self) -> bool:
        """Take the end of what the client sends; it may still read."""
        self._ended_at = self._loop.time()
        return bool(self._streams) and not self._last_said

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop's
        """End: whatever is being done for this client is in vain."""
        self._house.closed(self)
        self._last_said = True
        self._drop_all()

    def pause_writing(self) -> None:
        """Take nothing more from a client that does not read its answers."""
        self._writing_paused = True
        if not self._last_said and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._writing_paused = False
        if not self._transport.is_closing():
            self._transport.resume_reading()
            if not self._last_said:
                self._send()

    # What the server calls.

    @property
    def idle(self) -> bool:
        """Whether the client has nothing in flight."""
        return not self._streams and not self._frames.unfinished

    def close(self) -> None:
        """End the connection at once, in good order."""
        if not self._last_said:
            if self._last_stream == ANY_STREAM:
                self._say_goodbye(self._h2.highest_inbound_stream_id)
            self._last_said = True
        self._transport.close()

    def check(self, now: float) -> None:
        """End the connection, or a stream of it, where its client takes too long."""
        limits, transport = self._limits, self._transport
        self._allowance.give(round((now - self._checked_at) * Allowance.SECOND))
        self._checked_at = now
        rest = unsent(transport)
        if self._taking.too_slow(rest, now):
            transport.abort()
        if rest:
            self._hold_streams(now)
            return
        if self._last_said:
            if now - self._since > limits.linger_s:
                transport.abort()
        elif self._ended_at is not None and now - self._ended_at > limits.half_closed_s:
            transport.abort()
        elif self._frames.unfinished and now - self._unfinished_since > limits.header_s:
            self._fail(ErrorCodes.ENHANCE_YOUR_CALM, "a frame took too long")
        else:
            self._check_streams(now)
            self._check_end(now)

    # The rest is ours.

    def _take(self, frame: Frame) -> None:
        """Take one frame.

        Raises:
            ProtocolError: It is not allowed; `h2` has the answer ready.
        """
        if frame.cost and not self._allowance.take(frame.cost):
            self._too_busy("too many frames that ask for nothing")
        elif frame.says_goodbye:
            # h2 would end everything at once; but what was asked before is to be answered.
            self._leaving_since = self._leaving_since or self._loop.time()
            self._last_stream = min(self._last_stream, self._h2.highest_inbound_stream_id)
            self._one_less(answered=False)
        else:
            for event in self._h2.receive_data(frame.data):
                if isinstance(event, PingAckReceived) and self._leaving_since is not None:
                    self._leave_for_good()
                elif not self._last_said:
                    self._handle(event)

    def _check_end(self, now: float) -> None:
        """Begin to end an idle connection that is old, idle for long, or whose server goes."""
        if self._last_said:
            return
        if self._leaving_since is None:
            old = now >= self._ends or self._house.draining
            if not self._streams and (old or now - self._since > self._limits.keep_alive_s):
                self._leave()
        elif now - self._leaving_since > _ROUND_TRIP_S:
            self._leave_for_good()

    def _leave(self) -> None:
        """Tell the client to begin nothing new here, and serve what is under way.

        It may have begun something that has not come yet. So it is told that the connection ends,
        and only after its answer to a ping which of its streams were the last (RFC 9113, 6.8).
        """
        if self._leaving_since is None:
            self._leaving_since = self._loop.time()
            self._say_goodbye(ANY_STREAM)
            self._h2.ping(b"fairlead")
            self._write()

    def _leave_for_good(self) -> None:
        if self._last_stream == ANY_STREAM:
            self._last_stream = self._h2.highest_inbound_stream_id
            self._say_goodbye(self._last_stream)
        self._one_less(answered=False)

    def _one_less(self, *, answered: bool) -> None:
        if answered and (self._house.draining or self._loop.time() >= self._ends):
            self._leave()
        if self._last_stream != ANY_STREAM and not self._streams and not self._last_said:
            self._write()
            self._finish()

    def _too_busy(self, words: str) -> None:
        self._fail(ErrorCodes.ENHANCE_YOUR_CALM, words)

    def _fail(self, why: ErrorCodes, words: str) -> None:
        self._say_goodbye(self._h2.highest_inbound_stream_id, why, words)
        self._finish()

    def _say_goodbye(
        self, last_stream: int, why: ErrorCodes = ErrorCodes.NO_ERROR, words: str = ""
    ) -> None:
        # h2 takes its own for the end of everything, and would send no further answer.
        self._write()
        if not self._transport.is_closing():
            frame = GoAwayFrame(0, last_stream, why, words.encode())
            self._put(frame.serialize())

    def _finish(self) -> None:
        """End our side; the client's last bytes are read, lest a reset takes an answer along."""
        self._last_said = True
        self._drop_all()
        self._since = self._loop.time()
        if self._transport.is_closing():
            return
        if self._ended_at is not None or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()
            self._transport.resume_reading()

    def _write(self) -> None:
        data = self._h2.data_to_send()
        if data and not self._last_said and not self._transport.is_closing():
            self._put(data)

    def _put(self, data: bytes) -> None:
        self._taking.written += len(data)
        self._transport.write(data)

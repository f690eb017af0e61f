"""The requests of one HTTP/2 connection and their answers, within limits and the client's windows.

The connection itself, its times and its end are in `http2.py`.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes, Settings

from fairlead_runtime.http.edge import House
from fairlead_runtime.http.http2_frames import Allowance
from fairlead_runtime.http.http2_messages import declared_length, head, request
from fairlead_runtime.http.limits import Limits
from fairlead_runtime.http.messages import Request, Response
from fairlead_runtime.http.taking import Taking
from fairlead_runtime.http.wire import RefusedError, too_much_held, too_slow

log = logging.getLogger(__name__)
_STREAM_WINDOW = 1 << 20
_CONNECTION_WINDOW = 4 << 20
_FIRST_WINDOW = 65_535  # by RFC 9113, until something else is said
_PART = 1 << 16  # of an answer, at a time: the others of the connection get their turn
ANY_STREAM = (1 << 31) - 1


class Stream:
    """A request and its answer."""

    __slots__ = (
        "asked", "began_at", "body", "id", "is_head", "reading", "size", "taking", "task", "unsent",
    )  # fmt: skip

    def __init__(self, number: int, now: float, limits: Limits) -> None:
        self.id = number
        self.asked: Request | None = None
        self.body: list[bytes] = []
        self.size = 0  # of the body so far; counted in `House.held_bytes` until it is answered
        self.is_head = False
        self.reading = True  # the client may still send
        self.task: asyncio.Task[None] | None = None
        self.unsent = memoryview(b"")
        self.began_at = now
        self.taking = Taking(limits)


class Streams(ABC):
    """What is asked for and answered on one connection.

    Args:
        house: What the connections of a server have in common.
    """

    def __init__(self, house: House) -> None:
        self._house, self._loop, self._limits = house, house.loop, house.limits
        self._h2 = _h2(house.limits)
        self._allowance = Allowance()
        self._streams: dict[int, Stream] = {}
        self._ready: deque[Stream] = deque()  # asked for, not yet begun
        self._sending: dict[int, Stream] = {}
        self._unsent_bytes = 0
        self._last_stream = ANY_STREAM  # later ones are not served
        self._writing_paused = False
        self._since = self._loop.time()  # when the last stream ended

    @abstractmethod
    def _write(self) -> None:
        """Hand what `h2` has to say to the transport."""

    @abstractmethod
    def _too_busy(self, words: str) -> None:
        """End the connection of a client that makes work for nothing."""

    @abstractmethod
    def _one_less(self, *, answered: bool) -> None:
        """Consider whether the connection is to end, now that a stream has ended."""

    def _handle(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._begin(event)
        elif isinstance(event, DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self._add(event.stream_id, event.data)
        elif isinstance(event, StreamEnded):
            self._end_of_request(event.stream_id)
        elif isinstance(event, StreamReset):
            stream = self._streams.get(event.stream_id)
            if stream is not None:
                self._drop(stream)
                self._one_less(answered=False)

    def _begin(self, event: RequestReceived) -> None:
        number = event.stream_id
        if number > self._last_stream or len(self._streams) >= self._limits.max_streams:
            self._h2.reset_stream(number, ErrorCodes.REFUSED_STREAM)
            if not self._allowance.take(Allowance.RESET):
                self._too_busy("too many streams at once")
            return
        stream = self._streams[number] = Stream(number, self._loop.time(), self._limits)
        try:
            asked = request(event.headers, self._limits)
        except RefusedError as why:
            stream.is_head = any(pair == (b":method", b"HEAD") for pair in event.headers)
            self._answer_with(stream, why.response())
            return
        stream.asked, stream.is_head = asked, asked.method == "HEAD"
        if declared_length(asked) > self._limits.max_body_bytes:
            self._answer_with(stream, self._house.routes.too_large())
        elif b"expect" in asked.headers and event.stream_ended is None:
            self._h2.send_headers(number, [(b":status", b"100")])

    def _add(self, number: int, data: bytes) -> None:
        stream = self._streams.get(number)
        if stream is None or stream.asked is None or stream.unsent or not data:
            return  # or it is answered already, and the client will be told to stop
        self._allowance.give(Allowance.DATA_TAKEN)
        house = self._house
        stream.body.append(data)
        stream.size += len(data)
        house.held_bytes += len(data)
        if stream.size > self._limits.max_body_bytes:
            self._answer_with(stream, house.routes.too_large())
        elif house.held_bytes > self._limits.max_held_bytes:
            house.refused("bodies")
            self._answer_with(stream, too_much_held().response())

    def _end_of_request(self, number: int) -> None:
        stream = self._streams.get(number)
        if stream is not None:
            stream.reading = False
            if stream.asked is not None and not stream.unsent:
                self._ready.append(stream)

    def _start(self) -> None:
        """Begin with requests, unless the client has more answers to take than it should have."""
        while self._ready and self._unsent_bytes < self._limits.max_ahead_bytes:
            stream = self._ready.popleft()
            asked = stream.asked
            if asked is None or stream.id not in self._streams:
                continue
            asked.body = stream.body[0] if len(stream.body) == 1 else b"".join(stream.body)
            self._let_go(stream)
            stream.task = self._loop.create_task(self._answer(stream, asked))

    async def _answer(self, stream: Stream, asked: Request) -> None:
        try:
            response = await self._house.routes.respond(asked)
        except Exception:  # it never should; but nobody may be left hanging
            log.exception("%s %s failed", asked.method, asked.path)
            stream.task = None
            self._reset(stream, ErrorCodes.INTERNAL_ERROR)
        else:
            stream.task = None
            self._allowance.give(Allowance.ANSWER)
            self._answer_with(stream, response)
        self._send()

    def _answer_with(self, stream: Stream, response: Response) -> None:
        """Begin to send an answer, whether or not the request is there as a whole."""
        self._let_go(stream)
        body = b"" if stream.is_head else response.body
        headers = head(response, self._house.date)
        self._h2.send_headers(stream.id, headers, end_stream=not body)
        if body:
            stream.unsent = memoryview(body)
            self._unsent_bytes += len(body)
            self._sending[stream.id] = stream
        else:
            self._done(stream)

    def _send(self) -> None:
        """Send what the client's windows have room for, all streams in turn."""
        self._start()
        moved = True
        while moved and self._sending and not self._writing_paused:
            moved = False
            for stream in tuple(self._sending.values()):
                moved = self._send_part(stream) or moved
            self._write()
            self._start()
        self._write()

    def _send_part(self, stream: Stream) -> bool:
        h2 = self._h2
        room = min(h2.local_flow_control_window(stream.id), h2.max_outbound_frame_size, _PART)
        if room <= 0:
            return False
        part, stream.unsent = stream.unsent[:room], stream.unsent[room:]
        self._unsent_bytes -= len(part)
        self._allowance.give(Allowance.DATA_SENT)
        h2.send_data(stream.id, bytes(part), end_stream=not stream.unsent)
        if not stream.unsent:
            self._done(stream)
        return True

    def _done(self, stream: Stream) -> None:
        """Take leave of a stream whose answer is said."""
        if stream.reading:  # it need not send the rest
            self._h2.reset_stream(stream.id, ErrorCodes.NO_ERROR)
        self._drop(stream)
        self._one_less(answered=True)

    def _reset(self, stream: Stream, why: ErrorCodes) -> None:
        if stream.id in self._streams:
            self._h2.reset_stream(stream.id, why)
            self._drop(stream)
            self._one_less(answered=False)

    def _drop(self, stream: Stream) -> None:
        """Forget a stream, and end what is being done for it."""
        self._streams.pop(stream.id, None)
        self._sending.pop(stream.id, None)
        self._unsent_bytes -= len(stream.unsent)
        stream.unsent = memoryview(b"")
        self._let_go(stream)
        if stream.task is not None:
            stream.task.cancel()
        if not self._streams:
            self._since = self._loop.time()

    def _drop_all(self) -> None:
        self._ready.clear()
        for stream in tuple(self._streams.values()):
            self._drop(stream)

    def _let_go(self, stream: Stream) -> None:
        self._house.held_bytes -= stream.size
        stream.size = 0
        stream.body = []

    def _check_streams(self, now: float) -> None:
        """End each stream whose client takes too long."""
        limits = self._limits
        for stream in tuple(self._streams.values()):
            waited = now - stream.began_at
            if stream.unsent:
                sharing = len(self._sending)
                if stream.taking.too_slow(len(stream.unsent), now, among=sharing):
                    self._reset(stream, ErrorCodes.CANCEL)
            elif stream.reading and waited > limits.body_s + stream.size / limits.body_rate:
                self._answer_with(stream, too_slow("body", limits.body_s).response())
        self._send()

    def _hold_streams(self, now: float) -> None:
        """Note that streams wait for the connection, which is not for their clients to change."""
        for stream in self._sending.values():
            stream.taking.hold(now)


class _Announced(Settings):
    """Our settings. The limit of streams is for clients to know; we keep it stream by stream.

    h2 ends the whole connection of a client that opens one too many, which one may do that has not
    yet been told of the limit.
    """

    @property
    def max_concurrent_streams(self) -> int:
        """Any number, as far as h2 is to know."""
        return ANY_STREAM

    @max_concurrent_streams.setter
    def max_concurrent_streams(self, value: int) -> None:
        self[SettingCodes.MAX_CONCURRENT_STREAMS] = value


def _h2(limits: Limits) -> H2Connection:
    h2 = H2Connection(H2Configuration(client_side=False, header_encoding=False))
    h2.local_settings = _Announced(
        client=False,
        initial_values={
            SettingCodes.MAX_CONCURRENT_STREAMS: limits.max_streams,
            SettingCodes.MAX_HEADER_LIST_SIZE: limits.max_head_bytes,
            SettingCodes.INITIAL_WINDOW_SIZE: _STREAM_WINDOW,
        },
    )
    h2.initiate_connection()
    h2.increment_flow_control_window(_CONNECTION_WINDOW - _FIRST_WINDOW)
    return h2

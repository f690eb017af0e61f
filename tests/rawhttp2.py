"""HTTP/2 over a bare socket, frame by frame: what is sent is exactly what the caller says.

It stands on hyperframe and hpack alone, so that it shares no state machine with the server, and
goes on after a GOAWAY as RFC 9113 lets a client.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import hpack
from hyperframe import frame as frames

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
REFUSED_STREAM, CANCEL, CALM = 7, 8, 11
_FIRST_WINDOW = 65_535


class ResetError(Exception):
    """The server has reset the stream."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the stream was reset: {code}")
        self.code = code


@dataclass
class Reply:
    """One response, so far."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    informational: list[int] = field(default_factory=list)
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        """Its status."""
        return int(self.headers[":status"])

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Raw2:
    """A connection.

    Args:
        port: Of 127.0.0.1, unless a host is given.
        settings: What the client announces.
        takes: Whether windows are opened again for what has been read.
    """

    def __init__(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        settings: Mapping[int, int] | None = None,
        takes: bool = True,
        timeout_s: float = 20,
    ) -> None:
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self.replies: dict[int, Reply] = {}
        self.goodbyes: list[tuple[int, int]] = []
        """Last stream and error code of each GOAWAY."""
        self.settings: dict[int, int] = {}
        """What the server announced."""
        self.quiet = False
        """Whether nothing is said to what the server asks for."""
        self.pongs = 0
        self.window = _FIRST_WINDOW
        """How much may be sent, all streams together."""
        self._takes, self._next = takes, 1
        self._encoder, self._decoder = hpack.Encoder(), hpack.Decoder()
        self._read = b""
        self.send(PREFACE, frames.SettingsFrame(0, settings=dict(settings or {})).serialize())

    def send(self, *parts: bytes) -> None:
        """Send these bytes."""
        if not self.quiet:
            self.socket.sendall(b"".join(parts))

    def head(
        self,
        path: str = "/health/live",
        *headers: tuple[str, str],
        method: str = "GET",
        end: bool = True,
    ) -> bytes:
        """Return the bytes of a request's head, on the next stream."""
        fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "test")]
        block = self._encoder.encode([*fields, *headers])
        stream, self._next = self._next, self._next + 2
        self.replies[stream] = Reply()
        first, rest = block[:16_384], block[16_384:]
        flags = ["END_STREAM"] * end + ["END_HEADERS"] * (not rest)
        made = frames.HeadersFrame(stream, first, flags=flags).serialize()
        while rest:
            part, rest = rest[:16_384], rest[16_384:]
            more = ["END_HEADERS"] * (not rest)
            made += frames.ContinuationFrame(stream, part, flags=more).serialize()
        return made

    def get(self, path: str = "/health/live", *headers: tuple[str, str]) -> int:
        """Ask, and return the number of the stream."""
        self.send(self.head(path, *headers))
        return self._next - 2

    def post(self, body: bytes, *headers: tuple[str, str], path: str = "/predict") -> int:
        """Ask with a body, and return the number of the stream."""
        self.send(self.head(path, *headers, method="POST", end=False))
        stream = self._next - 2
        self.data(stream, body)
        return stream

    def data(self, stream: int, body: bytes, *, end: bool = True) -> None:
        """Send a body; of a large one no more at a time than windows and frames let."""
        while len(body) > 16_384 or len(body) > self.window:
            part, body = body[: min(16_384, self.window)], body[min(16_384, self.window) :]
            self.send(frames.DataFrame(stream, part).serialize())
            self.window -= len(part)
            while self.window <= 0:
                self.read()
        self.window -= len(body)
        self.send(frames.DataFrame(stream, body, flags=["END_STREAM"] * end).serialize())

    def reset(self, stream: int, code: int = CANCEL) -> None:
        """Reset a stream."""
        self.send(frames.RstStreamFrame(stream, error_code=code).serialize())

    def ping(self) -> bytes:
        """Return a ping."""
        return frames.PingFrame(0, b"12345678").serialize()

    def open_window(self, by: int, *streams: int) -> bytes:
        """Return what opens the connection's window (stream 0) and streams'."""
        opened = (frames.WindowUpdateFrame(s, window_increment=by) for s in streams)
        return b"".join(each.serialize() for each in opened)

    def reply(self, stream: int) -> Reply:
        """Read until a stream has its answer.

        Raises:
            ResetError: It was reset before.
            EOFError: The connection ended before.
        """
        reply = self.replies[stream]
        while not reply.ended:
            if reply.reset is not None:
                raise ResetError(reply.reset)
            self.read()
        return reply

    def to_the_end(self) -> None:
        """Read until the server ends the connection."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                self.read()

    def read(self) -> frames.Frame:
        """Read one frame, and do what it asks for.

        Raises:
            EOFError: The connection has ended.
        """
        head = self._take(9)
        made, length = frames.Frame.parse_frame_header(memoryview(head))
        made.parse_body(memoryview(self._take(length)))
        self._handle(made)
        return made

    def _handle(self, made: frames.Frame) -> None:
        reply = self.replies.setdefault(made.stream_id, Reply())
        if isinstance(made, frames.HeadersFrame):
            assert "END_HEADERS" in made.flags
            pairs = self._decoder.decode(made.data, raw=True)
            fields = {name.decode(): value.decode() for name, value in pairs}
            if fields[":status"].startswith("1"):
                reply.informational.append(int(fields[":status"]))
            else:
                reply.headers |= fields
        elif isinstance(made, frames.DataFrame):
            reply.body += made.data
            if self._takes and made.data:
                self.send(self.open_window(len(made.data), 0, made.stream_id))
        elif isinstance(made, frames.RstStreamFrame):
            # What follows answers frames that were under way, and says nothing new.
            reply.reset = made.error_code if reply.reset is None else reply.reset
        elif isinstance(made, frames.GoAwayFrame):
            self.goodbyes.append((made.last_stream_id, made.error_code))
        elif isinstance(made, frames.SettingsFrame) and "ACK" not in made.flags:
            self.settings |= made.settings
            self.send(frames.SettingsFrame(0, flags=["ACK"]).serialize())
        elif isinstance(made, frames.PingFrame):
            self.pongs += "ACK" in made.flags
            if "ACK" not in made.flags:
                self.send(frames.PingFrame(0, made.opaque_data, flags=["ACK"]).serialize())
        elif isinstance(made, frames.WindowUpdateFrame) and made.stream_id == 0:
            self.window += made.window_increment
        reply.ended = reply.ended or "END_STREAM" in made.flags

    def _take(self, length: int) -> bytes:
        while len(self._read) < length:
            more = self.socket.recv(1 << 16)
            if not more:
                raise EOFError(f"the connection ended; goodbyes: {self.goodbyes}")
            self._read += more
        taken, self._read = self._read[:length], self._read[length:]
        return taken

    def vanish(self) -> None:
        """Go away with a reset."""
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()


@contextlib.contextmanager
def raw2(port: int, **more: Any) -> Iterator[Raw2]:
    """Connect for a block."""
    connection = Raw2(port, **more)
    try:
        yield connection
    finally:
        connection.close()

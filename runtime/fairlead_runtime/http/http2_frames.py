"""HTTP/2 frames as bytes: where one ends, and how much a client may send that asks for nothing.

`h2` knows what frames mean. It keeps half a frame to itself, however, and nothing in it says when
one began; and it has no bounds on frames that cost work and ask for nothing (pings, resets, empty
data and so on). Both are here. No socket, no clock.
"""

from __future__ import annotations

from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""The first bytes of a client's connection (RFC 9113, 3.4)."""
FRAME_BYTES = 1 << 14
"""The largest frame that is taken: what everybody has to take, and nothing larger is announced."""
_HEAD_BYTES = 9
_END_STREAM = 0x1
_END_HEADERS = 0x4
_ACK = 0x1


class Kind(IntEnum):
    """Types of frames (RFC 9113, 6)."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class TooLongError(Exception):
    """A frame is longer than may be."""


class Frame:
    """A whole frame.

    Attributes:
        kind: Its type; not always a `Kind`, because unknown ones are to be ignored.
        flags: Its flags.
        data: All of it, its head included.
    """

    __slots__ = ("data", "flags", "kind")

    def __init__(self, data: bytes) -> None:
        self.data, self.kind, self.flags = data, data[3], data[4]

    @property
    def says_goodbye(self) -> bool:
        """Whether it is a GOAWAY in its right form."""
        data = self.data
        return self.kind == Kind.GOAWAY and not any(data[5:9]) and len(data) >= _HEAD_BYTES + 8

    @property
    def cost(self) -> int:
        """What it takes of a client's allowance; see `Allowance`."""
        if self.kind == Kind.DATA:
            return int(len(self.data) == _HEAD_BYTES and not self.flags & _END_STREAM)
        if self.kind in (Kind.SETTINGS, Kind.PING) and self.flags & _ACK:
            return 1
        return _COSTS.get(self.kind, 1)


class Frames:
    """Cuts what comes from a client into frames."""

    def __init__(self) -> None:
        self._rest = b""
        self._in_head = False
        self.finished = 0
        """How many heads and other frames have come to their end."""

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes and return the frames that are whole with them.

        Raises:
            TooLongError: One is longer than `FRAME_BYTES`.
        """
        if self._rest:
            data = self._rest + data
        found: list[Frame] = []
        at, size = 0, len(data)
        while size - at >= _HEAD_BYTES:
            length = int.from_bytes(data[at : at + 3], "big")
            if length > FRAME_BYTES:
                raise TooLongError
            end = at + _HEAD_BYTES + length
            if end > size:
                break
            frame = Frame(data[at:end])
            if frame.kind in (Kind.HEADERS, Kind.CONTINUATION):
                self._in_head = not frame.flags & _END_HEADERS
            self.finished += not self._in_head
            found.append(frame)
            at = end
        self._rest = data[at:]
        return found

    @property
    def unfinished(self) -> bool:
        """Whether something has begun that is to end soon: a head, or any frame but a body's."""
        rest = self._rest
        return self._in_head or (bool(rest) and (len(rest) < 4 or rest[3] != Kind.DATA))


class Allowance:
    """How much a client may send that asks for nothing.

    Resets and streams that are refused count for five, other such frames for one. What serves gives
    back: an answer, and data in either direction, whose windows and pings are to be expected. So a
    client may cancel all its streams now and then, but not do nothing else.
    """

    MOST = 1000
    RESET = 5
    ANSWER = 10
    DATA_SENT = 4
    DATA_TAKEN = 1
    SECOND = 50

    def __init__(self) -> None:
        self._left = self.MOST

    def give(self, amount: int) -> None:
        """Give something back."""
        self._left = min(self.MOST, self._left + amount)

    def take(self, amount: int) -> bool:
        """Take something away and return whether any is left."""
        self._left -= amount
        return self._left > 0


_COSTS: dict[int, int] = {
    Kind.HEADERS: 0,
    Kind.RST_STREAM: Allowance.RESET,
    Kind.SETTINGS: 5,
}

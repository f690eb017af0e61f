"""HTTP/1.1 messages whose framing is broken in seeded ways, and how a strict reader takes them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import h11

from tests.malformed import damaged
from tests.rawhttp import chunked, row

SMUGGLED = b"/smuggled"
_INNER = b"GET " + SMUGGLED + b" HTTP/1.1\r\nHost: test\r\n\r\n"
_METHODS = [b"", b"get", b"PO ST", b"P\x00ST", b"PRI", b"\x16\x03\x01", b"POST\t", b"BREW", b"PUT"]
_TARGETS = [
    b"",
    b"*",
    b"predict",
    b"/a b",
    b"/\xff",
    b"/\x00",
    b"http://",
    b"//",
    b"/" + b"x" * 9000,
]
_VERSIONS = [
    b"HTTP/1.0",
    b"HTTP/1.2",
    b"HTTP/2.0",
    b"HTTP/0.9",
    b"http/1.1",
    b"HTTP/1",
    b"HTTP/11.1",
    b"",
]
_LENGTHS = [
    b"+5", b"-1", b"0x5", b"5 5", b"5,5", b"5, 6", b"", b" ", b"1e1", b"5;", b"\xef\xbc\x95",
    b"00005", b"18446744073709551617", b"0", b"5\t", b"\x0b5", b"5\n", b"NaN",
]  # fmt: skip
_CODINGS = [
    b"chunked", b"Chunked", b"chunked, chunked", b"identity", b"gzip, chunked",
    b"chunked, identity", b"xchunked", b"chunked;q=1", b"\x0bchunked", b"chun\x00ked", b"",
    b"chunked\n", b'"chunked"',
]  # fmt: skip
_LINES = [
    b" folded", b"nonsense", b": x", b"X : 1", b"X: a\x00b", b"X: 1\nY: 2", b"X: 1\rY: 2",
    b"\xff: 1", b"Host: other", b"Host:", b"Expect: 200-ok",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings",
    b"Connection: close", b"Connection: keep-alive, close", b"X: " + b"y" * 70_000, b"\x00", b"\r",
    b"Transfer-Encoding : chunked", b"Content-Length : 5", b"Trailer: Content-Length",
]  # fmt: skip
_SIZES = [
    b"",
    b"-3",
    b"0x3",
    b"+3",
    b"fffffffffffffffff",
    b"3 ",
    b" 3",
    b"3;",
    b"3;x=\n",
    b"g",
    b"0",
]


class _Message:
    def __init__(self, rng: random.Random) -> None:
        self.start = [b"POST", b"/predict", b"HTTP/1.1"]
        self.lines = [b"Host: test"]
        inner = rng.choice([_INNER, row(1) + _INNER, row(1), b"0\r\n\r\n" + _INNER])
        kind = rng.random()
        if kind < 0.1:
            self.start[:2] = b"GET", b"/health/live"
            self.body = b""
        elif kind < 0.55:
            self.lines.append(b"Content-Length: %d" % len(inner))
            self.body = inner
        else:
            at = rng.randrange(1, len(inner))
            self.lines.append(b"Transfer-Encoding: chunked")
            self.body = chunked(inner[:at], inner[at:])

    def whole(self) -> bytes:
        """Return its bytes."""
        head = b"\r\n".join([b" ".join(self.start), *self.lines, b"", b""])
        return head + self.body


def framings(seed: int, count: int) -> Iterator[bytes]:
    """Yield broken messages, some with a good one behind; many have a request within their body."""
    rng = random.Random(seed)
    for _ in range(count):
        message = _Message(rng)
        for _ in range(rng.choice([1, 1, 2])):
            rng.choice([_start, _line, _line, _length, _coding, _size])(rng, message)
        data = message.whole()
        choice = rng.random()
        if choice < 0.2:
            data = damaged(rng, data)
        elif choice < 0.3:
            data = data[: rng.randrange(1, len(data))]
        elif choice < 0.5:
            data += _INNER
        yield data


def asked(data: bytes) -> list[bytes]:
    """Return the targets of the requests that h11 finds in these bytes, up to what is none."""
    targets: list[bytes] = []
    while data := data.lstrip(b"\r\n"):  # which may be between messages, for all that it matters
        reader = h11.Connection(h11.SERVER)
        reader.receive_data(data)
        try:
            event = reader.next_event()
            if not isinstance(event, h11.Request):
                break
            target = event.target
            while isinstance(event := reader.next_event(), h11.Data):
                pass
            if not isinstance(event, h11.EndOfMessage):
                break
            reader.send(h11.Response(status_code=200, headers=[]))  # and no upgrade
        except h11.ProtocolError:
            break
        targets.append(target)
        if reader.their_state is not h11.DONE:
            break
        data = reader.trailing_data[0]
    return targets


def _start(rng: random.Random, message: _Message) -> None:
    at = rng.randrange(3)
    message.start[at] = rng.choice([_METHODS, _TARGETS, _VERSIONS][at])


def _line(rng: random.Random, message: _Message) -> None:
    at = rng.randrange(len(message.lines) + 1)
    if rng.random() < 0.7:
        message.lines.insert(at, rng.choice(_LINES))
    elif at < len(message.lines) and rng.random() < 0.5:
        message.lines.insert(at, message.lines[at])
    else:
        del message.lines[at : at + 1]


def _length(rng: random.Random, message: _Message) -> None:
    size = len(message.body)
    right = [b"%d" % max(0, size + by) for by in (-len(_INNER), -1, 0, 1, 50)]
    _put(rng, message, b"Content-Length", rng.choice(_LENGTHS + right))


def _coding(rng: random.Random, message: _Message) -> None:
    _put(rng, message, b"Transfer-Encoding", rng.choice(_CODINGS))


def _put(rng: random.Random, message: _Message, name: bytes, value: bytes) -> None:
    if rng.random() < 0.5:  # else there are two, or both kinds
        message.lines = [line for line in message.lines if not line.startswith(name)]
    message.lines.insert(rng.randrange(len(message.lines) + 1), name + b": " + value)


def _size(rng: random.Random, message: _Message) -> None:
    line, end, rest = message.body.partition(b"\r\n")
    message.body = rng.choice(_SIZES) + rng.choice([end, end, b"\n", b"\r", b""]) + rest
    if rng.random() < 0.2:
        message.body = line + end + rest[:-2]

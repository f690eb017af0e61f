"""HTTP over a bare socket: what is sent is exactly what the test says."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One response."""

    version: str
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)

    @property
    def closes(self) -> bool:
        """Whether the server says that the connection ends."""
        return self.headers.get("connection", "").lower() == "close"


class Raw:
    """A connection."""

    def __init__(
        self,
        port: int,
        *,
        timeout_s: float = 15,
        window: int | None = None,
        segment: int | None = None,
    ) -> None:
        self.socket = socket.socket()
        if segment is not None:  # a network's, for loopback's are so large that buffers are, too
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        if window is not None:  # a receive buffer that is soon full
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.settimeout(timeout_s)
        self.socket.connect(("127.0.0.1", port))
        self._read = b""

    def send(self, *parts: bytes) -> None:
        """Send these bytes."""
        self.socket.sendall(b"".join(parts))

    def end(self) -> None:
        """End the sending side."""
        self.socket.shutdown(socket.SHUT_WR)

    def vanish(self) -> None:
        """Go away with a reset."""
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()

    def reply(self, *, head: bool = False) -> Reply:
        """Read one response; `head` where none of them has a body."""
        while b"\r\n\r\n" not in self._read:
            self._more()
        start, self._read = self._read.split(b"\r\n\r\n", 1)
        first, *lines = start.decode("latin-1").split("\r\n")
        version, status, _ = first.split(" ", 2)
        headers: dict[str, str] = {}
        for line in lines:
            name, value = line.split(": ", 1)
            assert name.lower() not in headers, f"{name} is there twice"
            headers[name.lower()] = value
        length = 0 if head or status.startswith("1") else int(headers["content-length"])
        while len(self._read) < length:
            self._more()
        body, self._read = self._read[:length], self._read[length:]
        return Reply(version, int(status), headers, body)

    def nothing_more(self) -> None:
        """Read the end of the connection; a response, or a byte of one, fails."""
        assert self._read == b""
        with contextlib.suppress(ConnectionResetError):
            assert self.socket.recv(1) == b""

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def _more(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError(f"the connection ended after {self._read!r}")
        self._read += data


@contextlib.contextmanager
def raw(
    port: int, *, timeout_s: float = 15, window: int | None = None, segment: int | None = None
) -> Iterator[Raw]:
    """Connect for a block."""
    connection = Raw(port, timeout_s=timeout_s, window=window, segment=segment)
    try:
        yield connection
    finally:
        connection.close()


def get(path: str = "/health/live", *headers: str, version: str = "1.1") -> bytes:
    """Return the bytes of a GET."""
    lines = [f"GET {path} HTTP/{version}", "Host: test", *headers, "", ""]
    return "\r\n".join(lines).encode()


def post(body: bytes, *headers: str, path: str = "/predict", version: str = "1.1") -> bytes:
    """Return the bytes of a POST with its length."""
    lines = [
        f"POST {path} HTTP/{version}", "Host: test", f"Content-Length: {len(body)}", *headers,
        "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + body


def chunked(*chunks: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    """Return a body in chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + last


def row(number: float, request_id: str = "") -> bytes:
    """Return the body of a prediction for the classifier of three features."""
    document: dict[str, Any] = {"features": [number, 1, 2]}
    if request_id:
        document["request_id"] = request_id
    return json.dumps(document).encode()

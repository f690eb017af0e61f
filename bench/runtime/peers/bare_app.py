"""No server at all: one answer, always the same, to whatever comes; for what loopback and wrk cost.

It counts the bytes of a request, taking all of a connection's for as long as the first.

python bare_app.py PORT
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import cast

import uvloop

_BODY = b'{"outputs": [0.0]}'
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)


class Bare(asyncio.Protocol):
    """Answers as soon as the bytes of a request are there; it does not look at them."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._first, self._size, self._left = b"", 0, 0

    def data_received(self, data: bytes) -> None:
        """Answer, once a request is whole."""
        if not self._size:
            self._first += data
            self._size = _size(self._first)
            if not self._size:
                return
            self._left, data = self._size, self._first
        self._left -= len(data)
        while self._left <= 0:
            self._transport.write(_ANSWER)
            self._left += self._size


def _size(first: bytes) -> int:
    """Return how many bytes a request has, or 0 where its head is not there yet."""
    head, end, _ = first.partition(b"\r\n\r\n")
    if not end:
        return 0
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    return len(head) + len(end) + (int(length[1]) if length else 0)


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Bare, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))

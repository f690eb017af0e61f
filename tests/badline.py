"""A bad line: a TCP relay that breaks connections off, stalls, and counts, as tests want it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from cluster.controlplane import free_ports


@dataclass(slots=True)
class Cut:
    """What happens to one connection.

    Attributes:
        after_bytes: Bytes of the answer that come through before it.
        then: Called once these are through, before the connection ends.
        stall: Whether the connection stays open in silence rather than ending.
    """

    after_bytes: int
    then: Callable[[], None] = lambda: None
    stall: bool = False


class BadLine:
    """A relay on 127.0.0.1 to a port of 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self.port = free_ports(1)[0]
        self.cuts: list[Cut] = []
        """One for each answer that is as large as that, in this order; later ones get through."""
        self.heads: list[str] = []
        """The heads of the requests that went through."""
        self._goal = port
        self._ended = threading.Event()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Take the line down."""
        self._ended.set()
        with socket.create_connection(("127.0.0.1", self.port)):
            self._threads[0].join()
        self._listener.close()
        for connection in self._open:
            _end(connection)
        for thread in self._threads:
            thread.join()
        for connection in self._open:
            connection.close()

    def ranges(self) -> list[str]:
        """Return the ranges of the requests that had one."""
        return [
            line.partition(":")[2].strip()
            for head in self.heads
            for line in head.splitlines()
            if line.lower().startswith("range:")
        ]

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._ended.is_set():
                client.close()
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._goal))
            except OSError:
                client.close()
                continue
            self._open += [client, server]
            for target, *arguments in ((self._up, client, server), (self._down, server, client)):
                thread = threading.Thread(target=target, args=arguments, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        while data := _read(client):
            if data.startswith((b"GET ", b"HEAD ")):
                self.heads.append(data.partition(b"\r\n\r\n")[0].decode("latin-1"))
            _write(server, data)
        _end(server)

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        passed = 0
        while data := _read(server):
            passed += len(data)
            if self.cuts and passed > self.cuts[0].after_bytes:
                cut = self.cuts.pop(0)
                cut.then()
                if cut.stall:
                    self._ended.wait()
                break
            if not _write(client, data):
                break
        _end(server)
        _end(client)


def _read(source: socket.socket) -> bytes:
    try:
        return source.recv(65536)
    except OSError:
        return b""


def _write(target: socket.socket, data: bytes) -> bool:
    try:
        target.sendall(data)
    except OSError:
        return False
    return True


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was faster
        connection.shutdown(socket.SHUT_RDWR)

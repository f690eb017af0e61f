"""Small servers in the place of model pods: HTTP/1.1 and h2c on one port, telling what they got."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

_PREFACE = b"PRI * HTTP/2.0"
_ENDS = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)


@dataclass
class Pod:
    """One pod.

    Attributes:
        name: What it calls itself in its answers.
        host: Its address on loopback.
        status: What it answers with.
        grpc_status: The trailer of its answers to gRPC.
        hangs: Whether it never answers.
        seen: The headers of each request, with the protocol as `:protocol`.
    """

    name: str
    host: str
    status: int = 200
    grpc_status: str = "0"
    hangs: bool = False
    seen: list[dict[str, str]] = field(default_factory=list)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, *ports: int) -> None:
        for port in ports:
            self._servers.append(await asyncio.start_server(self._serve, self.host, port))

    async def kill(self) -> None:
        """End the pod at once, with its connections."""
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._servers.clear()

    def _answer(self, headers: dict[str, str], protocol: str) -> bytes:
        self.seen.append({**headers, ":protocol": protocol})
        return json.dumps({"pod": self.name, "protocol": protocol, "headers": headers}).encode()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(*_ENDS):
                start = await reader.readexactly(len(_PREFACE))
                serve = self._http2 if start == _PREFACE else self._http1
                await serve(start, reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _http1(
        self, start: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            lines = (
                (start + await reader.readuntil(b"\r\n\r\n")).decode(errors="replace").split("\r\n")
            )
            start = b""
            pairs = (line.split(":", 1) for line in lines[1:] if line)
            headers = {name.lower(): value.strip(" \t") for name, value in pairs}
            await reader.readexactly(int(headers.get("content-length", "0")))
            body = self._answer(headers, "HTTP/1.1")
            if self.hangs:
                await asyncio.sleep(3600)
            head = f"HTTP/1.1 {self.status} X\r\ncontent-length: {len(body)}\r\n"
            writer.write(f"{head}x-fairlead-variant: forged\r\n\r\n".encode() + body)
            await writer.drain()

    async def _http2(
        self, start: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        link = h2.connection.H2Connection(config=config)
        link.initiate_connection()
        requests: dict[int, dict[str, str]] = {}
        data = start
        while data:
            for event in link.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    requests[event.stream_id] = {str(k): str(v) for k, v in event.headers}
                elif isinstance(event, h2.events.StreamEnded):
                    self._end(link, event.stream_id, requests.pop(event.stream_id))
            writer.write(link.data_to_send())
            await writer.drain()
            data = await reader.read(65_536)

    def _end(self, link: h2.connection.H2Connection, stream: int, headers: dict[str, str]) -> None:
        body = self._answer(headers, "HTTP/2")
        if self.hangs:
            return
        grpc = headers.get("content-type") == "application/grpc"
        kind = "application/grpc" if grpc else "application/json"
        link.send_headers(stream, [(":status", str(self.status)), ("content-type", kind)])
        framed = struct.pack("!BI", 0, len(body)) + body if grpc else body
        link.send_data(stream, framed, end_stream=not grpc)
        if grpc:
            link.send_headers(stream, [("grpc-status", self.grpc_status)], end_stream=True)

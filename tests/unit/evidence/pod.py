"""A router's metrics page over a real socket."""

from __future__ import annotations

import asyncio

from fairlead_operator.evidence.direct import Pods
from fairlead_operator.evidence.routers import RouterPod

XX = "envoy_cluster_zone_router_own_upstream_rq_xx"


class Pod:
    """Answers any path with what it counted; its process is a minute old."""

    def __init__(self) -> None:
        self.requests = 0
        self.uptime = 60
        self.broken = False
        self.asked: list[str] = []
        self.port = 0

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.split()[1].decode())
        page = (
            f'{XX}{{envoy_response_code_class="2",envoy_cluster_name="a_http"}} {self.requests}\n'
            f"envoy_server_uptime {self.uptime}\n"
        ).encode()
        status = b"500 No" if self.broken else b"200 OK"
        writer.write(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n" % (status, len(page)))
        writer.write(b"connection: close\r\n\r\n" + page)
        await writer.drain()
        writer.close()

    @property
    def pods(self) -> Pods:
        router = RouterPod(name="r", ip="127.0.0.1", ready=True, port=self.port)
        return Pods(keys=("a",), routers=[router])

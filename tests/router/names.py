"""A name server for the pods of a test: as many addresses per name as there are pods."""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from typing import Any


class NameServer(asyncio.DatagramProtocol):
    """Answers A questions from `addresses`; other names do not exist."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self._transport: Any = None

    @property
    def port(self) -> int:
        return int(self._transport.get_extra_info("sockname")[1])

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def close(self) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        question = data[12 : at + 5]
        kind = struct.unpack("!H", data[at + 1 : at + 3])[0]
        found = self.addresses.get(".".join(labels), [])
        answers = found if kind == 1 else []
        head = data[:2] + struct.pack("!HHHHH", 0x8180 | (0 if found else 3), 1, len(answers), 0, 0)
        body = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + ipaddress.IPv4Address(each).packed
            for each in answers
        )
        self._transport.sendto(head + question + body, addr)

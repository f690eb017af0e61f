"""Pages of pods over real sockets: whatever a pod does, the others are read."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from fairlead_operator.evidence.scrape import Page, Scraper, Target, Unread

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def _serving(handler: Handler) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await handler(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _answering(text: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(text)
                await writer.drain()

    return handler


def _ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def _target(port: int, ip: str = "127.0.0.1") -> Target:
    return Target(pod="p", ip=ip, port=port, path="/metrics?x=%5C.")


async def _forever(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(60)


async def _dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.1)


async def test_a_pod_that_does_not_answer_does_not_keep_the_others_waiting() -> None:
    good = _answering(_ok(b"x 1\n"))
    async with (
        _serving(good) as well,
        _serving(_forever) as ill,
        _serving(_dripping) as slow,
        Scraper(timeout_s=1) as scraper,
    ):
        started = time.monotonic()
        found = await scraper.read([_target(ill), _target(well), _target(slow)])
        assert time.monotonic() - started < 5
    assert isinstance(found[1], Page)
    assert found[1].body == b"x 1\n"
    for each in (found[0], found[2]):
        assert isinstance(each, Unread)
        assert "within 1 s" in each.why


async def test_what_is_no_page_is_an_outcome_with_its_reason() -> None:
    async def nothing(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        return

    moved = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    handlers = {
        "answered 503": _answering(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"),
        "answered 302": _answering(moved),
        "more than 1000 bytes": _answering(_ok(b"x" * 1001)),
        "http://": _answering(b"nonsense\r\n\r\n"),
        "127.0.0.1": nothing,
    }
    for reason, handler in handlers.items():
        async with _serving(handler) as port, Scraper(max_bytes=1000) as scraper:
            [found] = await scraper.read([_target(port)])
        assert isinstance(found, Unread), reason
        assert reason in found.why, found.why


async def test_a_pod_without_an_address_or_with_a_closed_port_is_unread() -> None:
    async with _serving(_forever) as gone:
        pass
    async with Scraper() as scraper:
        found = await scraper.read([_target(gone), _target(80, ip="")])
    assert [type(each) for each in found] == [Unread, Unread]


async def test_the_path_is_sent_as_it_is() -> None:
    asked: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(_ok(b""))
        await writer.drain()

    async with _serving(handler) as port, Scraper() as scraper:
        await scraper.read([_target(port)])
    assert asked == [b"GET /metrics?x=%5C. HTTP/1.1\r\n"]


def test_an_address_of_version_six_is_in_brackets() -> None:
    target = Target(pod="p", ip="fd00::1", port=9, path="/x")
    assert target.url == "http://[fd00::1]:9/x"

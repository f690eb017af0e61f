"""What a connection does as time passes, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from fairlead_runtime.http.edge import Connection, Guest
from fairlead_runtime.http.limits import Limits
from fairlead_runtime.http.messages import Request, Response, json_response

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"


class Clock:
    """The event loop, but for the time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def call_soon(self, work: Callable[..., object]) -> asyncio.Handle:
        return asyncio.get_running_loop().call_soon(work)


class Wire(asyncio.Transport):
    """Keeps what is written; `stuck` bytes stay unsent."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.stuck = b"", 0
        self.closed = self.aborted = self.ended = False
        self.events: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return self.stuck

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.events.append("pause")

    def resume_reading(self) -> None:
        self.events.append("resume")


class Slow:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.cancelled = 0

    async def respond(self, request: Request) -> Response:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return json_response({"path": request.path})

    def too_large(self) -> Response:
        return json_response({}, 413)


class House:
    """A server of one connection."""

    def __init__(self, **limits: Any) -> None:
        self.limits = Limits(max_body_bytes=100_000, **limits)
        self.routes, self.clock, self.wire = Slow(), Clock(), Wire()
        self.loop: Any = self.clock
        self.held_bytes, self.crowd = 0, 1
        self.reasons: list[str] = []
        self.date, self.draining, self.age_s, self.gone = b"", False, 1e6, False
        self.connection = Connection(self)
        self.connection.connection_made(self.wire)

    def opened(self, connection: Guest) -> float:
        return self.clock.now + self.age_s

    def closed(self, connection: Guest) -> None:
        self.gone = True

    def replaced(self, before: Guest, after: Guest) -> None:
        raise AssertionError("nobody speaks HTTP/2 here")

    def refused(self, reason: str) -> None:
        self.reasons.append(reason)

    async def get(self, data: bytes, after_s: float = 0.0) -> bytes:
        """Send, let the loop turn, and return what is written meanwhile."""
        self.clock.now += after_s
        before = len(self.wire.written)
        self.connection.data_received(data)
        for _ in range(5):
            await asyncio.sleep(0)
        return self.wire.written[before:]

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.connection.check(self.clock.now)


def gone(house: House) -> bool:
    return house.wire.closed or house.wire.aborted


@pytest.fixture
async def house() -> House:
    return House()


async def test_an_idle_connection_is_closed_after_its_time(house: House) -> None:
    assert b"200 OK" in await house.get(GET)
    house.pass_time(74)
    assert not gone(house)
    house.pass_time(2)
    assert gone(house)


async def test_idle_time_begins_with_the_answer_not_with_the_request(house: House) -> None:
    house.routes.gate.clear()
    await house.get(GET)
    house.pass_time(100)  # a slow model
    house.routes.gate.set()
    assert b"200 OK" in await house.get(b"")
    house.pass_time(1)
    assert not gone(house)
    house.pass_time(76)
    assert gone(house)


async def test_while_an_answer_is_made_the_next_request_may_take_its_time(house: House) -> None:
    house.routes.gate.clear()
    await house.get(GET + GET[:10])
    house.pass_time(100)
    house.routes.gate.set()
    assert b"200 OK" in await house.get(b"")
    house.pass_time(9)
    assert b"408" not in house.wire.written
    assert b"200 OK" in await house.get(GET[10:])


async def test_headers_and_body_have_times_of_their_own(house: House) -> None:
    await house.get(POST[:20])
    house.pass_time(9)
    await house.get(POST[20:])
    house.pass_time(29)
    assert b"408" not in house.wire.written
    house.pass_time(2)
    assert b"408 Request Timeout" in house.wire.written
    assert house.wire.ended


async def test_a_body_gains_a_second_for_each_16_kib(house: House) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n"
    await house.get(head + b"x" * 49_152)
    house.pass_time(32.9)
    assert b"408" not in house.wire.written
    house.pass_time(0.2)
    assert b"408" in house.wire.written


async def test_after_the_last_answer_the_client_has_a_moment_to_go(house: House) -> None:
    await house.get(b"GET / HTTP/1.0\r\n\r\n")
    assert house.wire.ended
    house.pass_time(1.9)
    assert not gone(house)
    house.pass_time(0.2)
    assert gone(house)


async def test_an_answer_that_still_flows_is_not_cut(house: House) -> None:
    await house.get(GET)
    for left in (5 << 20, 4 << 20, 3 << 20):
        house.wire.stuck = left
        house.pass_time(29)
    assert not gone(house)
    house.pass_time(31)
    assert gone(house)


async def test_an_answer_that_only_trickles_is_cut(house: House) -> None:
    await house.get(GET)
    house.wire.stuck = 5 << 20
    house.pass_time(1)
    for _ in range(2):
        assert not gone(house)
        house.wire.stuck -= 4096
        house.pass_time(29)
    assert gone(house)


async def test_what_is_answered_meanwhile_does_not_hide_what_is_taken(house: House) -> None:
    house.wire.stuck = 60_000
    house.connection.check(house.clock.now)
    for _ in range(1000):
        answer = await house.get(GET)
        # All of it is taken within its time by the rate, and as much is left as before.
        house.pass_time(len(answer) / (16 << 10))
    house.pass_time(29)
    assert not gone(house)


@pytest.mark.parametrize("busy", [False, True])
async def test_a_connection_that_is_gone_is_freed_without_the_collector(
    house: House, busy: bool
) -> None:
    await house.get(GET)
    if busy:
        house.routes.gate.clear()
        await house.get(GET + GET)
    gone = weakref.ref(house.connection)
    gc.collect()
    gc.disable()
    try:
        house.connection.connection_lost(None)
        del house.connection
        for _ in range(3):
            await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()


async def test_a_half_closed_client_is_waited_for_a_moment_only(house: House) -> None:
    house.routes.gate.clear()
    await house.get(GET)
    assert house.connection.eof_received()
    house.pass_time(1.9)
    assert not gone(house)
    house.pass_time(0.2)
    assert gone(house)
    house.connection.connection_lost(None)
    await asyncio.sleep(0)
    assert house.routes.cancelled == 1
    assert house.gone


async def test_an_old_connection_ends_with_its_next_answer() -> None:
    house = House()
    house.age_s = 60
    house.connection = Connection(house)
    house.connection.connection_made(house.wire)
    assert b"connection: close" not in await house.get(GET)
    assert b"connection: close" in await house.get(GET, after_s=61)


async def test_a_draining_server_ends_connections_with_their_next_answer(house: House) -> None:
    assert house.connection.idle
    house.draining = True
    assert b"connection: close" in await house.get(GET)


async def test_reading_stops_when_enough_is_read_ahead_and_goes_on_afterwards(
    house: House,
) -> None:
    house.routes.gate.clear()
    await house.get(GET * 16)
    assert house.wire.events == []
    await house.get(GET)
    assert house.wire.events == ["pause"]
    house.routes.gate.set()
    for _ in range(50):
        await asyncio.sleep(0)
    assert house.wire.events == ["pause", "resume"]
    assert house.wire.written.count(b"200 OK") == 17


async def test_nothing_new_is_begun_for_a_client_that_does_not_read(house: House) -> None:
    house.connection.pause_writing()
    assert await house.get(GET * 3) == b""
    assert house.wire.events == ["pause"]
    house.connection.resume_writing()
    await house.get(b"")
    assert house.wire.written.count(b"200 OK") == 3


async def test_bodies_in_parts_are_counted_until_they_are_whole(house: House) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n"
    await house.get(head + b"x" * 1000)
    assert house.held_bytes == 1000
    await house.get(b"x" * 1000)
    assert house.held_bytes == 2000
    assert b"200 OK" in await house.get(b"x" * 1000)
    assert house.held_bytes == 0


async def test_what_a_client_that_vanished_had_sent_counts_no_longer(house: House) -> None:
    await house.get(POST + b"x" * 5)
    assert house.held_bytes == 5
    house.connection.connection_lost(None)
    assert house.held_bytes == 0


async def test_too_much_held_at_once_is_refused_and_let_go() -> None:
    house = House(max_held_bytes=6)
    house.held_bytes = 3  # by others
    answer = await house.get(POST + b"x" * 5)
    assert b"429" in answer
    assert b'"Overloaded"' in answer
    assert house.held_bytes == 3
    assert house.reasons == ["bodies"]


@pytest.mark.parametrize(("crowd", "told"), [(2, False), (3, True), (3 + 256, False)])
async def test_a_connection_too_many_is_told_so_or_cut(crowd: int, told: bool) -> None:
    house = House(max_connections=2)
    house.crowd = crowd
    house.connection = Connection(house)
    house.connection.connection_made(house.wire)
    assert (b"TooManyConnections" in house.wire.written) is told
    assert (b"retry-after: 1" in house.wire.written) is told
    assert house.wire.aborted is (crowd > 3)
    assert house.reasons == ["connections"] * (crowd > 2)

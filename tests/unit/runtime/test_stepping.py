"""Coroutines that run at once, and go on at once."""

from __future__ import annotations

import asyncio

import pytest

from fairlead_runtime.batching.pending import Pending
from fairlead_runtime.http.stepping import Stepper
from fairlead_runtime.protocol.types import InferResponse

ANSWER = InferResponse(outputs={})


class World:
    def __init__(self) -> None:
        self.ended: list[tuple[object, Exception | None]] = []
        self.stepper: Stepper[object] = Stepper(
            asyncio.get_running_loop(), lambda *how: self.ended.append(how)
        )
        self.pending = pending()
        self.notes: list[str] = []

    async def wait_for(self, future: asyncio.Future[InferResponse]) -> object:
        try:
            return await future
        except asyncio.CancelledError:
            self.notes.append("cancelled")
            raise


def pending() -> Pending:
    made = Pending(loop=asyncio.get_running_loop())
    made.waker = None
    return made


async def test_what_waits_for_nothing_is_over_before_begin_returns() -> None:
    async def answer() -> int:
        return 1

    world = World()
    world.stepper.begin(answer())
    assert world.ended == [(1, None)]
    assert not world.stepper.busy


async def test_it_goes_on_in_the_moment_in_which_its_answer_is_there() -> None:
    world = World()
    world.stepper.begin(world.wait_for(world.pending))
    assert world.stepper.busy
    assert world.ended == []
    world.pending.settle(ANSWER)
    assert world.ended == [(ANSWER, None)]


async def test_one_that_fails_to_take_its_answer_keeps_nobody_else_from_theirs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise OSError("no way")

    world = World()
    world.pending.waker = fail
    world.pending.settle(ANSWER)
    assert world.pending.result() is ANSWER
    assert "could not be handed over" in caplog.text


async def test_errors_are_handed_on_and_the_next_one_may_begin() -> None:
    world = World()
    world.stepper.begin(world.wait_for(world.pending))
    error = ValueError("no")
    world.pending.settle(error)
    assert world.ended == [(None, error)]
    world.stepper.begin(world.wait_for(pending()))
    assert world.stepper.busy


async def test_it_waits_for_threads_plain_futures_and_turns_as_well() -> None:
    plain: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def answer() -> tuple[str, int]:
        await asyncio.sleep(0)
        return await asyncio.to_thread(str, 5), await plain

    world = World()
    world.stepper.begin(answer())
    plain.set_result(7)
    while not world.ended:  # noqa: ASYNC110 - what is tested has no events
        await asyncio.sleep(0.001)
    assert world.ended == [(("5", 7), None)]


@pytest.mark.parametrize("plain", [False, True], ids=["pending", "future"])
async def test_what_is_cancelled_is_told_so_where_it_waits_and_nobody_hears_of_it(
    plain: bool,
) -> None:
    world = World()
    future = asyncio.get_running_loop().create_future() if plain else world.pending
    world.stepper.begin(world.wait_for(future))
    world.stepper.cancel()
    world.stepper.cancel()
    await asyncio.sleep(0)
    assert world.notes == ["cancelled"]
    assert future.cancelled()
    assert world.ended == []
    assert not world.stepper.busy


async def test_what_is_cancelled_when_its_answer_is_there_already_is_cancelled_all_the_same() -> (
    None
):
    world = World()
    plain: asyncio.Future[InferResponse] = asyncio.get_running_loop().create_future()
    world.stepper.begin(world.wait_for(plain))
    plain.set_result(ANSWER)
    world.stepper.cancel()
    await asyncio.sleep(0)
    assert world.notes == ["cancelled"]
    assert world.ended == []

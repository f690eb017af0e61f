"""The queue: batches, deadlines, refusals and cancellations, on a real event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from fairlead_runtime.protocol.errors import DeadlineError, InferenceError, OverloadedError
from fairlead_runtime.protocol.types import (
    Array,
    InferRequest,
)
from tests.unit.runtime.batching import World, request, values


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "worker"])
async def test_requests_of_one_turn_run_together_and_get_their_own_answers(
    pool: ThreadPoolExecutor, inline: bool
) -> None:
    world = World(pool, inline=inline)
    assert await values([world.ask(value) for value in range(10)]) == [2 * v for v in range(10)]
    assert world.engine.batches == [10]
    assert (world.engine.threads == {"MainThread"}) is inline
    assert world.sample("model_batch_requests_sum") == 10
    assert world.sample("model_queue_seconds_count") == 10
    assert world.sample("model_inference_seconds_count") == 1


async def test_other_shapes_run_apart(pool: ThreadPoolExecutor) -> None:
    world = World(pool, inline=True)
    tasks = [world.ask(value, width=2 + value % 2) for value in range(6)]
    answers = await asyncio.gather(*tasks)
    shapes = [np.asarray(answer.outputs["y"]).shape for answer in answers]
    assert shapes == [(1, 2), (1, 3)] * 3
    assert world.engine.batches == [3, 3]


async def test_no_batch_is_larger_than_allowed(pool: ThreadPoolExecutor) -> None:
    world = World(pool, inline=True, max_rows=4)
    tasks = [world.ask(1, rows=rows) for rows in (3, 1, 2, 9, 1)]
    await asyncio.gather(*tasks)
    assert world.engine.batches == [4, 2, 9, 1]


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "worker"])
async def test_one_bad_row_fails_only_its_own_request(
    pool: ThreadPoolExecutor, inline: bool
) -> None:
    world = World(pool, inline=inline)
    tasks = [world.ask(value) for value in (1, -1, 3)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[1], InferenceError)
    assert await values([tasks[0], tasks[2]]) == [2, 6]
    assert world.engine.batches == [3, 1, 1, 1]
    assert world.sample("model_batches_split_total") == 1


async def test_without_merging_each_request_runs_alone(pool: ThreadPoolExecutor) -> None:
    world = World(pool, inline=True, merge=False)
    await values([world.ask(value) for value in range(3)])
    assert world.engine.batches == [1, 1, 1]


async def test_while_a_batch_runs_the_queue_is_the_next_one(pool: ThreadPoolExecutor) -> None:
    world = World(pool, inline=False)
    world.engine.gate.clear()
    first = world.ask(0)
    await asyncio.to_thread(world.engine.started.wait)
    others = []
    for value in range(1, 6):  # in turns of their own
        others.append(world.ask(value))
        await asyncio.sleep(0)
    world.engine.gate.set()
    assert await values([first, *others]) == [0, 2, 4, 6, 8, 10]
    assert world.engine.batches == [1, 5]


async def test_a_full_queue_refuses_and_says_when_to_come_back(pool: ThreadPoolExecutor) -> None:
    world = World(pool, inline=False, max_waiting=2)
    world.engine.gate.clear()
    running = world.ask(0)
    await asyncio.to_thread(world.engine.started.wait)
    waiting = [world.ask(1), world.ask(2)]
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError, match="2 requests are waiting") as refused:
        await world.ask(3)
    assert 1 <= refused.value.retry_after_s <= 60
    world.engine.gate.set()
    assert await values([running, *waiting]) == [0, 2, 4]
    assert world.sample('model_requests_dropped_total{reason="queue_full"}') == 1


async def test_where_the_wait_would_be_long_requests_are_refused_unless_nothing_waits(
    pool: ThreadPoolExecutor,
) -> None:
    world = World(pool, inline=False, single_s=1.0, max_wait_s=2.0)
    world.engine.gate.clear()
    running = world.ask(0)
    await asyncio.to_thread(world.engine.started.wait)
    waiting = [world.ask(value) for value in (1, 2, 3)]  # for up to two seconds
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError) as caught:
        await world.ask(4)
    assert caught.value.retry_after_s == 3
    assert world.sample('model_requests_dropped_total{reason="queue_slow"}') == 1
    world.engine.gate.set()
    assert await values([running, *waiting]) == [0, 2, 4, 6]
    # However slow the model: one that finds nobody waiting is taken.
    slow = World(pool, inline=False, single_s=60.0, max_wait_s=2.0)
    assert await values([slow.ask(1)]) == [2]


async def test_the_next_batch_begins_before_the_answers_of_the_last_are_written(
    pool: ThreadPoolExecutor,
) -> None:
    world = World(pool, inline=False)
    world.engine.gate.clear()
    batches = world.engine.batches
    seen: list[int] = []
    first = world.batcher.infer(request(1))
    await asyncio.to_thread(world.engine.started.wait)
    second = world.batcher.infer(request(2))
    world.engine.started.clear()

    def written() -> None:
        assert world.engine.started.wait(30)  # the second is under way
        seen.append(len(batches))

    first.waker = written
    world.engine.gate.set()
    await asyncio.gather(first, second)
    assert seen


async def test_a_full_batch_of_a_quick_model_runs_in_the_moment_in_which_it_is_full(
    pool: ThreadPoolExecutor,
) -> None:
    world = World(pool, inline=True, max_rows=4)
    await world.ask(0)
    pending = [world.batcher.infer(request(value)) for value in range(6)]
    assert [each.done() for each in pending] == [True] * 4 + [False] * 2
    await asyncio.gather(*pending)
    assert world.engine.batches == [1, 4, 2]


async def test_a_client_that_is_alone_is_not_gathered_with_others_until_others_come(
    pool: ThreadPoolExecutor,
) -> None:
    world = World(pool, inline=True)
    at_once = 0
    for _ in range(96):  # the first half shows that nobody else is there
        pending = world.batcher.infer(request(1))
        at_once += pending.done()
        await pending
    assert 50 <= at_once <= 60
    for _ in range(3):
        await asyncio.gather(*(world.batcher.infer(request(1)) for _ in range(10)))
    assert world.engine.batches[-1] == 10


@pytest.mark.parametrize("gains", [True, False])
async def test_beside_a_batch_that_runs_only_a_full_one_begins_where_batches_pay(
    pool: ThreadPoolExecutor, gains: bool
) -> None:
    world = World(
        pool, inline=False, workers=2, max_rows=4, single_s=1.0, batch_s=4.0 if gains else 60.0
    )
    world.engine.gate.clear()
    tasks = [world.ask(0)]
    await asyncio.to_thread(world.engine.started.wait)
    world.engine.started.clear()
    tasks += [world.ask(value) for value in (1, 2, 3)]
    await asyncio.sleep(0.05)
    assert (world.batcher.waiting == 3) is gains
    tasks.append(world.ask(4))
    await asyncio.to_thread(world.engine.started.wait, 30)
    world.engine.gate.set()
    assert await values(tasks) == [0, 2, 4, 6, 8]
    assert (4 in world.engine.batches) is gains


async def test_a_cancelled_request_is_not_run_and_frees_its_place(
    pool: ThreadPoolExecutor,
) -> None:
    world = World(pool, inline=False, max_waiting=1)
    world.engine.gate.clear()
    running = world.ask(0)
    await asyncio.to_thread(world.engine.started.wait)
    gone = world.ask(-1)
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert world.batcher.waiting == 0
    stays = world.ask(5)
    await asyncio.sleep(0)
    world.engine.gate.set()
    assert await values([running, stays]) == [0, 10]
    assert world.engine.batches == [1, 1]
    assert world.sample('model_requests_dropped_total{reason="cancelled"}') == 1


async def test_a_deadline_ends_the_wait_and_the_work_is_not_done(pool: ThreadPoolExecutor) -> None:
    world = World(pool, inline=False)
    world.engine.gate.clear()
    running = world.ask(0)
    await asyncio.to_thread(world.engine.started.wait)
    late = world.ask(7, deadline=time.monotonic() + 0.02)
    with pytest.raises(DeadlineError):
        await late
    world.engine.gate.set()
    await running
    await values([world.ask(1)])
    assert world.engine.batches == [1, 1]
    assert world.sample('model_requests_dropped_total{reason="deadline"}') == 1


async def test_a_deadline_that_has_passed_already_costs_nothing(pool: ThreadPoolExecutor) -> None:
    world = World(pool, inline=True)
    with pytest.raises(DeadlineError):
        await world.ask(1, deadline=time.monotonic() - 1)
    assert world.engine.batches == []


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "worker"])
async def test_a_delay_gathers_requests_of_several_turns(
    pool: ThreadPoolExecutor, inline: bool
) -> None:
    world = World(pool, inline=inline, max_delay_s=0.2, max_rows=3)
    first = world.ask(1)
    await asyncio.sleep(0.01)
    second = world.ask(2)
    assert await values([first, second]) == [2, 4]
    assert world.engine.batches == [2]
    tasks = [world.ask(value) for value in range(3)]  # full: no need to wait
    started = time.monotonic()
    await asyncio.gather(*tasks)
    assert time.monotonic() - started < 0.2
    assert world.engine.batches == [2, 3]


async def test_a_model_that_proves_slow_leaves_the_event_loop(pool: ThreadPoolExecutor) -> None:
    world = World(pool, inline=True)
    plain = world.engine.run

    def slow(
        inputs: Mapping[str, Array], outputs: tuple[str, ...] | None
    ) -> dict[str, Array | list[Any]]:
        time.sleep(0.015)  # what is being tested
        return plain(inputs, outputs)

    world.engine.run = slow  # type: ignore[method-assign]
    for _ in range(3):
        await world.ask(1)
    assert world.engine.threads == {"MainThread"}
    await world.ask(1)
    assert len(world.engine.threads) == 2


async def test_a_large_request_does_not_run_on_the_event_loop(pool: ThreadPoolExecutor) -> None:
    world = World(pool, inline=True)
    await world.ask(1, rows=100_000, width=100)
    assert "MainThread" not in world.engine.threads


async def test_more_bytes_than_may_wait_are_refused_and_room_is_made_when_they_are_taken(
    pool: ThreadPoolExecutor,
) -> None:
    world = World(pool, inline=False, merge=False, max_waiting_bytes=3000)
    world.engine.gate.clear()
    running = world.ask(1, width=100)  # 400 bytes each
    assert await asyncio.to_thread(world.engine.started.wait, 10)
    waiting = [world.ask(1, width=100) for _ in range(7)]
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError, match="7 requests of 2800 bytes together"):
        await world.ask(1, width=100)
    assert world.sample('model_requests_dropped_total{reason="queue_full"}') == 1
    waiting.pop().cancel()  # its bytes are free at once
    await asyncio.sleep(0)
    waiting.append(world.ask(1, width=100))
    await asyncio.sleep(0)
    world.engine.gate.set()
    assert len(await asyncio.gather(running, *waiting)) == 8
    assert world.batcher._waiting_bytes == 0


async def test_a_request_larger_than_all_that_may_wait_runs_where_nothing_waits(
    pool: ThreadPoolExecutor,
) -> None:
    world = World(pool, inline=True, max_waiting_bytes=100)
    assert await values([world.ask(3, width=1000)]) == [6]
    assert world.batcher._waiting_bytes == 0


async def test_text_counts_with_its_length(pool: ThreadPoolExecutor) -> None:
    world = World(pool, inline=True)
    world.batcher._has_text = True
    text = np.array([["x" * 1000, "y" * 500]], object)
    assert world.batcher._size(InferRequest(inputs={"x": text})) == 2 * 8 + 1500

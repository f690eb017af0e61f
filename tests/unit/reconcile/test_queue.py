"""The work queue, on a clock that the tests move."""

from __future__ import annotations

import asyncio

import pytest

from fairlead_operator.reconcile.queue import WorkQueue


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def a_queue() -> tuple[WorkQueue[str], Clock]:
    clock = Clock()
    return WorkQueue(clock=clock, jitter=lambda: 1.0), clock


async def is_empty(queue: WorkQueue[str]) -> bool:
    try:
        async with asyncio.timeout(0.02):
            await queue.get()
    except TimeoutError:
        return True
    return False


async def test_a_key_added_many_times_comes_once() -> None:
    queue, _ = a_queue()
    for _ in range(5):
        queue.add("a")
    assert await queue.get() == "a"
    assert await is_empty(queue)


async def test_a_key_whose_pass_runs_is_not_given_to_a_second_worker() -> None:
    queue, _ = a_queue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    assert await is_empty(queue)
    queue.done("a")
    assert await queue.get() == "a"


async def test_an_event_during_a_pass_is_not_lost_when_the_pass_asks_for_later() -> None:
    queue, _ = a_queue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.done("a", requeue_after_s=60)
    assert await queue.get() == "a"


async def test_a_delayed_key_comes_when_it_is_due() -> None:
    queue, clock = a_queue()
    queue.add("a", after_s=10)
    assert queue.depth() == 0
    assert await is_empty(queue)
    clock.now += 10
    assert queue.depth() == 1
    assert await queue.get() == "a"


async def test_an_earlier_add_moves_a_waiting_key_forward() -> None:
    queue, _ = a_queue()
    queue.add("a", after_s=100)
    queue.add("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert await is_empty(queue)


async def test_a_later_add_does_not_put_a_waiting_key_off() -> None:
    queue, clock = a_queue()
    queue.add("a", after_s=5)
    queue.add("a", after_s=50)
    clock.now += 5
    assert await queue.get() == "a"


async def test_failures_back_off_and_success_forgets_them() -> None:
    queue, clock = a_queue()
    queue.add("a")
    delays = []
    for _ in range(14):
        assert await queue.get() == "a"
        delays.append(queue.failed("a"))
        clock.now += delays[-1]
    assert delays[:4] == [0.5, 1.0, 2.0, 4.0]
    assert delays[-1] == 300.0
    assert await queue.get() == "a"
    queue.done("a")
    queue.add("a")
    await queue.get()
    assert queue.failed("a") == 0.5


async def test_an_event_cuts_a_backoff_short() -> None:
    queue, _ = a_queue()
    queue.add("a")
    await queue.get()
    queue.failed("a", at_least_s=30)
    queue.add("a")
    assert await queue.get() == "a"


async def test_age_is_that_of_the_oldest_due_key() -> None:
    queue, clock = a_queue()
    queue.add("a")
    clock.now += 3
    queue.add("b")
    clock.now += 4
    assert queue.age_s() == 7
    assert await queue.get() == "a"
    assert queue.age_s() == 4


async def test_waiting_worker_wakes_for_a_new_key() -> None:
    queue, _ = a_queue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    async with asyncio.timeout(1):
        assert await waiting == "a"


async def test_two_workers_share_many_keys_without_overlap() -> None:
    queue: WorkQueue[int] = WorkQueue()
    running: set[int] = set()
    seen: list[int] = []

    async def work() -> None:
        while True:
            key = await queue.get()
            assert key not in running
            running.add(key)
            await asyncio.sleep(0)
            queue.add(key) if seen.count(key) == 0 else None
            running.discard(key)
            seen.append(key)
            queue.done(key)

    for key in range(20):
        queue.add(key)
    workers = [asyncio.create_task(work()) for _ in range(2)]
    async with asyncio.timeout(5):
        while len(seen) < 40:
            for worker in workers:
                if worker.done():
                    worker.result()
            await asyncio.sleep(0.01)
    for worker in workers:
        worker.cancel()
    assert sorted(seen) == sorted([*range(20), *range(20)])


@pytest.mark.parametrize("turns", range(5))
async def test_who_is_cancelled_as_a_key_comes_ends(turns: int) -> None:
    queue, _ = a_queue()
    queue.add("later", after_s=60)  # so that it waits for a time, and not for ever
    worker = asyncio.create_task(_works(queue))
    await asyncio.sleep(0.01)
    queue.add("a")
    for _ in range(turns):
        await asyncio.sleep(0)
    worker.cancel()
    done, _waiting = await asyncio.wait({worker}, timeout=5)
    assert done, "the cancellation was lost"
    assert worker.cancelled()


async def _works(queue: WorkQueue[str]) -> None:
    while True:
        queue.done(await queue.get())

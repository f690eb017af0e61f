"""A short wait between batches, for clients that ask again: when, how long, and when not."""

from __future__ import annotations

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fairlead_runtime.batching.probe import Profile
from fairlead_runtime.batching.regroup import MOST_S, Regroup
from tests.unit.runtime.batching import World, values


def profile(single_s: float, batch_s: float, rows: int = 64) -> Profile:
    return Profile(merges=True, single_s=single_s, batch_s=batch_s, batch_rows=rows)


@pytest.mark.parametrize(
    ("single_s", "batch_s", "rows", "wait_s"),
    [
        (0.003, 0.009, 33, (0.003 - 0.006 / 32) / 2),  # half of what each batch takes anyway
        (0.003, 0.003, 64, 0.0015),
        (0.003, 0.003 * 64, 64, 0.0),  # nothing is gained by batches
        (0.0007, 0.0022, 64, 0.0),  # too short
        (0.0021, 0.0088, 64, (0.0021 - 0.0067 / 63) / 2),
        (2.0, 2.1, 64, MOST_S),
        (math.inf, math.inf, 1, 0.0),  # nothing was measured
        (0.1, 0.1, 1, 0.0),
    ],
)
def test_a_wait_lasts_half_of_what_a_batch_takes_whatever_its_rows(
    single_s: float, batch_s: float, rows: int, wait_s: float
) -> None:
    assert Regroup(profile(single_s, batch_s, rows)).wait_s == pytest.approx(wait_s)


def test_clients_that_do_not_come_back_are_not_waited_for_but_tried_again() -> None:
    regroup = Regroup(profile(0.004, 0.004))
    waits = []
    for _ in range(200):
        waits.append(regroup.begin(answered=4, waiting=2))
        if waits[-1]:
            assert not regroup.enough(4)
            assert regroup.enough(5)
            regroup.end(3)  # one of four came
    assert waits[:5] == [True] * 4 + [False]
    assert 4 <= sum(waits[4:]) <= 7
    for _ in range(200):
        if regroup.begin(answered=4, waiting=0):
            regroup.end(4)
    assert all(regroup.begin(answered=1, waiting=0) for _ in range(40))


@pytest.mark.parametrize("gains", [True, False])
async def test_clients_that_ask_again_and_again_are_one_batch_where_batches_pay(
    pool: ThreadPoolExecutor, gains: bool
) -> None:
    batch_s = 0.01 if gains else 0.64
    world = World(pool, inline=False, single_s=0.01, batch_s=batch_s)
    world.engine.gate.clear()
    tasks = [world.ask(0)]
    await asyncio.to_thread(world.engine.started.wait)
    tasks += [world.ask(value) for value in range(1, 8)]  # while the first one runs
    await asyncio.sleep(0.01)
    world.engine.gate.set()
    await tasks[0]
    again = world.ask(8)
    assert await values([*tasks, again]) == [2.0 * value for value in range(9)]
    assert world.engine.batches == ([1, 8] if gains else [1, 7, 1])


async def test_who_does_not_come_back_is_waited_for_a_moment(pool: ThreadPoolExecutor) -> None:
    world = World(pool, inline=False, single_s=0.01, batch_s=0.01)
    world.engine.gate.clear()
    first = world.ask(0)
    await asyncio.to_thread(world.engine.started.wait)
    second = world.ask(1)
    await asyncio.sleep(0.01)
    world.engine.gate.set()
    async with asyncio.timeout(10):
        assert await values([first, second]) == [0, 2]
    assert world.engine.batches == [1, 1]


async def test_a_full_batch_waits_for_nobody(pool: ThreadPoolExecutor) -> None:
    world = World(pool, inline=False, single_s=60.0, batch_s=60.0, max_rows=4)
    world.batcher._regroup.wait_s = 60.0
    async with asyncio.timeout(10):
        await values([world.ask(value) for value in range(3)])
        await values([world.ask(value) for value in range(8)])
    assert world.engine.batches == [3, 4, 4]


@pytest.mark.parametrize("why", ["another shape", "no room for both", "its time runs out"])
async def test_who_waits_and_gains_nothing_by_it_goes_at_once(
    pool: ThreadPoolExecutor, why: str
) -> None:
    world = World(pool, inline=False, single_s=0.01, batch_s=0.01)
    world.batcher._wait_for_s = 60.0
    world.engine.gate.clear()
    rows = 40 if why == "no room for both" else 1
    first = world.ask(1, rows=rows)
    await asyncio.to_thread(world.engine.started.wait)
    second = world.ask(
        2,
        rows=rows,
        width=3 if why == "another shape" else 2,
        deadline=time.monotonic() + 50 if why == "its time runs out" else None,
    )
    await asyncio.sleep(0.01)
    world.engine.gate.set()
    async with asyncio.timeout(10):
        assert await values([first, second]) == [2, 4]


@pytest.mark.parametrize("why", ["another shape", "its time runs out"])
async def test_who_comes_in_a_wait_and_gains_nothing_by_it_ends_it(
    pool: ThreadPoolExecutor, why: str
) -> None:
    world = World(pool, inline=False, single_s=0.01, batch_s=0.01)
    world.batcher._wait_for_s = 60.0
    async with asyncio.timeout(10):
        assert await values([world.ask(value) for value in range(8)]) == [2 * v for v in range(8)]
        assert world.batcher._regrouping is not None
        few = [world.ask(1)]  # not enough of the eight
        await asyncio.sleep(0.01)
        assert not few[0].done()
        soon = time.monotonic() + 50 if why == "its time runs out" else None
        few.append(world.ask(2, width=3 if why == "another shape" else 2, deadline=soon))
        assert await values(few) == [2, 4]

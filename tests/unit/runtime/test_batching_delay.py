"""A wait for others that ends, on the loop that the server runs on: its timers go by whole ms."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop

from tests.unit.runtime.batching import World


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "worker"])
@pytest.mark.parametrize("delay_s", [0.0004, 0.001, 0.0023, 0.003])
def test_who_waits_for_others_that_do_not_come_is_answered_all_the_same(
    pool: ThreadPoolExecutor, delay_s: float, inline: bool
) -> None:
    async def ask() -> None:
        world = World(pool, inline=inline, max_delay_s=delay_s)
        for number in range(100):
            async with asyncio.timeout(10):
                await world.ask(number)
            # Anywhere between two ticks of the loop's clock.
            await asyncio.sleep(0.00017 * (number % 7))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ask())

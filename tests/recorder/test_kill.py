"""`kill -9` in the middle of 100,000 outcomes: none that was acknowledged is lost, none doubled."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import httpx
import orjson
import pytest

from tests.recorder import otlp
from tests.recorder.process import Recorder, recorder
from tests.recorder.worlds import arm_of
from tests.router.asking import eventually

pytestmark = pytest.mark.timeout(300)
_OUTCOMES = 100_000
_BATCH = 200
_UNITS = 5_000
_KILLS = 3


def batches() -> list[list[dict[str, object]]]:
    chance = random.Random(1)
    return [
        [
            {
                "key": f"k{i}", "unit": f"u{chance.randrange(_UNITS)}", "metric": "revenue",
                "value": chance.randrange(1, 1_000),
            }
            for i in range(start, start + _BATCH)
        ]
        for start in range(0, _OUTCOMES, _BATCH)
    ]  # fmt: skip


async def sender(url: str, waiting: list[list[dict[str, object]]], acknowledged: list[str]) -> None:
    """Send batches until none is left; send one again until it is acknowledged."""
    headers = {"content-type": "application/json"}
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        while waiting:
            batch = waiting.pop()
            body = orjson.dumps({"outcomes": batch})
            while True:
                try:
                    answer = await client.post(url, content=body, headers=headers)
                    if answer.status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.05)
            acknowledged.extend(str(one["key"]) for one in batch)


def counted(served: Recorder) -> int:
    return int(served.summary()["counters"]["outcomes"])


async def test_nothing_acknowledged_is_lost_and_nothing_counts_twice(
    url: str, tmp_path: Path
) -> None:
    with recorder(url, tmp_path) as served:
        served.register()
        entries = [(f"pepper:u{i}", arm_of(f"u{i}"), arm_of(f"u{i}")) for i in range(_UNITS)]
        assert (
            otlp.send(served, otlp.export(entries, uid=served.uid, at=time.time_ns())).status_code
            == 200
        )
        waiting = batches()
        every = [one for batch in waiting for one in batch]
        acknowledged: list[str] = []
        path = f"{served.url}{served.path}/outcomes"
        senders = [asyncio.create_task(sender(path, waiting, acknowledged)) for _ in range(8)]
        for round_ in range(_KILLS):
            part = _OUTCOMES * (round_ + 1) // (_KILLS + 2)
            await eventually(lambda: len(acknowledged) >= part, 200)  # noqa: B023 - waited for here
            served.kill()
            before = set(acknowledged)
            await asyncio.to_thread(served.start)
            assert await asyncio.to_thread(counted, served) >= len(before)
        await asyncio.gather(*senders)
        assert len(acknowledged) == _OUTCOMES
        found = served.summary()
        assert found["counters"]["outcomes"] == _OUTCOMES
        assert found["counters"]["counted"] == _OUTCOMES
        arms = found["epochs"][0]["arms"]
        total = sum(int(arm["metrics"]["revenue"]["totalMillionths"]) for arm in arms.values())
        assert total == sum(int(str(one["value"])) for one in every) * 1_000_000
        assert found["gaps"]["count"] == _KILLS
        done = served.command("recount", "shop/checkout")
        assert done.returncode == 0, done.stdout
        assert f"{_UNITS} units, {_OUTCOMES} outcomes: equal" in done.stdout

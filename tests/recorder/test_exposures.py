"""From the real Envoy with the operator's documents to the real recorder."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead_operator.traffic import documents, exposures
from fairlead_operator.traffic.split import Arm, Recorded, Split
from fairlead_runtime.contract import assignment
from tests.recorder.process import Recorder, recorder
from tests.router.asking import HEADER, SALT, a_client, a_split, ask, eventually
from tests.router.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Recorder]:
    """Run a recorder."""
    folder = tmp_path / "recorder"
    folder.mkdir()
    with recorder(f"sqlite:///{folder}/recorder.db", folder) as started:
        yield started


@pytest.fixture
async def world(tmp_path: Path, served: Recorder) -> AsyncIterator[World]:
    """Return a world whose router knows the recorder."""
    new = World(tmp_path / "world")
    await new.begin(recorder=f"recorder.test:{served.exposures_port}")
    new.names.addresses["recorder.test"] = ["127.0.0.1"]
    try:
        yield new
    finally:
        await new.end()


def recorded(split: Split, served: Recorder, epoch: int) -> Split:
    return dataclasses.replace(split, recorded=Recorded(uid=served.uid, epoch=epoch))


def register(served: Recorder, *splits: Split) -> None:
    epochs = [
        {
            "epoch": index + 1,
            "startedAt": "2026-11-24T18:00:00Z",
            "table": [{"arm": run.arm, "slots": run.slots} for run in split.table],
        }
        for index, split in enumerate(splits)
    ]
    body = {**served.definition, "salt": SALT, "epochs": epochs}
    answer = served.put(served.path, body)
    assert answer.status_code == 200, answer.text


async def visit(world: World, users: list[str]) -> None:
    """Send one request of each user."""
    async with a_client() as client:
        for user in users:
            assert (await ask(client, world.envoy.url, user)).status_code == 200


async def counters(served: Recorder) -> dict[str, int]:
    found: dict[str, int] = (await asyncio.to_thread(served.summary))["counters"]
    return found


async def until(served: Recorder, name: str, number: int) -> None:
    async def met() -> bool:
        return (await counters(served))[name] >= number

    await eventually(met, 20)


def units(summary: Any, epoch: int) -> dict[str, int]:
    arms = summary["epochs"][epoch - 1]["arms"]
    return {name: arm["units"] for name, arm in arms.items()}


def expected(users: list[str], split: Split) -> dict[str, int]:
    found = Counter(assignment.arm(split.table, SALT, user) for user in users)
    return {arm.name: found[arm.name] for arm in split.arms}


async def arms(world: World) -> tuple[Arm, Arm]:
    return await world.arm("control"), await world.arm("bigger")


async def test_every_user_is_exposed_to_the_arm_and_epoch_that_answered(
    world: World, served: Recorder
) -> None:
    control, bigger = await arms(world)
    first = recorded(a_split(control, bigger, control=5_000, bigger=5_000), served, 1)
    second = recorded(a_split(control, bigger, control=2_000, bigger=8_000), served, 2)
    register(served, first)
    await world.route(first)
    early, late = [f"u{i}" for i in range(100)], [f"v{i}" for i in range(100)]
    await visit(world, [*early, *early])
    async with a_client() as client:
        await ask(client, world.envoy.url)
        await ask(client, world.envoy.url, "")
    await until(served, "exposures", 200)
    before = await world.envoy.versions()
    register(served, first, second)
    world.envoy.write(documents.of(second))
    await world.envoy.until_live(documents.of(second), 10)
    after = await world.envoy.versions()
    assert (after.listeners, after.clusters) == (before.listeners, before.clusters)
    await visit(world, [*early, *late])
    await until(served, "exposures", 400)

    async def settled() -> bool:
        return not (await asyncio.to_thread(served.summary))["settling"]

    await eventually(settled, 20)
    summary = await asyncio.to_thread(served.summary)
    stay = [
        user
        for user in early
        if assignment.arm(first.table, SALT, user) == assignment.arm(second.table, SALT, user)
    ]
    assert 0 < len(stay) < 100
    assert units(summary, 1) == expected(stay, first)
    assert units(summary, 2) == expected(late, second)
    crossed = sum(arm["crossed"] for arm in summary["epochs"][0]["arms"].values())
    assert crossed == 100 - len(stay)
    assert summary["counters"]["refused"] == 0
    assert summary["counters"]["exposures"] == 400


async def test_answers_of_the_control_for_another_arm_are_no_exposures(
    world: World, served: Recorder
) -> None:
    control, bigger = await arms(world)
    del world.names.addresses[bigger.host]
    split = recorded(a_split(control, bigger, control=5_000, bigger=5_000), served, 1)
    register(served, split)
    await world.route(split)
    users = [f"u{i}" for i in range(60)]
    await visit(world, users)
    wanted = expected(users, split)
    await until(served, "fallbacks", wanted["bigger"])
    summary = await asyncio.to_thread(served.summary)
    assert units(summary, 1) == {"control": wanted["control"], "bigger": 0}
    assert summary["counters"]["fallbacks"] == wanted["bigger"]


async def test_odd_users_harm_no_other_entry(world: World, served: Recorder) -> None:
    control, bigger = await arms(world)
    split = recorded(a_split(control, bigger, control=5_000, bigger=5_000), served, 1)
    register(served, split)
    await world.route(split)
    odd = [b"\xff\xfe", "müller".encode(), b"a\tb", b"x" * 2_000, b'"quoted" {json}', b"50%"]
    async with a_client() as client:
        for user in [b"u1", *odd, b"u2"]:
            await client.get(f"{world.envoy.url}/v2", headers={HEADER.encode(): user})
    await until(served, "exposures", 2)

    async def all_came() -> bool:
        found = await counters(served)
        return found["exposures"] + found["refused"] == 2 + len(odd)

    await eventually(all_came, 20)
    outcome = {"key": "k", "unit": "müller", "metric": "revenue", "value": 1}
    await asyncio.to_thread(served.post, f"{served.path}/outcomes", {"outcomes": [outcome]})
    assert (await counters(served))["counted"] == 1


async def test_while_the_recorder_is_down_models_answer_and_every_lost_entry_is_counted(
    world: World, served: Recorder
) -> None:
    control, bigger = await arms(world)
    split = recorded(a_split(control, bigger, control=5_000, bigger=5_000), served, 1)
    register(served, split)
    await world.route(split)
    await visit(world, [f"a{i}" for i in range(30)])
    await until(served, "exposures", 30)
    await asyncio.to_thread(served.kill)
    await visit(world, [f"b{i}" for i in range(50)])

    async def dropped() -> bool:
        return await count(world, exposures.DROPPED) == 50

    await eventually(dropped, 20)
    await asyncio.to_thread(served.start)
    await visit(world, [f"c{i}" for i in range(20)])
    await until(served, "exposures", 50)
    assert await count(world, exposures.WRITTEN) == 50
    summary = await asyncio.to_thread(served.summary)
    assert sum(units(summary, 1).values()) == 50
    assert summary["gaps"]["count"] == 1


async def count(world: World, name: str) -> int:
    found = re.search(rf"^{name}{{}} (\d+)$", await world.envoy.statistics(), re.MULTILINE)
    return int(found[1]) if found else -1

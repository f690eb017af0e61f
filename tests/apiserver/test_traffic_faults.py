"""Killed between any two requests of any step of a split: the same end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from cluster.controlplane import ControlPlane
from tests.apiserver.api import NAMESPACE, Api
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.rig import Killed, Rig, world
from tests.apiserver.splitting import Story, split
from tests.builders import later

Prepare = Callable[[Story], Awaitable[None]]


async def wanted(story: Story) -> None:
    """A split is wanted where there is no router."""
    await story.begin()
    await split(story.api, story.namespace, None)
    await story.go(1)
    await story.kubelet.start(story.candidate)
    await split(story.api, story.namespace, {"2": 1_000})


async def router_ready(story: Story) -> None:
    await story.begin()
    await story.routers.start(story.kubelet)
    story.seconds += 1


async def settled(story: Story) -> None:
    await router_ready(story)
    await story.go()
    await split(story.api, story.namespace, {"2": 1_000})
    story.seconds += 75


async def another_weight(story: Story) -> None:
    await story.begin()
    await story.until_split(**{"2": 1_000})
    await split(story.api, story.namespace, {"2": 5_000})
    story.seconds += 1


async def won(story: Story) -> None:
    """The candidate has everything, and nobody wants a split any more."""
    await story.begin()
    await story.until_split(**{"2": 10_000})
    await split(story.api, story.namespace, None)
    story.seconds += 1


async def drained(story: Story) -> None:
    await won(story)
    await story.go()
    story.seconds += 60


STEPS: dict[str, Prepare] = {
    "the router is ready": router_ready,
    "old connections have ended": settled,
    "another weight is wanted": another_weight,
    "the winner takes the address": won,
    "the router has drained": drained,
}


@pytest.mark.parametrize("prepare", STEPS.values(), ids=STEPS)
async def test_an_operator_killed_in_a_split_comes_to_the_same_end(
    api: Api, plane: ControlPlane, namespace: str, prepare: Prepare
) -> None:
    async def story_of(rig: Rig) -> Story:
        story = Story(api, rig, Kubelet(api, rig.namespace))
        await prepare(story)
        return story

    async with await Rig.connect(plane, namespace) as calm:
        story = await story_of(calm)
        assert (await calm.run(later(story.seconds))).changed, "there is nothing to disturb"
        requests = calm.cluster.requests
        await story.go()
    expected = await world(api, namespace)
    gate = asyncio.Semaphore(6)

    async def disturbed(where: str, deaths: list[int]) -> None:
        async with gate, await Rig.connect(plane, where) as rig:
            await api.create(NAMESPACE, None, {"metadata": {"name": where}})
            story = await story_of(rig)
            for death in deaths:
                with pytest.raises(Killed):
                    await rig.run(later(story.seconds), dies_before=death)
                rig.restart()
            await story.go()
            assert await world(api, where) == expected, f"killed before request {deaths}"

    async with asyncio.TaskGroup() as group:
        for k in range(1, requests + 1):
            group.create_task(disturbed(f"{namespace}-{k}", [k]))
        group.create_task(disturbed(f"{namespace}-again", [1, 2, 1]))

"""Rollouts whose operator is killed at the first sight of each state, and in the pass after it.

Each is played twice, undisturbed and killed, in namespaces of their own; both must end alike.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from cluster.controlplane import ControlPlane
from tests.apiserver.api import Api
from tests.apiserver.rig import Killed
from tests.apiserver.rolling import SPEC, Cluster, cluster_of
from tests.rolloutends import end_of

Story = Callable[[Cluster], Awaitable[None]]


def dying(world: Cluster, states: Sequence[str], request: int) -> list[str]:
    """Kill the operator after the pass that enters a state, and before a request of the next one.

    Args:
        world: Whose passes.
        states: Values of the column STEP.
        request: Which request of the second pass is never made.

    Returns:
        A list that grows with the states in which it was killed.
    """
    ordinary, killed = world.rig.run, []

    def restart() -> None:
        world.rig.restart()
        world.since = None  # what its provider had counted died with it

    async def run(now: dt.datetime | None = None, **more: Any) -> Any:
        result = await ordinary(now, **more)
        column = await world.step()
        if column in states and column not in killed:
            killed.append(column)
            restart()
            try:
                await ordinary(now, dies_before=request)
            except Killed:
                restart()
        return result

    world.rig.run = run  # type: ignore[method-assign]
    return killed


async def until_step(world: Cluster, column: str, seconds: float = 300) -> None:
    """Let time pass until the column STEP is this."""
    for _ in range(int(seconds / 5)):
        if await world.step() == column:
            return
        await world.go(5)
    raise AssertionError(f"the step is {await world.step()!r}, not {column!r}")


async def until_rest(world: Cluster) -> None:
    """Let time pass until nothing is under way and nobody is connected to what was replaced."""
    for _ in range(30):
        if await world.phase() in ("Idle", "RolledBack"):
            break
        await world.go(5)
    for _ in range(3):
        await world.go(80)


async def promoted(world: Cluster) -> None:
    mirror = {"percent": 10, "hold": "10s"}
    await world.first(rollout={**SPEC["rollout"], "mirror": mirror})
    await world.second()
    await world.split()
    await until_step(world, "1/2 10%")
    await world.say("pause")
    await until_step(world, "1/2 10% paused")
    await world.say("resume")
    await until_rest(world)


async def rolled_back(world: Cluster) -> None:
    await world.first()
    await world.second()
    world.bad = True
    await world.split()
    await until_rest(world)


async def held(world: Cluster) -> None:
    await world.first(rollout={**SPEC["rollout"], "progressDeadline": "100s"})
    await world.second()
    world.asking = False
    await world.split()
    await until_step(world, "1/2 10% held")
    await world.say("promote")
    await until_rest(world)


STORIES: dict[str, tuple[Story, str, tuple[str, ...]]] = {
    "promoted": (
        promoted,
        "Promoted",
        (
            "validating", "starting", "shadow 10%", "1/2 10%", "1/2 10% paused", "2/2 50%",
            "promoting",
        ),
    ),
    "rolled back": (rolled_back, "GateFailed", ("1/2 10%", "rolling back", "rolled back")),
    "held": (held, "Promoted", ("1/2 10% held", "promoting")),
}  # fmt: skip


@pytest.mark.parametrize(
    "request_",
    [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(4, marks=pytest.mark.slow)],
    ids=lambda k: f"before-request-{k}",
)
@pytest.mark.parametrize("name", STORIES)
async def test_killed_in_each_state_it_comes_to_the_same_end(
    name: str, request_: int, api: Api, plane: ControlPlane, namespace: str
) -> None:
    story, outcome, states = STORIES[name]
    ends = []
    for suffix, wanted in (("", ()), ("-killed", states)):
        if suffix:
            plane.kubectl("create", "namespace", namespace + suffix)
        world, rig = await cluster_of(api, plane, namespace + suffix)
        async with rig:
            killed = dying(world, wanted, request_)
            await story(world)
            assert set(killed) == set(wanted)
            live = await world.model()
            serving = rig.revision(live["status"]["version"])
            ends.append((end_of(live), await world.children(serving)))
    assert ends[0][0]["outcome"] == outcome
    assert ends[0] == ends[1]

"""Killed between any two steps, deaf, or fed with old news: the same objects in the end."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cluster.controlplane import ControlPlane
from fairlead_operator.kube.kinds import CHILDREN, DEPLOYMENT, MODEL_DEPLOYMENT
from tests.apiserver.api import NAMESPACE, Api, a_model, until
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.rig import SETTINGS, Killed, Rig, world
from tests.apiserver.story import (
    MakeOperator,
    change,
    ready,
    revision,
    selected,
    serve,
    serving,
)
from tests.builders import NOW, later

Prepare = Callable[[Api, Rig], Awaitable[None]]


async def created(api: Api, rig: Rig) -> None:
    await api.create(MODEL_DEPLOYMENT, rig.namespace, a_model())


async def served(api: Api, rig: Rig) -> None:
    await serving(api, Kubelet(api, rig.namespace), rig)


async def candidate_ready(api: Api, rig: Rig) -> None:
    await served(api, rig)
    await change(api, rig.namespace, version="2")
    await rig.settle(later(20))
    await Kubelet(api, rig.namespace).start(rig.revision("2"))


async def drained(api: Api, rig: Rig) -> None:
    await candidate_ready(api, rig)
    await rig.settle(later(30))


async def scaled(api: Api, rig: Rig) -> None:
    await served(api, rig)
    scaling = {"maxReplicas": 5, "targetCPUPercent": 50}
    await api.merge(MODEL_DEPLOYMENT, rig.namespace, "fraud", {"spec": {"scaling": scaling}})


async def edited_back(api: Api, rig: Rig) -> None:
    """The spec asks for a revision that has not left yet."""
    await drained(api, rig)
    await change(api, rig.namespace, version="1")


STEPS = {
    "first creation": (created, 0.0),
    "a candidate takes the address": (candidate_ready, 30.0),
    "a drained revision is removed": (drained, 200.0),
    "scaling is edited": (scaled, 20.0),
    "a draining revision is asked for again": (edited_back, 40.0),
}


@pytest.mark.parametrize(("prepare", "seconds"), STEPS.values(), ids=STEPS)
async def test_an_operator_killed_between_any_two_requests_comes_to_the_same_end(
    api: Api, plane: ControlPlane, namespace: str, prepare: Prepare, seconds: float
) -> None:
    now = later(seconds)
    async with await Rig.connect(plane, namespace) as calm:
        await prepare(api, calm)
        assert (await calm.run(now)).changed, "there is nothing to disturb"
        requests = calm.cluster.requests
        await calm.settle(now)
    expected = await world(api, namespace)
    gate = asyncio.Semaphore(6)

    async def disturbed(where: str, deaths: list[int]) -> None:
        async with gate, await Rig.connect(plane, where) as rig:
            await api.create(NAMESPACE, None, {"metadata": {"name": where}})
            await prepare(api, rig)
            for death in deaths:
                with pytest.raises(Killed):
                    await rig.run(now, dies_before=death)
                rig.restart()
            await rig.settle(now)
            assert await world(api, where) == expected, f"killed before request {deaths}"

    async with asyncio.TaskGroup() as group:
        for k in range(1, requests + 1):
            group.create_task(disturbed(f"{namespace}-{k}", [k]))
        group.create_task(disturbed(f"{namespace}-again", [1, 2, 1]))


async def test_a_successor_with_other_defaults_goes_on_with_the_revision_that_was_begun(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    settings = dataclasses.replace(SETTINGS, runtime_image="runtime:2", connection_age_s=7.0)
    async with await Rig.connect(plane, namespace) as calm:
        await created(api, calm)
        await calm.run(NOW)
        requests = calm.cluster.requests
    for k in range(1, requests + 1):
        where = f"{namespace}-{k}"
        await api.create(NAMESPACE, None, {"metadata": {"name": where}})
        async with await Rig.connect(plane, where) as rig:
            await created(api, rig)
            with pytest.raises(Killed):
                await rig.run(NOW, dies_before=k)
        async with await Rig.connect(plane, where, settings) as rig:
            await rig.settle(later(5))
        [revision] = (await api.model(where))["status"]["revisions"]
        [deployment] = await api.list(DEPLOYMENT, where)
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        assert container["image"] == revision["image"], f"killed before request {k}"
        assert deployment["metadata"]["generation"] == 1


async def test_old_and_doubled_events_change_nothing(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    chance = random.Random(4)

    async def live(where: str, *, noise: bool) -> dict[str, Any]:
        await api.create(NAMESPACE, None, {"metadata": {"name": where}})
        history: list[dict[str, Any]] = []

        async def watched(rig: Rig) -> None:
            """What a watch would have brought by now, and much that it brought before."""
            seen = {item["metadata"]["uid"] for item in history}
            there: set[str] = set()
            for kind in (MODEL_DEPLOYMENT, *CHILDREN):
                for item in await api.list(kind, where):
                    item.setdefault("apiVersion", kind.api_version)
                    history.append(copy.deepcopy(item))
                    there.add(item["metadata"]["uid"])
                    rig.loop.observe(item, deleted=False)
            for item in history:
                if item["metadata"]["uid"] in seen - there:
                    rig.loop.observe(item, deleted=True)
            if noise:
                for item in chance.sample(history * 2, len(history) * 2):
                    rig.loop.observe(item, deleted=False)

        async with await Rig.connect(plane, where) as rig:
            kubelet = Kubelet(api, where)
            await rig.loop.resync()
            await created(api, rig)

            async def settle(seconds: float) -> None:
                for _ in range(4):
                    await watched(rig)
                    await rig.reconciler.run((where, "fraud"), later(seconds))

            await settle(0)
            await kubelet.start(rig.revision("1"))
            await settle(10)
            await change(api, where, version="2")
            await settle(20)
            await kubelet.start(rig.revision("2"))
            await settle(30)
            await settle(200)
            # A child that somebody removes comes back, whatever the old news say.
            await api.delete(DEPLOYMENT, where, rig.revision("2"))
            await settle(210)
            await kubelet.start(rig.revision("2"))
            await settle(220)
        return await world(api, where)

    assert await live(f"{namespace}-noise", noise=True) == await live(
        f"{namespace}-calm", noise=False
    )


async def test_an_operator_that_hears_no_event_converges_by_its_resync(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    await candidate_ready(api, rig)
    second = rig.revision("2")
    await rig.settle(later(30))
    assert await selected(api, namespace) == second


async def test_the_api_server_killed_and_restarted_in_the_middle_of_an_update(
    api: Api,
    plane: ControlPlane,
    namespace: str,
    kubelet: Kubelet,
    new_operator: MakeOperator,
) -> None:
    operator = await new_operator("--drain-seconds", "1").start()
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    first = await serve(api, namespace, kubelet)
    await change(api, namespace, version="2")
    plane.restart_apiserver()  # in this thread: the process dies with the thread that starts it
    second = await revision(api, namespace, "2")
    await kubelet.start(second)
    await ready(api, namespace, "2", within_s=60)

    kinds = [
        "ConfigMap",
        "ControllerRevision",
        "Deployment",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "Service",
        "Service",
    ]

    async def only_the_second() -> bool:
        found = [
            item
            for kind in CHILDREN
            for item in await api.list(kind, namespace, "app.kubernetes.io/managed-by=fairlead")
        ]
        names = {item["metadata"]["name"] for item in found}
        return first not in names and sorted(item["kind"] for item in found) == kinds

    await until("the second revision's objects are all that is left", only_the_second)
    assert operator.alive()


async def test_a_deletion_that_nobody_told_of_is_not_answered_with_new_children(
    api: Api, namespace: str, rig: Rig
) -> None:
    await served(api, rig)
    key = (namespace, "fraud")
    children = list(rig.cache.children(key).values())
    await api.delete(MODEL_DEPLOYMENT, namespace, "fraud")

    async def collected() -> bool:
        left = [
            item
            for kind in CHILDREN
            for item in await api.list(kind, namespace, "app.kubernetes.io/managed-by=fairlead")
        ]
        return not left

    await until("the children are collected", collected)
    for child in children:
        rig.loop.observe(child, deleted=True)
    assert rig.cache.model_deployment(key) is not None, "its own event was lost"
    before = rig.cluster.writes
    await rig.reconciler.run(key, later(20))
    assert rig.cluster.writes == before
    assert rig.cache.model_deployment(key) is None

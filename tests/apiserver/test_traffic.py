"""One address, split and direct again, with real objects; who answers is played."""

from __future__ import annotations

import dataclasses

import pytest

from cluster.controlplane import ControlPlane
from fairlead_operator.kube.errors import ForbiddenError, UnreachableError
from fairlead_operator.kube.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    MODEL_DEPLOYMENT,
)
from fairlead_operator.planning import names
from fairlead_operator.reconcile.routers import Pods
from fairlead_operator.traffic.states import Router
from tests.apiserver.api import JSON, Api, a_model, condition
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.rig import SETTINGS, Rig, world
from tests.apiserver.routers import pods_of
from tests.apiserver.splitting import ROUTER, Story, selector, split, status
from tests.apiserver.story import serving
from tests.builders import later


async def test_an_address_is_split_and_direct_again(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    story = Story(api, rig, kubelet)
    await story.begin()
    live = await status(api, namespace)
    assert (live["traffic"]["state"], live["reason"]) == ("Starting", "RouterNotReady")
    assert names.REVISION_LABEL in await selector(api, namespace)

    await story.routers.start(kubelet)
    await story.go(1)
    assert await selector(api, namespace) == {names.ROUTER_LABEL: "fraud"}
    live = await status(api, namespace)
    assert (live["traffic"]["state"], live["reason"]) == ("Settling", "Settling")
    await split(api, namespace, {"2": 1_000}, header="x-user-id", salt="s")
    await story.go(70)
    assert await story.shares() == {"stable": 10_000}, "weight before old connections ended"

    await story.go(80)
    assert await story.shares() == {"stable": 9_000, "candidate": 1_000}
    await story.go(1)
    live = await status(api, namespace)
    assert (live["weight"], live["reason"], live["candidate"]) == (10, "TrafficSplit", "2")
    assert condition(await api.model(namespace), "Available")["status"] == "True"
    assert live["traffic"]["confirmedAt"]

    await split(api, namespace, {"2": 10_000}, header="x-user-id", salt="s")
    await story.go(1)
    assert await story.shares() == {"candidate": 10_000}
    await story.go(1)
    assert (await status(api, namespace))["weight"] == 100

    await split(api, namespace, None)
    await story.go(1)
    assert (await selector(api, namespace))[names.REVISION_LABEL] == story.candidate[-8:]
    live = await status(api, namespace)
    assert (live["version"], live["traffic"]["state"]) == ("2", "Draining")
    assert condition(await api.model(namespace), "Ready")["status"] == "True"
    [old] = [each for each in live["revisions"] if each["version"] == "1"]
    assert old["state"] == "Draining"
    assert "drainUntil" not in old, "the loser must wait until nobody can need it"
    assert await api.get(AUTOSCALER, namespace, story.stable) is not None

    story.routers.connections = 1
    await story.go(60)
    assert await api.get(DEPLOYMENT, namespace, ROUTER) is not None, "it still has a client"
    story.routers.connections = 0
    await story.go(5)
    for kind in (DEPLOYMENT, CONFIG_MAP, DISRUPTION_BUDGET):
        assert await api.get(kind, namespace, ROUTER) is None
    assert not [
        each["metadata"]["name"]
        for each in await api.list(CONFIG_MAP, namespace)
        if each["metadata"]["name"].startswith(ROUTER)
    ]
    live = await status(api, namespace)
    assert "traffic" not in live
    assert await api.get(DEPLOYMENT, namespace, story.stable) is not None
    await story.go(80)
    assert await api.get(DEPLOYMENT, namespace, story.stable) is None
    assert (await status(api, namespace))["replicas"] == "1/1"


async def test_nothing_is_decided_where_routers_cannot_be_listed(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    story = Story(api, rig, kubelet)
    await story.begin()
    await story.until_split(**{"2": 5_000})
    before = await world(api, namespace)
    writes = rig.cluster.writes
    for unlisted in (True, False):
        await rig.loop.resync()

        async def no_pods(method: str, path: str) -> None:
            if path.endswith("/pods"):
                raise UnreachableError("the API server is away")

        async def no_answer(pods: Pods) -> tuple[Router, ...]:
            raise UnreachableError("the network is away")

        rig.cluster.meanwhile = no_pods if unlisted else None
        rig.routers = story.routers if unlisted else no_answer
        with pytest.raises(UnreachableError):
            await rig.reconciler.run((namespace, "fraud"), later(story.seconds + 500))
    assert rig.cluster.writes == writes
    assert await world(api, namespace) == before


async def test_a_router_that_takes_nothing_is_named_and_holds_everything_but_a_rollback(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    story = Story(api, rig, kubelet)
    await story.begin()
    await story.until_split(**{"2": 1_000})
    deaf = (await story.routers.start(kubelet))[0]
    story.routers.deaf = {deaf}
    await split(api, namespace, {"2": 2_000})
    await story.go()
    assert await story.shares() == {"stable": 8_000, "candidate": 2_000}
    assert (await status(api, namespace))["reason"] == "TrafficSplit", "it has had no time yet"
    await split(api, namespace, {"2": 5_000})
    await story.passes(6)
    live = await api.model(namespace)
    assert condition(live, "Ready")["reason"] == "RouterUnconfirmed"
    assert deaf in condition(live, "Ready")["message"]
    assert await story.shares() == {"stable": 8_000, "candidate": 2_000}
    notes = [
        pod["metadata"]["annotations"][names.ROUTER_ANNOTATION]
        for pod in await pods_of(api, namespace)
        if pod["metadata"]["name"] == deaf
    ]
    assert notes[0].endswith(".3"), "its kubelet is told again"
    await split(api, namespace, {})
    await story.passes(1)
    assert await story.shares() == {"stable": 10_000}
    story.routers.deaf = set()
    await split(api, namespace, {"2": 5_000})
    await story.passes(3)
    assert await story.shares() == {"stable": 5_000, "candidate": 5_000}


async def test_a_share_waits_for_replicas_and_the_loser_keeps_its_own(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    story = Story(api, rig, kubelet)
    await story.begin(replicas=4)
    await story.until_split(**{"2": 1_000})
    await split(api, namespace, {"2": 5_000})
    await story.go(1)
    told = condition(await api.model(namespace), "Ready")
    assert told["reason"] == "CapacityMissing"
    assert told["message"] == f"{story.candidate} has 1 of 2 ready replicas"
    assert await floor(api, namespace, story.candidate) == 2
    assert await floor(api, namespace, story.stable) == 4
    assert await story.shares() == {"stable": 9_000, "candidate": 1_000}
    await kubelet.scale(story.candidate, 2)
    await kubelet.start(story.candidate, 2)
    await story.go(1)
    assert await story.shares() == {"stable": 5_000, "candidate": 5_000}
    # The switch goes, so the candidate is to have everything: that takes all the replicas.
    await split(api, namespace, None)
    await story.go(1)
    assert await floor(api, namespace, story.candidate) == 4
    assert (await status(api, namespace))["version"] == "1"
    await kubelet.scale(story.candidate, 4)
    await kubelet.start(story.candidate, 4)
    await story.go(1)
    await story.go(1)
    live = await status(api, namespace)
    assert (live["version"], live["traffic"]["state"]) == ("2", "Draining")
    assert await floor(api, namespace, story.stable) == 4, "a rollback must land on enough"


@pytest.mark.parametrize("traffic", [None, {"state": "Flying", "since": "2026-01-01T00:00:00Z"}])
async def test_a_memory_that_is_lost_or_nonsense_is_seen_from_the_cluster(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig, traffic: JSON | None
) -> None:
    story = Story(api, rig, kubelet)
    await story.begin()
    await story.until_split(**{"2": 5_000})
    clean: JSON = {"configuration": None} if traffic else {}
    patch = {"status": {"traffic": traffic and {**traffic, **clean}}}
    await api.merge(MODEL_DEPLOYMENT, namespace, "fraud", patch, "status")
    await story.go(1)
    live = await status(api, namespace)
    assert live["traffic"]["state"] == "Settling", "the router has the address: that can be seen"
    assert await story.shares() == {"stable": 10_000}
    assert await selector(api, namespace) == {names.ROUTER_LABEL: "fraud"}
    await story.go(75)
    await story.go(1)
    assert await story.shares() == {"stable": 5_000, "candidate": 5_000}


async def test_a_router_that_is_always_there_has_no_floor_and_is_upgraded_in_place(
    api: Api, plane: ControlPlane, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    story = Story(api, rig, kubelet)
    story.stable = await serving(api, kubelet, rig)
    await kubelet.scale(story.stable, 3)
    await kubelet.start(story.stable, 3)
    patch = {"spec": {"router": "Always"}}
    await api.merge(MODEL_DEPLOYMENT, namespace, "fraud", patch)
    await story.go(1)
    await story.routers.start(kubelet)
    await story.go(1)
    await story.go(75)
    live = await status(api, namespace)
    assert (live["traffic"]["state"], live["reason"]) == ("Split", "Ready")
    assert await floor(api, namespace, story.stable) == 1
    requests = rig.cluster.writes
    await story.go(200)
    assert rig.cluster.writes == requests, "at rest nothing is written"
    before = {each["metadata"]["name"] for each in await api.list(CONFIG_MAP, namespace)}

    settings = dataclasses.replace(SETTINGS, router_image="envoy:2", connection_age_s=30.0)
    async with await Rig.connect(plane, namespace, settings) as new:
        new.routers = story.routers
        await new.settle(later(story.seconds + 1))
        router = await api.get(DEPLOYMENT, namespace, ROUTER)
        assert router is not None
        assert router["spec"]["template"]["spec"]["containers"][0]["image"] == "envoy:2"
        now = {each["metadata"]["name"] for each in await api.list(CONFIG_MAP, namespace)}
        assert before <= now, "a former router's pod may still have to start"
        assert await selector(api, namespace) == {names.ROUTER_LABEL: "fraud"}


async def test_an_object_of_somebody_else_with_the_routers_name_keeps_the_address_direct(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    data = {"a": '{"version_info": "b"}'}
    await api.create(CONFIG_MAP, namespace, {"metadata": {"name": ROUTER}, "data": data})
    story = Story(api, rig, kubelet)
    await story.begin()
    told = condition(await api.model(namespace), "Ready")
    assert told["reason"] == "NameConflict"
    assert names.REVISION_LABEL in await selector(api, namespace)
    theirs = await api.get(CONFIG_MAP, namespace, ROUTER)
    assert theirs is not None
    assert theirs["data"] == data


async def test_another_model_deployment_is_an_arm_and_keeps_the_replicas_for_it(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    story = Story(api, rig, kubelet)
    story.stable = await serving(api, kubelet, rig)
    await kubelet.scale(story.stable, 4)
    await kubelet.start(story.stable, 4)
    larger = a_model("larger")
    larger["spec"]["model"]["version"] = "L"
    await api.create(MODEL_DEPLOYMENT, namespace, larger)
    await rig.settle(later(15), name="larger")
    [entry] = (await api.model(namespace, "larger"))["status"]["revisions"]
    story.candidate = entry["name"]
    await kubelet.start(story.candidate)
    await rig.settle(later(16), name="larger")

    arms = {"modelDeployments": {"bigger": "larger"}}
    await split(api, namespace, {"bigger": 5_000}, **arms)
    await story.go()
    await story.routers.start(kubelet)
    await story.go(1)
    await story.go(75)
    live = await api.model(namespace)
    assert condition(live, "Ready")["reason"] == "CapacityMissing"
    assert live["status"]["traffic"]["floors"] == [
        {"name": story.candidate, "modelDeployment": "larger", "replicas": 2}
    ]
    await rig.settle(later(story.seconds), name="larger")
    assert await floor(api, namespace, story.candidate) == 2
    await kubelet.scale(story.candidate, 2)
    await kubelet.start(story.candidate, 2)
    await story.go(1)
    assert await story.shares() == {"stable": 5_000, "candidate": 5_000}
    live = await api.model(namespace)
    assert condition(live, "Ready")["status"] == "True"
    # What another address needs does not go, whatever the arm's own spec says meanwhile.
    change = {"spec": {"model": {"version": "M"}}}
    await api.merge(MODEL_DEPLOYMENT, namespace, "larger", change)
    await rig.settle(later(story.seconds), name="larger")
    revisions = (await api.model(namespace, "larger"))["status"]["revisions"]
    [new] = [each["name"] for each in revisions if each["version"] == "M"]
    await kubelet.scale(new, 2)
    await kubelet.start(new, 2)
    await rig.settle(later(story.seconds + 1), name="larger")
    await rig.settle(later(story.seconds + 500), name="larger")
    assert await api.get(DEPLOYMENT, namespace, story.candidate) is not None
    assert await floor(api, namespace, story.candidate) == 2


async def floor(api: Api, namespace: str, revision: str) -> int:
    """Return the fewest replicas that a revision's autoscaler keeps."""
    live = await api.get(AUTOSCALER, namespace, revision)
    assert live is not None
    found: int = live["spec"]["minReplicas"]
    return found


async def test_without_the_right_to_annotate_pods_the_lack_is_reported(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    story = Story(api, rig, kubelet)
    await story.begin()
    await story.until_split(**{"2": 1_000})

    async def forbid(method: str, path: str) -> None:
        if method == "PATCH" and "/pods/" in path:
            raise ForbiddenError("pods is forbidden: cannot patch resource", status=403)

    rig.cluster.meanwhile = forbid
    await split(api, namespace, {"2": 2_000})
    await story.passes(1)
    told = condition(await api.model(namespace), "Ready")
    assert told["reason"] == "ChildForbidden"
    assert "cannot patch" in told["message"]
    assert await story.shares() == {"stable": 8_000, "candidate": 2_000}
    rig.cluster.meanwhile = None
    await story.passes(3)
    assert condition(await api.model(namespace), "Ready")["reason"] == "TrafficSplit"

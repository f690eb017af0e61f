"""One address, split and direct again, with real objects; who answers is played."""

from __future__ import annotations

from fairlead_operator.kube.kinds import AUTOSCALER, CONFIG_MAP, DEPLOYMENT, DISRUPTION_BUDGET
from fairlead_operator.planning import names
from tests.apiserver.api import Api, condition
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.rig import Rig
from tests.apiserver.splitting import ROUTER, Story, selector, split, status


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

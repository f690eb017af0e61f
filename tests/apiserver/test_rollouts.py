"""Rollouts on a real API server: what exists, what status says, and what killing does to it.

Deployments, Jobs and their controllers are real. Only what a node would report is played: pods,
routers' taken documents, and what the pods count.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from cluster.controlplane import ControlPlane
from fairlead_operator.evidence.direct import Pods
from fairlead_operator.kube.kinds import DEPLOYMENT, JOB, MODEL_DEPLOYMENT
from fairlead_operator.reconcile.counting import Counted
from fairlead_operator.traffic.counts import Counts, Window
from tests.apiserver.api import JSON, Api, a_model, condition
from tests.apiserver.kubelet import DIGEST, Kubelet
from tests.apiserver.rig import Killed, Rig
from tests.apiserver.routers import PlayedRouters
from tests.apiserver.story import change, events, selected
from tests.builders import later
from tests.unit.rollout.rolling import some

pytestmark = pytest.mark.apiserver

STEPS = [{"weight": 10, "hold": "10s"}, {"weight": 50, "hold": "10s"}]
SPEC: dict[str, Any] = {
    "validation": {"enabled": True},
    "rollout": {"steps": STEPS, "progressDeadline": "10m"},
    "objectives": {"requestsPerSecond": 100},
}
PASSED = json.dumps(
    {
        "verdict": "Pass", "reason": "Validated", "digest": DIGEST,
        "latencyP99Micros": 3000, "latencyP99BestMicros": 2500, "throughputRps": 400,
    }
)  # fmt: skip
SLOW = json.dumps(
    {"verdict": "Fail", "reason": "TooSlow", "message": "p99 80 ms, limit 50 ms", "digest": DIGEST}
)


class Cluster:
    """One ModelDeployment, the rig that runs its passes, and time that passes when told."""

    def __init__(self, api: Api, rig: Rig, kubelet: Kubelet) -> None:
        self.api, self.rig, self.kubelet = api, rig, kubelet
        self.routers = PlayedRouters(api, rig.namespace)
        self.seconds = 0.0
        self.bad = False
        self.since: dt.datetime | None = None
        self.asked = 0
        rig.routers, rig.count = self.routers, self.count

    async def count(
        self,
        address: str,
        pods: Pods | None,
        since: dt.datetime,
        *,
        compare: bool,
        readings: str = "",
    ) -> Counted | None:
        assert address.endswith("/fraud")
        assert not compare
        if pods is None:
            self.since = None
            return None
        self.asked += 1
        if self.since is None or self.since < since:
            self.since = max(since, later(self.seconds))
        grown = int((later(self.seconds) - self.since).total_seconds() * 500)
        mine = some(grown, errors=grown // 2 if self.bad else 0)
        arms: dict[str, Counts] = {pods.keys[0]: some(grown), pods.keys[1]: mine}
        window = Window(begin=self.since, end=later(self.seconds), arms=arms)
        return Counted(window=window)

    async def go(self, seconds: float = 0.0) -> JSON:
        """Let time pass, run passes until nothing changes, and return the resource."""
        self.seconds += seconds
        for _ in range(8):
            if not (await self.rig.run(later(self.seconds))).changed:
                break
        return await self.model()

    async def model(self) -> JSON:
        return await self.api.model(self.rig.namespace)

    async def phase(self) -> str:
        return str(((await self.model())["status"].get("rollout") or {}).get("phase", "none"))

    async def first(self) -> str:
        """Serve version 1, validated; return its revision's name."""
        await self.api.create(MODEL_DEPLOYMENT, self.rig.namespace, a_model(**SPEC))
        await self.go()
        name = self.rig.revision("1")
        await self.kubelet.tries(f"{name}-validate", 0, PASSED)
        await self.go(6)
        await self.kubelet.start(name)
        await self.go(6)
        return name

    async def second(self) -> str:
        """Ask for version 2, and let its validation pass and its pods start."""
        await change(self.api, self.rig.namespace, version="2")
        await self.go(1)
        name = self.rig.revision("2")
        await self.kubelet.tries(f"{name}-validate", 0, PASSED)
        await self.go(6)
        await self.kubelet.start(name)
        await self.go(6)
        return name

    async def split(self) -> None:
        """Let the router start and connections settle: the first step is live."""
        await self.routers.start(self.kubelet)
        await self.go(1)
        await self.go(76)
        await self.go(1)
        await self.go(1)

    async def exists(self, kind: Any, name: str) -> bool:
        live = await self.api.get(kind, self.rig.namespace, name)
        return live is not None and "deletionTimestamp" not in live["metadata"]


async def cluster_of(api: Api, plane: ControlPlane, namespace: str) -> tuple[Cluster, Rig]:
    rig = await Rig.connect(plane, namespace)
    return Cluster(api, rig, Kubelet(api, namespace)), rig


async def test_a_first_deployment_is_validated_before_it_has_a_pod(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    world, rig = await cluster_of(api, plane, namespace)
    async with rig:
        await api.create(MODEL_DEPLOYMENT, namespace, a_model(**SPEC))
        live = await world.go()
        name = rig.revision("1")
        assert condition(live, "Ready")["reason"] == "Validating"
        assert live["status"]["step"] == "validating"
        assert await world.exists(JOB, f"{name}-validate")
        assert not await world.exists(DEPLOYMENT, name)
        await world.kubelet.tries(f"{name}-validate", 0, PASSED)
        live = await world.go(6)
        assert await world.exists(DEPLOYMENT, name)
        assert not await world.exists(JOB, f"{name}-validate")
        await world.kubelet.start(name)
        live = await world.go(6)
        assert condition(live, "Ready")["status"] == "True"
        [entry] = live["status"]["revisions"]
        assert (entry["throughputRps"], entry["digest"]) == (400, DIGEST)
        assert entry["sizing"].endswith("(392 requests/s of a replica x 70%) = 1 replica")
        assert [each["outcome"] for each in live["status"]["rollout"]["history"]] == ["Promoted"]


async def test_a_good_update_goes_through_its_steps_and_is_promoted(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    world, rig = await cluster_of(api, plane, namespace)
    async with rig:
        old = await world.first()
        asked = world.asked
        new = await world.second()
        assert world.asked == asked, "evidence is read before anything is judged"
        await world.split()
        live = await world.model()
        assert (live["status"]["weight"], live["status"]["step"]) == (10, "1/2 10%")
        assert await world.routers.shares() == {old: 9000, new: 1000}
        live = await world.go(5)
        assert {check["gate"]: check["verdict"] for check in live["status"]["rollout"]["checks"]
                if "verdict" in check}["Errors"] == "Pass"  # fmt: skip
        await world.go(6)
        assert await world.routers.shares() == {old: 5000, new: 5000}
        for _ in range(12):
            await world.go(5)
        live = await world.model()
        assert await selected(api, namespace) == new
        assert condition(live, "Ready")["status"] == "True"
        assert [each["outcome"] for each in live["status"]["rollout"]["history"]] == [
            "Promoted", "Promoted",
        ]  # fmt: skip
        asked = world.asked
        await world.go(60)
        assert world.asked == asked, "nobody is judged, and somebody is asked"
        told = [reason for _, reason in await events(api, namespace)]
        for reason in ("Validated", "StepStarted", "ChecksChanged", "Promoting", "Promoted"):
            assert reason in told


async def test_a_failing_update_is_rolled_back_and_stays_so(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    world, rig = await cluster_of(api, plane, namespace)
    async with rig:
        old = await world.first()
        new = await world.second()
        await world.split()
        world.bad = True
        began = world.seconds
        for _ in range(6):
            await world.go(2.5)
            if (await world.routers.shares()).get(new, 0) == 0:
                break
        assert world.seconds - began <= 5, "the traffic is still there"
        for _ in range(30):
            await world.go(5)
        live = await world.model()
        ready, available = condition(live, "Ready"), condition(live, "Available")
        assert (ready["status"], ready["reason"]) == ("False", "RolledBack")
        assert condition(live, "Stalled")["status"] == "True"
        assert available["status"] == "True"
        assert "Errors: 50%, limit 1%" in ready["message"]
        assert await selected(api, namespace) == old
        assert not await world.exists(DEPLOYMENT, new)
        # Somebody scales: a new generation with the same revision changes nothing.
        await api.merge(
            MODEL_DEPLOYMENT, namespace, "fraud", {"spec": {"scaling": {"minReplicas": 2}}}
        )
        live = await world.go(5)
        assert live["status"]["observedGeneration"] == live["metadata"]["generation"]
        assert condition(live, "Ready")["reason"] == "RolledBack"
        assert ("Warning", "GateFailed") in await events(api, namespace)
        note = {
            "metadata": {"annotations": {"fairlead.dev/retry": live["status"]["rollout"]["hash"]}}
        }
        await api.merge(MODEL_DEPLOYMENT, namespace, "fraud", note)
        world.bad = False
        live = await world.go(1)
        assert live["status"]["lastAction"]["result"] == "retried from validation on"
        assert await world.phase() == "Validating"


async def test_a_model_that_validation_refuses_never_gets_a_pod(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    world, rig = await cluster_of(api, plane, namespace)
    async with rig:
        old = await world.first()
        await change(api, namespace, version="2")
        await world.go(1)
        name = rig.revision("2")
        await world.kubelet.tries(f"{name}-validate", 2, SLOW)
        live = await world.go(6)
        assert condition(live, "Ready")["reason"] == "ValidationFailed"
        assert "p99 80 ms, limit 50 ms" in condition(live, "Ready")["message"]
        assert not await world.exists(DEPLOYMENT, name)
        assert await world.exists(JOB, f"{name}-validate"), "its logs are gone"
        assert await selected(api, namespace) == old
        await change(api, namespace, version="1")
        await world.go(1)
        assert not await world.exists(JOB, f"{name}-validate")


async def test_an_outage_of_the_validation_is_tried_again_with_another_job(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    world, rig = await cluster_of(api, plane, namespace)
    async with rig:
        await world.first()
        await change(api, namespace, version="2")
        await world.go(1)
        name = f"{rig.revision('2')}-validate"
        before = await api.get(JOB, namespace, name)
        await world.kubelet.tries(name, 137, "", reason="OOMKilled")
        live = await world.go(6)
        assert condition(live, "Ready")["reason"] == "ValidationRetrying"
        assert condition(live, "Stalled")["status"] == "False"
        await world.go(11)
        await world.go(1)
        after = await api.get(JOB, namespace, name)
        assert before is not None
        assert after is not None
        assert after["metadata"]["uid"] != before["metadata"]["uid"]
        await world.kubelet.tries(name, 0, PASSED)
        await world.go(6)
        assert await world.phase() == "Starting"


async def test_an_operator_killed_in_any_state_comes_to_the_same_end(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    """Every third pass is cut off before one of its requests, another one each time."""
    world, rig = await cluster_of(api, plane, namespace)
    async with rig:
        ordinary, turn = rig.run, 0

        async def dying(now: dt.datetime | None = None, **more: Any) -> Any:
            nonlocal turn
            turn += 1
            if turn % 3:
                return await ordinary(now, **more)
            try:
                await ordinary(now, dies_before=1 + turn // 3 % 9)
            except Killed:
                rig.restart()
                world.since = None  # what its provider had counted died with it
            return await ordinary(now, **more)

        rig.run = dying  # type: ignore[method-assign]
        await world.first()
        new = await world.second()
        await world.split()
        for _ in range(40):
            await world.go(5)
            if await selected_or_none(api, namespace) == new:
                break
        await world.go(60)
        live = await world.model()
        assert await selected(api, namespace) == new
        assert [each["outcome"] for each in live["status"]["rollout"]["history"]] == [
            "Promoted", "Promoted",
        ]  # fmt: skip


async def selected_or_none(api: Api, namespace: str) -> str | None:
    try:
        return await selected(api, namespace)
    except KeyError:
        return None  # the router has the address

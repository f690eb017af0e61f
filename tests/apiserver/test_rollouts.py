"""Rollouts on a real API server: what exists, what status says, and what killing does to it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from cluster.controlplane import ControlPlane
from fairlead_operator.kube.kinds import DEPLOYMENT, JOB, MODEL_DEPLOYMENT, SERVICE
from tests.apiserver.api import Api, a_model, condition
from tests.apiserver.kubelet import DIGEST
from tests.apiserver.rig import Killed
from tests.apiserver.rolling import PASSED, SLOW, SPEC, cluster_of, selected_or_none
from tests.apiserver.story import change, events, selected

pytestmark = pytest.mark.apiserver


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
        for reason in ("Validated", "StepStarted", "CheckChanged", "Promoting", "Promoted"):
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


async def test_evidence_that_cannot_be_asked_for_holds_and_says_so(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    world, rig = await cluster_of(api, plane, namespace)
    async with rig:
        await world.first()
        await world.second()
        await world.split()
        await world.go(5)
        world.trouble = "http://prometheus:9090 cannot be asked: no route to host"
        live = await world.go(40)
        assert (live["status"]["step"], live["status"]["weight"]) == ("1/2 10%", 10)
        ready = condition(live, "Ready")
        assert ready["reason"] == "RolloutProgressing"
        assert "Stale at all gates: the last counts are " in ready["message"]
        assert world.trouble in ready["message"]
        counted = rig.metrics.registry.get_sample_value(
            "fairlead_operator_errors_total", {"reason": "PrometheusError"}
        )
        assert counted is not None
        assert counted >= 1
        live = await world.go(600)
        assert (live["status"]["step"], condition(live, "Ready")["reason"]) == (
            "1/2 10% held", "RolloutHeld",
        )  # fmt: skip
        world.trouble = ""
        live = await world.go(5)
        assert live["status"]["step"].startswith("2/2 50%")


async def test_successive_canaries_leave_nothing_of_each_other(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    """Whoever sends requests to the address sees one and the same Service, and nothing piles up."""
    world, rig = await cluster_of(api, plane, namespace)
    async with rig:
        serves = await world.first()
        made, address = await world.children(serves), await api.get(SERVICE, namespace, "fraud")
        before = await world.model()
        for version, bad in (("2", True), ("3", False), ("4", True)):
            world.bad = bad
            name = await world.candidate(version)
            await world.split()
            for _ in range(12):
                await world.go(5)
            for _ in range(3):
                await world.go(80)  # connections end, and pods with them
            serves = serves if bad else name
            assert await world.phase() == ("RolledBack" if bad else "Idle")
            assert await selected(api, namespace) == serves
            assert await world.children(serves) == made
        after, live = await api.get(SERVICE, namespace, "fraud"), await world.model()
        assert address is not None
        assert after is not None
        assert after["metadata"]["uid"] == address["metadata"]["uid"]
        for field in ("clusterIP", "ports", "type"):
            assert after["spec"][field] == address["spec"][field]
        assert live["spec"] == {
            **before["spec"],
            "model": {**before["spec"]["model"], "version": "4"},
        }
        for field in ("labels", "annotations", "finalizers"):
            assert live["metadata"].get(field) == before["metadata"].get(field)


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

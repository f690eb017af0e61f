"""Rollouts on a real API server: replicas by share and objective, users that stay, lost stables."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cluster.controlplane import ControlPlane
from cluster.paths import ClusterError
from fairlead_operator.kube.kinds import AUTOSCALER, MODEL_DEPLOYMENT
from fairlead_runtime.contract.assignment import SLOTS
from tests.apiserver.api import Api, condition, until
from tests.apiserver.rolling import PASSED, Cluster, cluster_of, selected_or_none
from tests.apiserver.story import events, selected

pytestmark = pytest.mark.apiserver

STEPS = [{"weight": weight, "hold": "10s"} for weight in (5, 25, 50)]
SLOWER = json.dumps({**json.loads(PASSED), "throughputRps": 200})
ROLLOUT = {"steps": STEPS, "progressDeadline": "10m"}


async def least(world: Cluster, revision: str) -> int:
    """Return the fewest replicas that a revision's autoscaler is told to keep."""
    live = await world.api.get(AUTOSCALER, world.rig.namespace, revision)
    assert live is not None
    return int(live["spec"]["minReplicas"])


async def scaled(world: Cluster, revision: str, replicas: int) -> None:
    """Do what the autoscaler does for a revision, and let its pods start."""
    await world.kubelet.scale(revision, replicas)
    await world.kubelet.start(revision, replicas)


async def canary_of_ten(world: Cluster) -> tuple[str, str]:
    """Serve version 1 by ten replicas, and have version 2 ready for its first step.

    Returns:
        The names of both revisions.
    """
    old = await world.first(scaling={"minReplicas": 1, "maxReplicas": 20}, rollout=ROLLOUT)
    await scaled(world, old, 10)
    await world.go(1)
    return old, await world.second()


async def passes(world: Cluster, count: int = 4) -> None:
    """Let some looks pass."""
    for _ in range(count):
        await world.go(5)


async def test_a_canary_of_ten_replicas_has_its_share_of_them_before_each_step(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    world, rig = await cluster_of(api, plane, namespace)
    async with rig:
        old, new = await canary_of_ten(world)
        assert await least(world, new) == 1
        await world.split()
        assert await world.routers.shares() == {old: 9500, new: 500}
        for before, share, needed in ((500, 2500, 3), (2500, 5000, 5), (5000, 10_000, 10)):
            await passes(world)
            assert await world.routers.shares() == {old: SLOTS - before, new: before}
            assert condition(await world.model(), "Ready")["reason"] == "CapacityMissing"
            assert (await least(world, old), await least(world, new)) == (10, needed)
            await scaled(world, new, needed - 1)
            await passes(world, 1)
            assert (await world.routers.shares())[new] == before, "one replica too few"
            await scaled(world, new, needed)
            await world.go(1)
            if share < SLOTS:
                assert (await world.routers.shares())[new] == share
        await passes(world)
        assert await selected(api, namespace) == new
        assert await world.outcomes() == ["Promoted", "Promoted"]


async def test_a_failing_canary_leaves_the_stable_as_many_as_it_had(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    world, rig = await cluster_of(api, plane, namespace)
    async with rig:
        old, new = await canary_of_ten(world)
        await world.split()
        await passes(world)
        await scaled(world, new, 3)
        await world.go(1)
        world.bad = True
        await passes(world, 2)
        assert (await world.routers.shares()).get(new, 0) == 0
        assert await least(world, old) == 10


async def test_the_objectives_say_how_many_replicas_there_are_at_least(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    world, rig = await cluster_of(api, plane, namespace)
    async with rig:
        # 400/s of the model alone are 392/s of a replica: 1000 / (392 x 70 %) = 3.6
        old = await world.first(
            scaling={"minReplicas": 1, "maxReplicas": 8},
            objectives={"requestsPerSecond": 1000},
            rollout=ROLLOUT,
        )
        assert await least(world, old) == 4
        await scaled(world, old, 4)
        await world.go(1)
        new = await world.candidate("2", report=SLOWER)
        await world.split()
        assert await least(world, new) == 1, "a twentieth of the traffic"
        for replicas in (2, 4):
            await passes(world)
            await scaled(world, new, replicas)
        await passes(world)
        # It replaces four, and needs 1000 / (198 x 70 %) = 7.2.
        assert await least(world, new) == 8
        await scaled(world, new, 4)
        await passes(world)
        assert (await world.routers.shares())[old] == 5000, "it is as many as the stable, too few"
        await scaled(world, new, 8)
        await passes(world)
        assert await selected(api, namespace) == new


async def test_objectives_beyond_the_most_replicas_hold_a_candidate_while_the_stable_serves(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    world, rig = await cluster_of(api, plane, namespace)
    async with rig:
        old = await world.first(
            scaling={"minReplicas": 1, "maxReplicas": 4},
            objectives={"requestsPerSecond": 1000},
            rollout=ROLLOUT,
        )
        await world.candidate("2", report=SLOWER)
        await passes(world)
        live = await world.model()
        ready = condition(live, "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "ObjectivesUnreachable")
        assert "= 8 replicas, and maxReplicas is 4" in ready["message"]
        assert condition(live, "Available")["status"] == "True"
        assert await selected(api, namespace) == old
        await api.merge(
            MODEL_DEPLOYMENT, namespace, "fraud", {"spec": {"scaling": {"maxReplicas": 8}}}
        )
        await passes(world, 1)
        assert await world.phase() == "Step"


async def test_whoever_is_in_the_canary_stays_in_it_while_it_grows(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    world, rig = await cluster_of(api, plane, namespace)
    async with rig:
        sticky = {**ROLLOUT, "assignment": {"header": "x-user-id"}}
        await world.first(rollout=sticky)
        new = await world.second()
        await world.split()
        salt = (await world.model())["status"]["rollout"]["hash"]
        seen: list[set[int]] = []
        for _ in range(40):
            live = await world.model()
            if live["status"]["rollout"]["phase"] == "Idle":
                break
            split = live["status"]["traffic"]["configuration"]
            users = slots_of(split, new)
            if not seen or users != seen[-1]:
                seen.append(users)
                assert (split["header"], split["salt"]) == ("x-user-id", salt)
                rig.restart()  # the next operator knows no more than status
                world.since = None
            await world.go(5)
        assert [len(users) for users in seen] == [500, 2500, 5000]  # then everybody
        assert all(fewer <= more for fewer, more in itertools.pairwise(seen))


async def test_a_canary_takes_everything_where_the_stable_has_lost_all_its_replicas(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    world, rig = await cluster_of(api, plane, namespace)
    async with rig:
        old, new = await canary_of_ten(world)
        await world.split()
        await world.kubelet.crashes(old, "Killed", exit_code=137, reason="OOMKilled")
        await world.go(5)
        assert (await world.routers.shares())[new] == 500, "a moment is no reason"
        await passes(world, 8)
        assert await selected(api, namespace) == new
        assert ("Warning", "StableGone") in await events(api, namespace)


async def test_a_service_that_may_not_be_written_promotes_nobody(
    api: Api, plane: ControlPlane, namespace: str
) -> None:
    world, rig = await cluster_of(api, plane, namespace)
    async with rig:
        old = await world.first()
        new = await world.second()
        await world.split()
        async with frozen_services(plane, namespace):
            await passes(world, 12)
            live = await world.model()
            assert await world.phase() == "Promoting"
            assert await world.outcomes() == ["Promoted"], "only the first version"
            assert condition(live, "Ready")["status"] == "False"
            assert live["status"]["version"] == "1"
            assert await world.routers.shares() == {new: SLOTS}
            told = [reason for _, reason in await events(api, namespace)]
            assert told.count("Promoted") == 1
        for _ in range(20):
            await world.go(5)
            if await selected_or_none(api, namespace) is not None:
                break
            await asyncio.sleep(0.2)  # a policy is in force for a moment after its end
        assert await selected(api, namespace) == new != old
        assert await world.outcomes() == ["Promoted", "Promoted"]


def slots_of(split: dict[str, Any], revision: str) -> set[int]:
    """Return the slots of a revision in a split as status has it."""
    mine = {arm["name"] for arm in split["arms"] if arm["key"] == revision}
    found: set[int] = set()
    begin = 0
    for run in split["table"]:
        if run["arm"] in mine:
            found |= set(range(begin, begin + run["slots"]))
        begin += run["slots"]
    return found


@contextlib.asynccontextmanager
async def frozen_services(plane: ControlPlane, namespace: str) -> AsyncIterator[None]:
    """Let the API server refuse every change of a Service's selector in a namespace."""
    policy = json.dumps(a_policy(namespace))
    plane.kubectl("apply", "-f", "-", stdin=policy)
    selector = json.dumps({"spec": {"selector": {"app": "another"}}})
    patch = ("patch", "service", "fraud", "-n", namespace, "--dry-run=server", "-p", selector)

    async def in_force() -> bool:
        try:
            plane.kubectl(*patch)
        except ClusterError as error:
            return "selectors are frozen" in str(error)
        return False

    try:
        await until("the policy is in force", in_force)
        yield
    finally:
        plane.kubectl("delete", "-f", "-", stdin=policy)


def a_policy(namespace: str) -> dict[str, Any]:
    """Return a policy, and its binding, by which no Service of a namespace may be changed."""
    name = f"frozen-{namespace}"
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [""], "apiVersions": ["v1"], "resources": ["services"],
                        "operations": ["UPDATE"],
                    }
                ]
            },
            "validations": [
                {"expression": "object.spec.selector == oldObject.spec.selector",
                 "message": "selectors are frozen"}
            ],
        },
    }  # fmt: skip
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
            },
        },
    }
    return {"apiVersion": "v1", "kind": "List", "items": [policy, binding]}

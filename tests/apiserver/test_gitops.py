"""What GitOps tools see: states for their health checks, and no difference from what Git says."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from cluster.controlplane import ControlPlane
from fairlead_operator.evidence.direct import Pods
from fairlead_operator.kube.kinds import EXPERIMENT, MODEL_DEPLOYMENT
from fairlead_operator.reconcile.counting import Counted
from fairlead_operator.traffic.counts import Counts, Window
from tests.apiserver.album import keep
from tests.apiserver.api import JSON, Api, a_model, condition
from tests.apiserver.experimenting import INPUTS, Trial, an_experiment, one_in
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.rig import Rig
from tests.apiserver.rolling import PASSED, SLOW, SPEC, Cluster
from tests.apiserver.story import change, selected
from tests.builders import later
from tests.unit.rollout.rolling import some

pytestmark = pytest.mark.apiserver


@pytest.fixture
async def world(api: Api, rig: Rig, kubelet: Kubelet) -> Cluster:
    """Return a ModelDeployment to be rolled out."""
    return Cluster(api, rig, kubelet)


async def say(world: Cluster, verb: str) -> None:
    """Annotate as Argo CD's actions do."""
    live = await world.model()
    value = f"{live['status']['rollout']['hash']}/{live['metadata']['resourceVersion']}"
    note = {"metadata": {"annotations": {f"fairlead.dev/{verb}": value}}}
    await world.api.merge(MODEL_DEPLOYMENT, world.rig.namespace, "fraud", note)


async def nothing_counted(
    address: str, pods: Pods | None, since: dt.datetime, *, compare: bool, readings: str = ""
) -> Counted | None:
    """Stand where nobody asks either arm."""
    assert not compare, address
    if pods is None:
        return None
    none = some(0)
    return Counted(window=Window(begin=since, end=since, arms=dict.fromkeys(pods.keys[:2], none)))


async def test_the_states_of_a_rollout_that_people_steer(world: Cluster, namespace: str) -> None:
    await world.api.create(MODEL_DEPLOYMENT, namespace, a_model("other"))
    keep("unseen", await world.api.model(namespace, "other"))
    await world.first()
    keep("healthy", await world.model())
    await change(world.api, namespace, version="2")
    keep("stale", await world.model())
    keep("validating", await world.go(1))
    name = world.rig.revision("2")
    await world.kubelet.tries(f"{name}-validate", 137, "", reason="OOMKilled")
    keep("validation-retrying", await world.go(6))
    await say(world, "retry")
    await world.go(1)
    await world.go(1)
    await world.kubelet.tries(f"{name}-validate", 0, PASSED)
    keep("starting", await world.go(6))
    await world.kubelet.start(name)
    keep("router-starting", await world.go(6))
    await world.split()
    keep("step", await world.model())
    await say(world, "pause")
    keep("paused", await world.go(1))
    await say(world, "resume")
    await world.go(1)
    assert (await world.model())["status"]["lastAction"]["result"] == "resumed"
    await paused(world, namespace, value=True)
    keep("paused-by-spec", await world.go(1))
    await paused(world, namespace, value=False)
    world.rig.count = nothing_counted
    await world.go(1)
    keep("held", await world.go(700))
    await say(world, "promote")
    await world.rig.run(later(world.seconds))  # one pass: a second one has promoted it
    keep("promoting", await world.model())
    for _ in range(60):
        await world.go(5)
    keep("promoted", await world.model())


async def paused(world: Cluster, namespace: str, *, value: bool) -> None:
    patch = {"spec": {"rollout": {"paused": value}}}
    await world.api.merge(MODEL_DEPLOYMENT, namespace, "fraud", patch)


async def test_the_states_of_a_rollout_that_fails_and_of_one_that_is_aborted(
    world: Cluster, namespace: str
) -> None:
    await world.first()
    await world.second()
    await world.split()
    world.bad = True
    for _ in range(20):
        world.seconds += 1
        await world.rig.run(later(world.seconds))  # one pass: a second one has rolled it back
        if await world.phase() == "RollingBack":
            break
    keep("rolling-back", await world.model())
    for _ in range(30):
        await world.go(5)
    keep("rolled-back", await world.model())
    scaling = {"spec": {"scaling": {"minReplicas": 2}}}
    await world.api.merge(MODEL_DEPLOYMENT, namespace, "fraud", scaling)
    keep("rolled-back-stale", await world.model())
    await world.go(5)
    world.bad = False
    await change(world.api, namespace, version="3")
    await world.go(1)
    await say(world, "abort")
    await world.go(1)
    for _ in range(10):
        await world.go(5)
    keep("aborted", await world.model())


async def test_the_state_of_a_model_that_validation_refuses(world: Cluster, namespace: str) -> None:
    await world.first()
    await change(world.api, namespace, version="2")
    await world.go(1)
    await world.kubelet.tries(f"{world.rig.revision('2')}-validate", 2, SLOW)
    keep("validation-failed", await world.go(6))


async def test_the_states_of_an_experiment_with_a_winner(trial: Trial) -> None:
    await trial.create()
    keep("unseen", await trial.live())
    await trial.rig.experiment(later(20))
    keep("pending", await trial.live())
    await trial.serve("ranker", "ranker-large")
    await trial.go()
    keep("starting", await trial.live())
    await trial.routers.start(trial.kubelet)
    await trial.go()
    await trial.go(76)
    keep("running", await trial.live())
    newer = {"spec": {"model": {"version": "2"}}}
    await trial.api.merge(MODEL_DEPLOYMENT, trial.namespace, "ranker-large", newer)
    await trial.go()
    await trial.go(30)
    keep("pinned", await trial.api.model(trial.namespace, "ranker-large"))
    await trial.expose()
    await trial.report(lambda user, arm: one_in(2 if arm == "bigger" else 10, user))
    await trial.go(61)
    keep("decided", await trial.live())
    await trial.change(stopped=True)
    keep("stale", await trial.live())
    await trial.go(61)
    keep("stopped", await trial.live())


async def test_the_state_of_an_experiment_whose_users_get_lost(trial: Trial) -> None:
    await trial.until_running()
    arms = await trial.arms()
    lost = {user for user, arm in arms.items() if arm == "bigger" and one_in(3, user)}
    await trial.expose([user for user in arms if user not in lost])
    await trial.go(61)
    keep("ratio-mismatch", await trial.live())


async def test_the_state_of_an_experiment_whose_guardrail_is_breached(trial: Trial) -> None:
    trial.rig.window = Window(begin=later(97), end=later(97))
    await trial.until_running(guardrails=[{"metric": "error", "maxBasisPoints": 100}])
    stable, arm = await trial.revision("ranker"), await trial.revision("ranker-large")
    trial.rig.window = Window(
        begin=later(97),
        end=later(trial.seconds + 5),
        arms={stable: Counts(requests=40), arm: Counts(requests=40, errors=30)},
    )
    await trial.go(5)
    keep("guardrail-breached", await trial.live())


def manifest(kind: str, body: JSON) -> str:
    """Return a resource as it is in Git: nothing but what people wrote."""
    return json.dumps({"apiVersion": "fairlead.dev/v1alpha1", "kind": kind, **body})


class Git:
    """A folder of manifests, applied as one of the tools does it."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path, *, server: bool) -> None:
        self._plane, self._namespace, self._folder = plane, namespace, folder
        self._how = ("--server-side", "--field-manager=git") if server else ()

    def commit(self, kind: str, body: JSON) -> None:
        """Write a resource and apply the whole folder."""
        path = self._folder / f"{kind}-{body['metadata']['name']}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(manifest(kind, body))
        self._kubectl("apply", *self._how, "-f", str(self._folder))

    def difference(self) -> str:
        """Return what applying the same again would change, by a dry run on the server."""
        before = self._all()
        self._kubectl("apply", *self._how, "--dry-run=server", "-f", str(self._folder))
        assert self._all() == before, "a dry run that is none"
        # Ends with 1 where there is a difference, which raises.
        return self._kubectl("diff", *self._how, "-f", str(self._folder))

    def _all(self) -> Any:
        return json.loads(self._kubectl("get", "fairlead", "-o", "json"))["items"]

    def _kubectl(self, *args: str) -> str:
        return self._plane.kubectl("-n", self._namespace, *args)


@pytest.fixture(params=[True, False], ids=["server-side", "client-side"])
def git(request: pytest.FixtureRequest, plane: ControlPlane, namespace: str, tmp_path: Path) -> Git:
    """Return a folder of manifests, applied by the server or by kubectl alone."""
    return Git(plane, namespace, tmp_path / "git", server=request.param)


async def test_after_a_rollout_the_cluster_does_not_differ_from_git(
    world: Cluster, namespace: str, git: Git
) -> None:
    body = a_model(**SPEC)
    git.commit("ModelDeployment", body)
    await world.go()
    name = world.rig.revision("1")
    await world.kubelet.tries(f"{name}-validate", 0, PASSED)
    await world.go(6)
    await world.kubelet.start(name)
    await world.go(6)
    assert git.difference() == ""
    body["spec"]["model"]["version"] = "2"
    git.commit("ModelDeployment", body)
    await world.go(1)
    name = world.rig.revision("2")
    await world.kubelet.tries(f"{name}-validate", 0, PASSED)
    await world.go(6)
    await world.kubelet.start(name)
    await world.go(6)
    await world.split()
    assert git.difference() == "", "with traffic split"
    await say(world, "promote")
    for _ in range(60):
        await world.go(5)
    live = await world.model()
    assert condition(live, "Ready")["status"] == "True"
    assert await selected(world.api, namespace) == name
    assert git.difference() == "", "not what people said by annotation either"


async def test_after_an_experiment_the_cluster_does_not_differ_from_git(
    trial: Trial, git: Git
) -> None:
    for name in ("ranker", "ranker-large"):
        git.commit("ModelDeployment", a_model(name))
        await trial.rig.settle(later(0), name=name)
        await trial.kubelet.start(await trial.revision(name))
        await trial.rig.settle(later(10), name=name)
        trial.rig.inputs[name] = INPUTS
    body = an_experiment()
    git.commit("Experiment", body)
    await trial.go()
    await trial.routers.start(trial.kubelet)
    await trial.go()
    await trial.go(76)
    assert git.difference() == "", "while it runs"
    await trial.expose()
    await trial.report(lambda user, arm: one_in(2 if arm == "bigger" else 10, user))
    assert (await trial.go(61))["reason"] == "Decided"
    assert git.difference() == ""
    body["spec"]["stopped"] = True
    git.commit("Experiment", body)
    assert (await trial.go(61))["reason"] == "Stopped"
    assert git.difference() == ""
    live = await trial.api.get(EXPERIMENT, trial.namespace, "checkout")
    assert live is not None
    assert set(live["spec"]) >= set(body["spec"])

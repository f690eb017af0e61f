"""A broken update leaves the old version serving and says why; an outage is no crash."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from fairlead_operator.kube.kinds import DEPLOYMENT, MODEL_DEPLOYMENT
from tests.apiserver.api import LIMIT_RANGE, QUOTA, Api, a_model, condition, until
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.rig import Rig
from tests.apiserver.story import MakeOperator, change, events, reason_is, selected, serve, serving
from tests.builders import NOW, later

Break = Callable[[Kubelet, str], Awaitable[None]]


def fetch(reason: str, message: str, exit_code: int) -> Break:
    return lambda kubelet, name: kubelet.fetch_fails(name, reason, message, exit_code=exit_code)


BROKEN: dict[str, tuple[Break, str, str, bool]] = {
    "digest mismatch": (
        fetch("DigestMismatch", "the model has digest sha256:b, but sha256:c is demanded", 2),
        "DigestMismatch",
        "but sha256:c is demanded",
        True,
    ),
    "no ONNX at all": (
        fetch("InvalidModel", "the file is an HTML page, not an ONNX model", 2),
        "InvalidModel",
        "an HTML page",
        True,
    ),
    "invalid ONNX at load": (
        lambda kubelet, name: kubelet.crashes(
            name, '{"reason": "InvalidModel", "message": "no such operator: Foo"}', exit_code=2
        ),
        "InvalidModel",
        "no such operator: Foo",
        True,
    ),
    "crash": (
        lambda kubelet, name: kubelet.crashes(
            name, "Traceback (most recent call last):\n  File x\nRuntimeError: no GPU\n"
        ),
        "Crashed",
        "exited with status 1: RuntimeError: no GPU",
        False,
    ),
    "out of memory": (
        lambda kubelet, name: kubelet.crashes(name, "", exit_code=137, reason="OOMKilled"),
        "OutOfMemory",
        "raise spec.runtime.resources.limits.memory",
        False,
    ),
    "image pull": (
        lambda kubelet, name: kubelet.waits(
            name, "ImagePullBackOff", 'Back-off pulling image "x:9": ErrImagePull: not found'
        ),
        "ImagePullFailed",
        "cannot be pulled: not found",
        False,
    ),
    "unschedulable": (
        lambda kubelet, name: kubelet.cannot_schedule(
            name, "0/3 nodes are available: 3 Insufficient memory."
        ),
        "Unschedulable",
        "3 Insufficient memory",
        False,
    ),
    "missing ConfigMap": (
        lambda kubelet, name: kubelet.cannot_mount(
            name, 'MountVolume.SetUp failed for volume "source" : configmap "m" not found'
        ),
        "VolumeMountFailed",
        'configmap "m" not found',
        False,
    ),
    "missing Secret": (
        lambda kubelet, name: kubelet.waits(
            name, "CreateContainerConfigError", 'secret "s" not found'
        ),
        "ContainerConfigInvalid",
        'secret "s" not found',
        False,
    ),
    "download refused": (
        fetch("DownloadRefused", "https://models/m answers 403: check the credentials", 1),
        "DownloadRefused",
        "answers 403",
        False,
    ),
    "404": (
        fetch("SourceNotFound", "https://models/m answers 404: there is no model", 1),
        "SourceNotFound",
        "answers 404",
        False,
    ),
    "unreachable": (
        fetch("DownloadFailed", "https://models/m cannot be downloaded: timed out", 1),
        "DownloadFailed",
        "timed out",
        False,
    ),
}


@pytest.mark.parametrize(
    ("breaks", "reason", "words", "stalled"), BROKEN.values(), ids=list(BROKEN)
)
async def test_a_broken_update_leaves_the_old_version_serving_and_says_why(
    api: Api,
    namespace: str,
    kubelet: Kubelet,
    rig: Rig,
    breaks: Break,
    reason: str,
    words: str,
    stalled: bool,
) -> None:
    first = await serving(api, kubelet, rig)
    await change(api, namespace, version="2")
    await rig.settle(later(20))
    second = rig.revision("2")
    await breaks(kubelet, second)
    result = await rig.run(later(30))
    assert result.requeue_after_s is not None, "what may mend itself is looked at again"
    await rig.settle(later(600))
    live = await api.model(namespace)
    ready = condition(live, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", reason)
    assert words in ready["message"]
    assert ready["message"].endswith("version 1 goes on serving")
    assert condition(live, "Stalled")["status"] == str(stalled)
    assert condition(live, "Reconciling")["status"] == str(not stalled)
    assert condition(live, "Available")["status"] == "True"
    assert live["status"]["observedGeneration"] == live["metadata"]["generation"]
    assert await selected(api, namespace) == first
    assert await api.get(DEPLOYMENT, namespace, first) is not None
    warnings = [each for each in await events(api, namespace) if each[0] == "Warning"]
    assert warnings == [("Warning", reason)]
    await change(api, namespace, version="1")
    await rig.settle(later(610))
    live = await api.model(namespace)
    assert condition(live, "Ready")["status"] == "True"
    assert condition(live, "Stalled")["status"] == "False"
    assert await api.get(DEPLOYMENT, namespace, second) is None


async def test_pods_that_crash_after_they_served_are_told_as_well(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    first = await serving(api, kubelet, rig)
    await kubelet.crashes(first, "Segmentation fault", exit_code=139)
    await rig.settle(later(20))
    live = await api.model(namespace)
    assert condition(live, "Ready")["reason"] == "Crashed"
    assert condition(live, "Reconciling")["status"] == "True"
    assert condition(live, "Available")["status"] == "False"
    assert condition(live, "Available")["lastTransitionTime"] == later(20).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    await kubelet.start(first)
    await rig.settle(later(30))
    live = await api.model(namespace)
    assert condition(live, "Ready")["status"] == "True"
    assert condition(live, "Available")["status"] == "True"


async def test_a_missing_secret_is_a_condition_and_an_event_and_no_crash_of_the_operator(
    api: Api, namespace: str, kubelet: Kubelet, new_operator: MakeOperator
) -> None:
    operator = await new_operator().start()
    made = a_model()
    made["spec"]["model"]["secretName"] = "credentials"
    await api.create(MODEL_DEPLOYMENT, namespace, made)
    live = await reason_is(api, namespace, "Progressing")
    name = live["status"]["revisions"][0]["name"]
    await kubelet.cannot_mount(
        name, 'MountVolume.SetUp failed for volume "secret" : secret "credentials" not found'
    )
    live = await reason_is(api, namespace, "VolumeMountFailed")
    assert 'secret "credentials" not found' in condition(live, "Ready")["message"]

    async def posted() -> bool:
        return ("Warning", "VolumeMountFailed") in await events(api, namespace)

    await until("an Event", posted)
    await serve(api, namespace, kubelet)
    assert operator.alive()
    assert not operator.errors()


async def test_a_quota_that_refuses_children_is_told_and_healed(
    api: Api, namespace: str, rig: Rig
) -> None:
    await _quota(api, namespace, {"count/deployments.apps": "0"})
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    await rig.settle(NOW)
    live = await api.model(namespace)
    ready = condition(live, "Ready")
    assert ready["reason"] == "ChildForbidden"
    assert "exceeded quota" in ready["message"]
    assert ("Warning", "ChildForbidden") in await events(api, namespace)
    assert await selected(api, namespace) == rig.revision("1"), "all else is made"
    await api.delete(QUOTA, namespace, "tight")
    await rig.settle(later(60))
    assert condition(await api.model(namespace), "Ready")["reason"] == "Progressing"


async def test_an_abandoned_candidate_makes_room_for_its_successor_under_a_tight_quota(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    await rig.settle(NOW)
    await kubelet.start(rig.revision("1"))
    await rig.settle(later(10))
    await change(api, namespace, version="2")
    await rig.settle(later(20))
    await _quota(api, namespace, {"count/deployments.apps": "2"})
    await change(api, namespace, version="3")
    await rig.run(later(30))
    third = rig.revision("3")

    async def freed() -> bool:
        quota = await api.get(QUOTA, namespace, "tight")
        return quota is not None and quota["status"]["used"]["count/deployments.apps"] == "1"

    await until("the quota counts the abandoned candidate no more", freed)
    await rig.settle(later(60))
    assert await api.get(DEPLOYMENT, namespace, third) is not None


@pytest.mark.parametrize("how", ["quota", "limit range"])
async def test_pods_that_admission_refuses_are_told(
    api: Api, namespace: str, rig: Rig, how: str
) -> None:
    if how == "quota":
        await _quota(api, namespace, {"pods": "0"})
    else:
        limit = {"type": "Container", "max": {"cpu": "5m"}}
        body = {"metadata": {"name": "tight"}, "spec": {"limits": [limit]}}
        await api.create(LIMIT_RANGE, namespace, body)
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    await rig.settle(NOW)
    name = rig.revision("1")

    async def refused() -> bool:
        live = await api.get(DEPLOYMENT, namespace, name)
        conditions = ((live or {}).get("status") or {}).get("conditions") or ()
        return any(c["type"] == "ReplicaFailure" for c in conditions)

    await until("the Deployment says that its pods are refused", refused)
    await rig.settle(later(10))
    ready = condition(await api.model(namespace), "Ready")
    assert ready["reason"] == "PodsRefused"
    assert "exceeded quota" in ready["message"] or "cpu limit of 5m" in ready["message"]
    assert name not in ready["message"].removeprefix(f"revision {name}"), "a generated pod name"


async def _quota(api: Api, namespace: str, hard: dict[str, str]) -> None:
    await api.create(QUOTA, namespace, {"metadata": {"name": "tight"}, "spec": {"hard": hard}})

    async def counted() -> bool:
        live = await api.get(QUOTA, namespace, "tight")
        return live is not None and "used" in (live.get("status") or {})

    await until("the quota is in force", counted)

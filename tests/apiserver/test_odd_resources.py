"""Resources that this version of the operator would not have admitted."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fairlead_operator.kube.kinds import CHILDREN, DEPLOYMENT, MODEL_DEPLOYMENT
from tests.apiserver.api import CRD, JSON, Api, RefusedError, a_model, condition, until
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.rig import Rig
from tests.apiserver.story import MakeOperator, ready, reason_is, serve, serving
from tests.builders import NOW, later

_NAME = "modeldeployments.fairlead.dev"


@contextlib.asynccontextmanager
async def another_schema(
    api: Api, namespace: str, edit: Callable[[JSON], None], proof: JSON
) -> AsyncIterator[None]:
    """Another version's CRD for a while; `proof` is a resource that only that one admits."""

    async def install(spec: JSON) -> None:
        live = await api.get(CRD, None, _NAME)
        assert live is not None
        await api.replace(CRD, None, _NAME, {**live, "spec": spec})

    async def admitted() -> bool:
        try:
            await api.create(
                MODEL_DEPLOYMENT, namespace, proof, dryRun="All", fieldValidation="Strict"
            )
        except RefusedError:
            return False
        return True

    async def refused() -> bool:
        return not await admitted()

    before = await api.get(CRD, None, _NAME)
    assert before is not None
    spec = copy.deepcopy(before["spec"])
    edit(spec["versions"][0]["schema"]["openAPIV3Schema"])
    await install(spec)
    try:
        await until("the other schema is in force", admitted)
        yield
    finally:
        await install(before["spec"])
        await until("our schema is in force", refused)


def anything(schema: JSON) -> None:
    """Admit whatever comes."""
    schema.pop("x-kubernetes-validations")
    keep = {"x-kubernetes-preserve-unknown-fields": True}
    schema["properties"]["spec"] = keep


async def test_a_resource_of_a_newer_version_is_served_by_what_is_known_of_it(
    api: Api, namespace: str, kubelet: Kubelet, new_operator: MakeOperator
) -> None:
    def newer(schema: JSON) -> None:
        keep = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        schema["properties"]["spec"]["properties"]["rollout"] = keep
        schema["properties"]["spec"]["properties"]["model"]["properties"]["kind"] = {
            "type": "string"
        }
        schema["properties"]["status"]["properties"]["verdict"] = {"type": "string"}

    made = a_model(rollout={"steps": [{"weight": 10}], "paused": False})
    made["spec"]["model"]["kind"] = "classifier"
    operator = await new_operator().start()
    async with another_schema(api, namespace, newer, made):
        await api.create(MODEL_DEPLOYMENT, namespace, made)
        await serve(api, namespace, kubelet)
        live = await api.model(namespace)
        assert live["spec"]["rollout"] == made["spec"]["rollout"]
        assert live["spec"]["model"]["kind"] == "classifier"
    await ready(api, namespace)
    assert operator.alive()
    assert not operator.errors()


ODD: dict[str, tuple[Any, str]] = {
    "no model": ({}, "spec.model.uri: Field required"),
    "a text for a number": (
        {"model": {"uri": "file:///m"}, "scaling": {"minReplicas": "many"}},
        "spec.scaling.minReplicas: ",
    ),
    "a list for an object": ({"model": ["file:///m"]}, "spec.model: "),
    "not even an object": ("file:///m", "spec: an object is needed"),
}


@pytest.mark.parametrize(("spec", "words"), ODD.values(), ids=ODD)
async def test_a_stored_resource_that_makes_no_sense_is_told_so_and_stops_nothing_else(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig, spec: Any, words: str
) -> None:
    odd = {"metadata": {"name": "odd"}, "spec": spec}
    async with another_schema(api, namespace, anything, odd):
        await api.create(MODEL_DEPLOYMENT, namespace, odd)
        await api.create(MODEL_DEPLOYMENT, namespace, a_model())
        await rig.settle(NOW, name="odd")
        live = await api.model(namespace, "odd")
        assert condition(live, "Ready")["reason"] == "InvalidSpec"
        assert condition(live, "Ready")["message"].startswith(words)
        assert condition(live, "Stalled")["status"] == "True"
        assert condition(live, "Available")["status"] == "False"
        await rig.settle(NOW)
        await kubelet.start(rig.revision("1"))
        await rig.settle(later(10))
        assert condition(await api.model(namespace), "Ready")["status"] == "True"
        await api.delete(MODEL_DEPLOYMENT, namespace, "odd")


async def test_a_spec_that_has_come_to_make_no_sense_keeps_what_serves(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    name = await serving(api, kubelet, rig)
    odd = a_model("odd", scaling={"minReplicas": "many"})
    async with another_schema(api, namespace, anything, odd):
        await api.merge(
            MODEL_DEPLOYMENT, namespace, "fraud", {"spec": {"scaling": {"minReplicas": "many"}}}
        )
        await rig.settle(later(20))
        live = await api.model(namespace)
        assert condition(live, "Ready")["reason"] == "InvalidSpec"
        assert condition(live, "Available")["status"] == "True"
        assert await api.get(DEPLOYMENT, namespace, name) is not None
        await api.merge(MODEL_DEPLOYMENT, namespace, "fraud", {"spec": {"scaling": None}})
        await rig.settle(later(30))
    assert condition(await api.model(namespace), "Ready")["status"] == "True"


UNREADABLE: dict[str, Any] = {
    "quantity": {"resources": {"limits": {"cpu": "a lot"}}},
    "toleration": {"tolerations": [{"key": 5}]},
    "affinity": {"affinity": {"nodeAffinity": "everywhere"}},
    "reference": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": ["s", "k"]}}]},
    "unknown field": {"affinity": {"noAffinity": {}}},
}


@pytest.mark.parametrize("runtime", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_cannot_be_put_into_a_pod_is_told_in_the_words_of_who_refuses_it(
    api: Api, namespace: str, rig: Rig, runtime: Any
) -> None:
    odd = a_model(runtime=runtime, scaling={"minReplicas": "one"})
    async with another_schema(api, namespace, anything, odd):
        await api.create(MODEL_DEPLOYMENT, namespace, a_model(runtime=runtime))
        await rig.settle(NOW)
        live = await api.model(namespace)
        assert condition(live, "Ready")["reason"] == "ChildInvalid"
        assert "Deployment fraud-" in condition(live, "Ready")["message"]
        assert condition(live, "Stalled")["status"] == "True"


async def test_a_metric_that_the_api_server_refuses_is_told_in_its_words(
    api: Api, namespace: str, new_operator: MakeOperator
) -> None:
    await new_operator().start()
    made = a_model(scaling={"metrics": [{"type": "Resource", "resource": {"name": "cpu"}}]})
    await api.create(MODEL_DEPLOYMENT, namespace, made)
    live = await reason_is(api, namespace, "ChildInvalid")
    assert "refuses HorizontalPodAutoscaler" in condition(live, "Ready")["message"]
    assert "target" in condition(live, "Ready")["message"]
    await api.merge(MODEL_DEPLOYMENT, namespace, "fraud", {"spec": {"scaling": {"metrics": None}}})
    await reason_is(api, namespace, "Progressing")


async def test_a_successor_of_the_same_name_waits_for_the_children_of_its_predecessor(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    await rig.settle(NOW)
    held = {"metadata": {"finalizers": ["example.com/hold"]}}
    name = rig.revision("1")
    await api.merge(DEPLOYMENT, namespace, name, held)
    await api.delete(MODEL_DEPLOYMENT, namespace, "fraud")
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    await rig.run(later(10))
    live = await api.model(namespace)
    assert condition(live, "Ready")["reason"] == "FormerObjectGoing"
    assert "waits until the former" in condition(live, "Ready")["message"]

    async def going() -> bool:
        left = await api.get(DEPLOYMENT, namespace, name)
        return left is not None and "deletionTimestamp" in left["metadata"]

    await until("the predecessor's Deployment is to go", going)
    await rig.run(later(20))
    await api.merge(DEPLOYMENT, namespace, name, {"metadata": {"finalizers": None}})

    async def settled() -> bool:
        await rig.run(later(30))
        found = {kind.kind: await api.list(kind, namespace) for kind in CHILDREN}
        uid = (await api.model(namespace))["metadata"]["uid"]
        mine = [
            item
            for items in found.values()
            for item in items
            if any(o["uid"] == uid for o in item["metadata"].get("ownerReferences") or ())
        ]
        return len(mine) == 6

    await until("the successor has all its children", settled)
    await kubelet.start(name)
    await rig.settle(later(40))
    assert condition(await api.model(namespace), "Ready")["status"] == "True"

"""What others own stays theirs; what is ours and was made once stays as it was made."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from cluster.controlplane import ControlPlane
from fairlead_operator.kube.errors import ConflictError
from fairlead_operator.kube.kinds import AUTOSCALER, DEPLOYMENT, MODEL_DEPLOYMENT, POD, SERVICE
from fairlead_operator.planning import podtemplate
from fairlead_operator.rollout import manifests as manifests_module
from tests.apiserver.api import REPLICA_SET, Api, a_model, condition, until
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.rig import SETTINGS, Rig
from tests.apiserver.story import MakeOperator, change, events, reason_is, serve, serving
from tests.builders import NOW, later


async def test_replicas_of_the_autoscaler_and_foreign_labels_and_ports_stay(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    name = await serving(api, kubelet, rig)
    await kubelet.scale(name, 3)
    theirs = {"metadata": {"labels": {"team": "risk"}, "annotations": {"note": "mine"}}}
    await api.merge(DEPLOYMENT, namespace, name, theirs)
    await api.merge(SERVICE, namespace, "fraud", theirs)
    service = await api.get(SERVICE, namespace, "fraud")
    assert service is not None
    ports = [*service["spec"]["ports"], {"name": "admin", "port": 9999, "targetPort": 9999}]
    await api.merge(SERVICE, namespace, "fraud", {"spec": {"ports": ports}})
    for kind, child in ((DEPLOYMENT, name), (SERVICE, "fraud"), (AUTOSCALER, name)):
        # and something of ours is spoilt, so that there is a reason to write
        await api.merge(
            kind, namespace, child, {"metadata": {"labels": {"fairlead.dev/model-deployment": "x"}}}
        )
    await rig.settle(later(20))
    for kind, child in ((DEPLOYMENT, name), (SERVICE, "fraud")):
        live = await api.get(kind, namespace, child)
        assert live is not None
        labels = live["metadata"]["labels"]
        assert labels["team"] == "risk"
        assert labels["fairlead.dev/model-deployment"] == "fraud"
        assert live["metadata"]["annotations"]["note"] == "mine"
        if kind is DEPLOYMENT:
            assert live["spec"]["replicas"] == 3
            applied = [m for m in live["metadata"]["managedFields"] if m["manager"] == "fairlead"]
            assert "f:replicas" not in applied[0]["fieldsV1"]["f:spec"]
        else:
            assert {port["port"] for port in live["spec"]["ports"]} == {80, 9000, 9999}
    assert not (await rig.run(later(21))).changed


async def test_a_foreign_service_of_the_same_name_is_not_touched(
    api: Api, namespace: str, kubelet: Kubelet, new_operator: MakeOperator
) -> None:
    foreign = {
        "metadata": {"name": "fraud", "labels": {"app": "theirs"}},
        "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 443}]},
    }
    before = await api.create(SERVICE, namespace, foreign)
    operator = await new_operator().start()
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    live = await reason_is(api, namespace, "NameConflict")
    assert condition(live, "Stalled")["status"] == "True"
    assert "Service fraud exists and is not ours" in condition(live, "Ready")["message"]
    await kubelet.start(live["status"]["revisions"][0]["name"])

    async def looked_again() -> bool:
        found = await api.model(namespace)
        return bool(found["status"]["revisions"][0].get("digest"))

    await until("a pass with a ready pod", looked_again)
    live = await api.model(namespace)
    available = condition(live, "Available")
    assert (available["status"], available["reason"]) == ("False", "NameConflict")
    assert live["status"]["revisions"][0]["state"] == "Progressing"
    assert await api.get(SERVICE, namespace, "fraud") == before
    assert ("Warning", "NameConflict") in await events(api, namespace)
    await api.delete(SERVICE, namespace, "fraud")
    live = await reason_is(api, namespace, "Ready")
    assert condition(live, "Available")["status"] == "True"
    assert operator.metrics()['fairlead_operator_errors_total{reason="NameConflict"}'] >= 1


async def test_a_foreign_service_that_takes_the_name_of_the_address_stops_a_rollout(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    first = await serving(api, kubelet, rig)
    await api.delete(SERVICE, namespace, "fraud")
    foreign = {"metadata": {"name": "fraud"}, "spec": {"ports": [{"port": 443}]}}
    await api.create(SERVICE, namespace, foreign)
    await change(api, namespace, version="2")
    await rig.settle(later(20))
    await kubelet.start(rig.revision("2"))
    for seconds in (30, 40, 300):
        await rig.settle(later(seconds))
    live = await api.model(namespace)
    assert {r["version"]: r["state"] for r in live["status"]["revisions"]} == {
        "1": "Active",
        "2": "Progressing",
    }
    assert await api.get(DEPLOYMENT, namespace, first) is not None, "nobody has left the address"
    await api.delete(SERVICE, namespace, "fraud")
    await rig.settle(later(310))
    assert condition(await api.model(namespace), "Ready")["status"] == "True"


@pytest.mark.parametrize("known", [False, True], ids=["first", "after ours was removed"])
async def test_a_foreign_service_made_in_the_very_moment_is_not_taken_over(
    api: Api, namespace: str, rig: Rig, known: bool
) -> None:
    foreign = {
        "metadata": {"name": "fraud"},
        "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 443}]},
    }
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    if known:
        await rig.settle(NOW)
        await api.merge(SERVICE, namespace, "fraud", {"spec": {"selector": {"spoilt": "yes"}}})

    async def quick(method: str, path: str) -> None:
        if method == "PATCH" and path.endswith("/services/fraud"):
            rig.cluster.meanwhile = None
            if known:
                await api.delete(SERVICE, namespace, "fraud")
            await api.create(SERVICE, namespace, foreign)

    rig.cluster.meanwhile = quick
    with pytest.raises(ConflictError):
        await rig.run(NOW)
    theirs = await api.get(SERVICE, namespace, "fraud")
    assert theirs is not None
    assert theirs["spec"]["selector"] == {"app": "theirs"}
    await rig.reconciler.run((namespace, "fraud"), later(5))
    assert condition(await api.model(namespace), "Ready")["reason"] == "NameConflict"
    assert await api.get(SERVICE, namespace, "fraud") == theirs


async def test_a_new_operator_with_other_defaults_restarts_no_pod(
    api: Api,
    plane: ControlPlane,
    namespace: str,
    kubelet: Kubelet,
    new_operator: MakeOperator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = await new_operator().start()
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    name = await serve(api, namespace, kubelet)
    assert old.stop() == 0

    async def running() -> list[str]:
        pods = await api.list(POD, namespace)
        sets = await api.list(REPLICA_SET, namespace)
        return sorted(item["metadata"]["uid"] for item in (*pods, *sets))

    before = await running()
    new = await new_operator(
        "--runtime-image", "fairlead/runtime:2", "--connection-age-seconds", "7",
        "--resync-seconds", "0.5",
    ).start()  # fmt: skip
    counted = 'fairlead_operator_passes_total{outcome="unchanged"}'

    async def looked() -> bool:
        return new.metrics().get(counted, 0) >= 3

    await until("three passes of the new operator", looked)
    assert await running() == before
    assert new.stop() == 0

    # A later version, whose pods look otherwise.
    original = podtemplate.pod_template

    def other(**given: Any) -> dict[str, Any]:
        template = original(**given)
        template["metadata"]["annotations"]["fairlead.dev/new"] = "yes"
        template["spec"]["containers"][0]["args"].append("--new-flag")
        return template

    monkeypatch.setattr(manifests_module, "pod_template", other)
    settings = dataclasses.replace(SETTINGS, runtime_image="fairlead/runtime:3")
    async with await Rig.connect(plane, namespace, settings) as rig:
        await rig.settle()
        await change(api, namespace, version="2")
        await rig.settle()
        second = rig.revision("2")
        made = await api.get(DEPLOYMENT, namespace, second)
        assert made is not None
        container = made["spec"]["template"]["spec"]["containers"][0]
        assert container["image"] == "fairlead/runtime:3"
        assert "--new-flag" in container["args"]
    still = [u for u in await running() if u in before]
    assert still == before
    live = await api.get(DEPLOYMENT, namespace, name)
    assert live is not None
    assert live["metadata"]["generation"] == 1

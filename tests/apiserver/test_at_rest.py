"""Steady state costs nothing: no write but the Lease, and few while only numbers change."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from cluster.controlplane import ControlPlane
from fairlead_operator.kube.kinds import DEPLOYMENT, MODEL_DEPLOYMENT
from tests.apiserver.api import Api, a_model, until
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.process import OperatorProcess, user
from tests.apiserver.rig import Rig
from tests.apiserver.story import MakeOperator, events, reason_is, serve
from tests.builders import NOW, later

_WRITES = ("create", "update", "patch", "delete", "deletecollection")


def requests(plane: ControlPlane, namespace: str, *, since: int = 0) -> list[dict[str, Any]]:
    """Return what the operator of a namespace asked of the API server."""
    found = []
    with plane.audit_log.open() as lines:
        lines.seek(since)
        for line in lines:
            entry = json.loads(line)
            if entry["user"]["username"] == user(namespace):
                found.append(entry)
    return found


def writes(plane: ControlPlane, namespace: str, *, since: int = 0) -> list[tuple[str, str]]:
    return [
        (entry["verb"], entry["objectRef"]["resource"])
        for entry in requests(plane, namespace, since=since)
        if entry["verb"] in _WRITES
    ]


async def resyncs(operator: OperatorProcess, more: int) -> None:
    name = 'fairlead_operator_resyncs_total{outcome="ok"}'
    before = operator.metrics()[name]

    async def done() -> bool:
        return operator.metrics()[name] >= before + more

    await until(f"{more} more resyncs", done)


async def test_at_rest_the_only_writes_are_the_leases(
    api: Api, plane: ControlPlane, namespace: str, kubelet: Kubelet, new_operator: MakeOperator
) -> None:
    # At rest nobody asks a Prometheus, so that nobody notices that it is away.
    operator = await new_operator(
        "--resync-seconds", "0.5", "--prometheus-url", "http://127.0.0.1:1"
    ).start()
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    broken = a_model("broken")
    broken["spec"]["model"]["version"] = "b"
    await api.create(MODEL_DEPLOYMENT, namespace, broken)
    await serve(api, namespace, kubelet)
    live = await api.model(namespace, "broken")
    name = live["status"]["revisions"][0]["name"]
    await kubelet.fetch_fails(name, "DigestMismatch", "the model has other bytes", exit_code=2)
    await reason_is(api, namespace, "DigestMismatch", "broken")
    await resyncs(operator, 2)
    size = plane.audit_log.stat().st_size
    passes = operator.metrics()['fairlead_operator_passes_total{outcome="unchanged"}']
    await resyncs(operator, 6)
    assert operator.metrics()['fairlead_operator_passes_total{outcome="unchanged"}'] >= passes + 10
    assert set(writes(plane, namespace, since=size)) <= {("update", "leases")}
    refused = [e for e in requests(plane, namespace) if e["responseStatus"]["code"] == 403]
    assert not refused, "the role in process.py lacks a right"


async def test_a_first_creation_costs_its_children_two_status_writes_and_three_events(
    api: Api, plane: ControlPlane, namespace: str, kubelet: Kubelet, new_operator: MakeOperator
) -> None:
    operator = await new_operator("--resync-seconds", "1").start()
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    await serve(api, namespace, kubelet)
    await resyncs(operator, 2)
    found = sorted(each for each in writes(plane, namespace) if each[1] != "leases")
    assert found == [
        ("create", "events"),
        ("create", "events"),
        ("create", "events"),
        ("patch", "configmaps"),
        ("patch", "controllerrevisions"),
        ("patch", "deployments"),
        ("patch", "horizontalpodautoscalers"),
        ("patch", "modeldeployments"),
        ("patch", "modeldeployments"),
        ("patch", "poddisruptionbudgets"),
        ("patch", "services"),
        ("patch", "services"),
    ]
    assert await events(api, namespace) == [
        ("Normal", "RevisionCreated"),
        ("Normal", "AddressMoved"),
        ("Normal", "Ready"),
    ]


async def test_ten_minutes_of_steady_traffic_cost_at_most_twelve_status_writes(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    await rig.settle(NOW)
    name = rig.revision("1")
    await kubelet.start(name)
    await rig.settle(NOW)
    chance = random.Random(1)
    before = rig.cluster.writes
    version = 10**15  # newer than anything that a watch brings
    key = (namespace, "fraud")
    for second in range(0, 600, 3):
        live = copy.deepcopy(rig.cache.children(key)[(DEPLOYMENT.kind, name)])
        replicas = chance.randint(2, 9)
        version += 1
        live["metadata"]["resourceVersion"] = str(version)
        live["spec"]["replicas"] = replicas
        live["status"]["readyReplicas"] = chance.randint(1, replicas)
        rig.cache.observe(live)
        await rig.reconciler.run(key, later(second))
    written = rig.cluster.writes - before
    assert 8 <= written <= 12, "numbers are written, but not with each change"
    shown = await api.model(namespace)
    assert shown["status"]["replicas"] != "1/1"


async def test_a_message_that_changes_with_each_look_costs_no_event_and_few_writes(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    await rig.settle(NOW)
    name = rig.revision("1")
    await kubelet.waits(name, "ErrImagePull", "dial tcp 10.0.0.1:4711: connection refused")
    await rig.settle(later(10))
    before = rig.cluster.writes
    for number in range(30):
        text = f"dial tcp 10.0.0.1:{4712 + number}: connection refused"
        await kubelet.waits(name, "ErrImagePull", text)
        await rig.run(later(11 + number))
    assert rig.cluster.writes == before
    await rig.run(later(90))
    assert rig.cluster.writes == before + 1
    warnings = [each for each in await events(api, namespace) if each[0] == "Warning"]
    assert warnings == [("Warning", "ImagePullFailed")]


async def test_waiting_for_a_pod_that_does_not_come_costs_nothing(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    await rig.settle(NOW)
    await kubelet.some_pods(rig.revision("1"))
    await rig.settle(later(60))  # tells the replicas that the Deployment has got since
    before = rig.cluster.writes
    for minutes in range(2, 20):
        await rig.run(later(60 * minutes))
    assert rig.cluster.writes == before


async def test_what_the_api_server_writes_in_other_words_is_no_reason_to_write(
    api: Api, namespace: str, rig: Rig
) -> None:
    target = {"type": "Value", "value": "1000m"}
    external = {"metric": {"name": "queue", "selector": {}}, "target": target}
    memory = {"type": "AverageValue", "averageValue": "1024Mi"}
    made = a_model(
        runtime={
            "resources": {
                "requests": {"cpu": "0.5", "memory": "1024Mi"},
                "limits": {"cpu": 2, "memory": 2147483648, "nvidia.com/gpu": 1},
            },
            "env": [
                {"name": "EMPTY", "value": ""},
                {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            ],
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"key": "gpu", "operator": "Exists", "value": ""}],
            "affinity": {
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {"weight": 1, "podAffinityTerm": {"topologyKey": "zone"}}
                    ]
                }
            },
        },
        scaling={
            "minReplicas": 2,
            "metrics": [
                {"type": "Resource", "resource": {"name": "memory", "target": memory}},
                {"type": "External", "external": external},
            ],
            "behavior": {
                "scaleDown": {
                    "stabilizationWindowSeconds": 0,
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
                }
            },
        },
    )
    await api.create(MODEL_DEPLOYMENT, namespace, made)
    assert (await rig.run(NOW)).changed
    assert (await api.model(namespace))["status"]["reason"] == "Progressing"
    assert not (await rig.run(NOW)).changed

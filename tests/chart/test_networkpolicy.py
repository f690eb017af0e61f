"""Who may talk to whom: the chart's policies and the operator's, put together and computed."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from fairlead_operator.planning import names, network
from fairlead_operator.planning.children import Children
from tests.builders import a_resource
from tests.chart.rendering import Document, of_kind, operator_args, render
from tests.networkpolicies import Pod, reaches

_SHA = "0" * 64
_SHOP = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
_ALL = {
    "clientsFrom[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name": "shop",
    "metricsFrom[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name": "monitoring",
    "recorderFrom[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name": "shop",
}
_PODS = {
    "client": Pod("shop", {"role": "shop"}),
    "prometheus": Pod("monitoring", {"app": "prometheus"}),
    "stranger": Pod("elsewhere", {"app": "any"}),
    "neighbour": Pod("team", {"app": "any"}),
    "outside": Pod.outside(),
}
_PORTS = {
    "operator": (8081, 9090),
    "recorder": (8080, 4318),
    "model": (8080, 9000, 9002),
    "router": (8080, 9000, 9902),
    "validation": (8080,),
    "test": (80,),
    "outside": (53, 443, 5432, 6443, 8443),
}
_EVERYWHERE = {("outside", 53)}
_API = {("outside", 443), ("outside", 6443)}
_EXPECTED: dict[str, set[tuple[str, int]]] = {
    "operator": {
        ("recorder", 8080), ("model", 8080), ("model", 9000), ("model", 9002), ("router", 9902),
        *_API, *_EVERYWHERE,
    },
    "recorder": _EVERYWHERE | _API,
    "model": _EVERYWHERE | {("outside", 443)},
    "router": {("model", 8080), ("model", 9000), ("recorder", 4318)} | _EVERYWHERE,
    "validation": _EVERYWHERE | {("outside", 443)},
    "test": {("operator", 8081)} | _EVERYWHERE,
    "client": {("operator", 8081), ("recorder", 8080)}
    | {(pod, port) for pod in ("model", "router") for port in (8080, 9000)},
    "prometheus": {("operator", 8081), ("operator", 9090), ("model", 9002), ("router", 9902)},
    "stranger": {("operator", 8081)},
    "neighbour": {("operator", 8081)},
    "outside": {("operator", 8081)},
}  # fmt: skip
"""Who reaches what where clients and scrapers are named; the operator's health is for anybody."""


def _documents(*settings: str) -> list[Document]:
    flags = [word for setting in settings for word in ("--set", setting)]
    return render("--set", "networkPolicy.enabled=true,recorder.enabled=true", *flags)


def _named() -> list[str]:
    return [f"networkPolicy.{key}={value}" for key, value in _ALL.items()]


def _told(documents: list[Document]) -> network.Policies:
    """Return what the chart tells the operator."""
    flag = "--network-policies="
    (text,) = [arg.removeprefix(flag) for arg in operator_args(documents) if arg.startswith(flag)]
    policies = network.parse(text)
    assert policies is not None
    return policies


def _operators(policies: network.Policies, *, routed: bool = True) -> list[Document]:
    """Return what the operator makes for one ModelDeployment."""
    children = Children(a_resource())
    uris = ["https://models.example/fraud/1/model.onnx", "s3://models/fraud/2"]
    return children.policies(
        policies, uris, recorder="recorder.any.svc:4318", predictions="", routed=routed
    )


def _pods(documents: list[Document]) -> dict[str, Pod]:
    def of_chart(document: Document, template: Document) -> Pod:
        ports = {
            port["name"]: port["containerPort"]
            for port in template["spec"]["containers"][0].get("ports", ())
        }
        return Pod(document["metadata"]["namespace"], template["metadata"]["labels"], ports)

    (deployment,) = of_kind(documents, "Deployment")
    (recorder,) = of_kind(documents, "StatefulSet")
    (test,) = of_kind(documents, "Pod")
    return {
        **_PODS,
        "operator": of_chart(deployment, deployment["spec"]["template"]),
        "recorder": of_chart(recorder, recorder["spec"]["template"]),
        "test": of_chart(test, test),
        "model": Pod("team", names.labels("fraud", _SHA)),
        "router": Pod("team", names.router_labels("fraud")),
        "validation": Pod("team", names.validation_labels("fraud", _SHA)),
    }


def _reached(documents: list[Document]) -> dict[str, set[tuple[str, int]]]:
    policies = of_kind(documents, "NetworkPolicy") + _operators(_told(documents))
    pods = _pods(documents)
    found: dict[str, set[tuple[str, int]]] = {name: set() for name in pods}
    for (source, a), (target, b) in itertools.product(pods.items(), repeat=2):
        for port in _PORTS.get(target, ()):
            if source != target and reaches(policies, a, b, port):
                found[source].add((target, port))
    return found


def test_who_is_named_reaches_what_he_needs_and_nobody_reaches_more() -> None:
    found = _reached(_documents(*_named()))
    outside = {name: {each for each in found[name] if each[0] != "outside"} for name in _PODS}
    # Where our pods are not concerned, these policies say nothing.
    assert outside == {name: _EXPECTED[name] for name in _PODS}
    assert {name: found[name] for name in found if name not in _PODS} == {
        name: reached for name, reached in _EXPECTED.items() if name not in _PODS
    }


def test_without_names_anybody_may_ask_for_predictions_and_nobody_for_metrics() -> None:
    found = _reached(_documents())
    for name in ("client", "stranger", "neighbour", "outside"):
        assert {("model", 8080), ("model", 9000), ("router", 8080)} <= found[name]
        assert not found[name] & {("model", 9002), ("router", 9902), ("operator", 9090)}
    assert {("model", 9002), ("router", 9902)} <= found["operator"]


@pytest.mark.parametrize(
    ("uris", "ports"),
    [
        (["pvc://claim/m.onnx", "configmap://fraud/m.onnx", "file:///m.onnx"], set()),
        (["http://models.example:8443/m.onnx"], {8443}),
        (["http://models.example/m.onnx", "https://models.example/m.onnx"], {80, 443}),
        (["gs://models/m.onnx", "az://models/m.onnx"], {443}),
    ],
    ids=str,
)
def test_a_model_reaches_where_it_comes_from(uris: list[str], ports: set[int]) -> None:
    found = Children(a_resource()).policies(
        network.Policies(), uris, recorder=None, predictions="", routed=False
    )
    for labels in (names.labels("fraud", _SHA), names.validation_labels("fraud", _SHA)):
        pod = Pod("team", labels)
        reached = {
            port for port in (53, 80, 443, 8080, 8443) if reaches(found, pod, Pod.outside(), port)
        }
        assert reached == ports | {53}
        assert reaches(found, pod, Pod.outside(), 53, "UDP")


def test_a_validation_reaches_where_its_examples_are_and_the_model_does_not() -> None:
    found = Children(a_resource()).policies(
        network.Policies(), ["pvc://claim/m.onnx"], examples="http://store:81/rows.json",
        recorder=None, predictions="", routed=False,
    )  # fmt: skip
    validation = Pod("team", names.validation_labels("fraud", _SHA))
    assert reaches(found, validation, Pod.outside(), 81)
    assert not reaches(found, Pod("team", names.labels("fraud", _SHA)), Pod.outside(), 81)


def test_where_egress_is_named_the_uri_no_longer_counts() -> None:
    rule = {"ports": [{"port": 9000}], "to": [{"namespaceSelector": {}}]}
    policies = network.Policies(models_to=(rule,))
    model = Pod("team", names.labels("fraud", _SHA))
    found = _operators(policies, routed=False)
    assert reaches(found, model, Pod("storage"), 9000)
    assert not reaches(found, model, Pod("storage"), 443)
    assert not reaches(found, model, Pod.outside(), 443)


def test_an_experiments_arm_may_be_another_model_of_the_namespace_and_of_no_other() -> None:
    found = _operators(network.Policies(clients_from=(_SHOP,)))
    router = Pod("team", names.router_labels("fraud"))
    for namespace, expected in (("team", True), ("other", False)):
        arm = Pod(namespace, names.labels("second", _SHA))
        assert reaches(found, router, arm, 8080) is expected


@pytest.mark.parametrize("served", [[], ["a", "b"]], ids=str)
def test_the_operator_reaches_what_it_made_where_it_serves(served: list[str]) -> None:
    documents = _documents(*([f"watchNamespaces={{{','.join(served)}}}"] if served else []))
    policies, operator = of_kind(documents, "NetworkPolicy"), _pods(documents)["operator"]
    for namespace in ("a", "b", "c"):
        model = Pod(namespace, names.labels("fraud", _SHA))
        assert reaches(policies, operator, model, 9002) is (not served or namespace in served)
        assert not reaches(policies, operator, Pod(namespace, {"app": "any"}), 9002)


def test_a_database_is_reached_where_there_is_one() -> None:
    def reached(*settings: str) -> list[int]:
        documents = _documents(*settings)
        policies, recorder = of_kind(documents, "NetworkPolicy"), _pods(documents)["recorder"]
        ports = (5432, 6432)
        return [port for port in ports if reaches(policies, recorder, Pod.outside(), port)]

    database = "recorder.database.secretName=postgres"
    assert reached() == []
    assert reached(database) == [5432]
    assert reached(database, "networkPolicy.recorderTo[0].ports[0].port=6432") == [6432]


def test_a_prometheus_that_evidence_comes_from_is_reached_and_nothing_beside_it() -> None:
    def reached(*settings: str) -> list[int]:
        documents = _documents(*settings)
        policies, operator = of_kind(documents, "NetworkPolicy"), _pods(documents)["operator"]
        prometheus = _PODS["prometheus"]
        ports = (80, 443, 9090, 9091)
        return [port for port in ports if reaches(policies, operator, prometheus, port)]

    # The API server's ports are open at any address.
    assert reached() == [443]
    url = "operator.prometheusUrl="
    assert reached(f"{url}http://prometheus.monitoring:9090/prometheus") == [443, 9090]
    assert reached(f"{url}http://prometheus.monitoring") == [80, 443]
    assert reached(f"{url}https://prometheus.monitoring") == [443]
    assert reached(f"{url}http://[fd00::1]:9090") == [443, 9090]
    named = "networkPolicy.operatorTo[0].ports[0].port=9091"
    assert reached(f"{url}http://prometheus.monitoring:9090", named) == [443, 9091]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("yes", "off, on or JSON"),
        ("[]", "a JSON object with fields of"),
        ('{"clients": []}', "a JSON object with fields of"),
        ('{"clientsFrom": {}}', "clientsFrom must be a list of objects"),
        ('{"modelsTo": ["any"]}', "modelsTo must be a list of objects"),
    ],
)
def test_a_wrong_wish_is_refused_with_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        network.parse(text)


@pytest.mark.parametrize("text", ["", "off"])
def test_off_makes_none(text: str) -> None:
    assert network.parse(text) is None


def test_the_chart_tells_the_operator_nothing_until_it_is_switched_on() -> None:
    assert not any(arg.startswith("--network-policies") for arg in operator_args(render()))


def test_every_policy_isolates_in_both_directions() -> None:
    documents = _documents()
    found: list[Any] = of_kind(documents, "NetworkPolicy") + _operators(_told(documents))
    assert len(found) == 6
    for policy in found:
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]

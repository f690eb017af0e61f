"""Monitors of models and routers, alerts and dashboards: what selects what, and what is off."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from fairlead_operator.planning import names, podtemplate, router
from monitoring import rules
from monitoring.dashboards import ALL
from tests.chart.rendering import NAMESPACE, VARIANTS, of_kind, only, render

_META = "__meta_kubernetes_pod_label_"


def everything(*more: str) -> list[dict[str, Any]]:
    return render("-f", str(next(p for p in VARIANTS if p.stem == "everything")), *more)


def relabelled(endpoint: dict[str, Any], labels: dict[str, str]) -> dict[str, str]:
    """Return the labels that Prometheus gives the series of a pod with these labels."""
    meta = {_META + re.sub(r"[^a-zA-Z0-9_]", "_", key): value for key, value in labels.items()}
    found = {}
    for rule in endpoint["relabelings"]:
        assert set(rule) == {"sourceLabels", "targetLabel"}
        found[rule["targetLabel"]] = ";".join(meta.get(each, "") for each in rule["sourceLabels"])
    return found


def test_models_and_routers_are_found_by_the_labels_that_the_operator_gives_their_pods() -> None:
    documents = everything("--set", "fullnameOverride=fl")
    model = names.labels("fraud", "a" * 64)
    pods = {
        "fl-models": (model, podtemplate.METRICS_PORT, {"model_deployment": "fraud",
                                                        "revision": "a" * 8}),
        "fl-routers": (names.router_labels("fraud"), router.METRICS_PORT,
                       {"model_deployment": "fraud", "revision": ""}),
    }  # fmt: skip
    paths = {"fl-models": "/metrics", "fl-routers": "/stats/prometheus"}
    for name, (labels, _, told) in pods.items():
        spec = only(documents, "PodMonitor", name)["spec"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        assert spec["namespaceSelector"] == {"any": True}
        [endpoint] = spec["podMetricsEndpoints"]
        assert (endpoint["port"], endpoint["path"]) == ("metrics", paths[name])
        assert endpoint["interval"] == "20s"
        assert relabelled(endpoint, labels) == told
        other = next(each for each in pods if each != name)
        assert not spec["selector"]["matchLabels"].items() <= pods[other][0].items()
    validation = names.validation_labels("fraud", "a" * 64)
    for name in pods:
        selector = only(documents, "PodMonitor", name)["spec"]["selector"]["matchLabels"]
        assert not selector.items() <= validation.items()


def test_an_operator_of_some_namespaces_has_only_their_pods_scraped() -> None:
    documents = render(
        "--set", "watchNamespaces={team-a,team-b}", "--set", "metrics.modelMonitor.enabled=true"
    )
    monitors = of_kind(documents, "PodMonitor")
    assert len(monitors) == 2
    for monitor in monitors:
        assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["team-a", "team-b"]}


def test_the_recorder_is_scraped_where_there_is_one() -> None:
    switch = ("--set", "metrics.serviceMonitor.enabled=true")
    assert len(of_kind(render(*switch), "ServiceMonitor")) == 1
    documents = render(*switch, "--set", "recorder.enabled=true")
    monitor = only(documents, "ServiceMonitor", "fairlead-recorder")
    service = only(documents, "Service", "fairlead-recorder")
    selector = monitor["spec"]["selector"]["matchLabels"]
    assert selector.items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] in {p["name"] for p in service["spec"]["ports"]}
    operator = only(documents, "ServiceMonitor", "fairlead")["spec"]["selector"]["matchLabels"]
    assert not operator.items() <= service["metadata"]["labels"].items()


def test_the_alerts_are_those_of_the_tests_with_the_address_of_their_runbooks() -> None:
    found = only(everything(), "PrometheusRule")["spec"]["groups"]
    text = yaml.safe_dump(rules.groups()).replace("RUNBOOKS/", "https://wiki.example/runbooks/")
    assert found == yaml.safe_load(text)
    plain = render("--set", "metrics.prometheusRule.enabled=true")
    [first, *_] = only(plain, "PrometheusRule")["spec"]["groups"][1]["rules"]
    assert first["annotations"]["runbook_url"] == f"docs/runbooks/{first['alert']}.md"
    assert "{{ $labels.namespace }}" in first["annotations"]["summary"]


def test_grafanas_sidecar_finds_every_dashboard() -> None:
    maps = [d for d in of_kind(everything(), "ConfigMap") if "dashboard" in d["metadata"]["name"]]
    assert len(maps) == len(ALL)
    uids = set()
    for each in maps:
        meta = each["metadata"]
        assert meta["labels"]["grafana_dashboard"] == "yes"
        assert meta["annotations"] == {"k8s-sidecar-target-directory": "Fairlead"}
        assert meta["namespace"] == NAMESPACE
        [(name, text)] = each["data"].items()
        assert name.endswith(".json")
        uids.add(json.loads(text)["uid"])
    assert uids == {f"fairlead-{dashboard.name}" for dashboard in ALL}


def test_without_a_word_there_are_no_monitors_alerts_and_dashboards() -> None:
    documents = render("--set", "recorder.enabled=true")
    assert of_kind(documents, "ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap") == []


def test_traces_are_off_until_there_is_a_collector() -> None:
    def args(*more: str) -> list[str]:
        pod = only(render(*more), "Deployment")["spec"]["template"]["spec"]
        return [each for each in pod["containers"][0]["args"] if "tracing" in each]

    assert args() == []
    assert args("--set", "tracing.endpoint=http://c:4318") == [
        "--tracing-endpoint=http://c:4318",
        "--tracing-share=1",
    ]

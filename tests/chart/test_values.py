"""Wrong values are refused with the name of the field, and the README tells the truth."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.rendering import CHART, HelmError, schema, template, values


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("replica=2", "additional properties 'replica' not allowed"),
        ("image.tags=7", "at '/image': additional properties 'tags' not allowed"),
        ("operator.timeout=3", "at '/operator': additional properties 'timeout' not allowed"),
        ("replicas=two", "at '/replicas': got string, want integer"),
        ("replicas=-1", "at '/replicas': minimum"),
        ("replicas=1.5", "at '/replicas': got string, want integer"),
        ("watchNamespaces=team-a", "at '/watchNamespaces': got string, want array"),
        ("watchNamespaces={Team}", "at '/watchNamespaces/0': 'Team' does not match pattern"),
        ("watchNamespaces={a,a}", "at '/watchNamespaces': items at 0 and 1 are equal"),
        ("image.pullPolicy=Sometimes", "at '/image/pullPolicy': value must be one of"),
        ("image.digest=sha256:abc", "at '/image/digest': 'sha256:abc' does not match"),
        ("image.repository=", "at '/image/repository': '' does not match pattern"),
        ("runtimeImage=a b", "at '/runtimeImage': 'a b' does not match pattern"),
        ("operator.logLevel=loud", "at '/operator/logLevel': value must be one of"),
        ("operator.workers=0", "at '/operator/workers': minimum"),
        ("operator.drainSeconds=5m", "at '/operator/drainSeconds': got string, want number"),
        ("operator.connectionAgeSeconds=0", "at '/operator/connectionAgeSeconds': minimum"),
        (
            "operator.prometheusUrl=prometheus:9090",
            "at '/operator/prometheusUrl': 'prometheus:9090'",
        ),
        ("operator.prometheusUrl=http://a:b@p:1", "at '/operator/prometheusUrl': 'http://a:b@p:1'"),
        ("operator.healthPort=80", "at '/operator/healthPort': minimum"),
        ("tracing.endpoint=collector:4318", "at '/tracing/endpoint': 'collector:4318' does not"),
        ("tracing.share=0", "at '/tracing/share': exclusiveMinimum"),
        ("metrics.dashboards.label=a b", "at '/metrics/dashboards/label': 'a b' does not match"),
        ("crds.keep=perhaps", "at '/crds/keep': got string, want boolean"),
        ("rbac.aggregateRoles=true", "at '/rbac/aggregateRoles': value must be one of"),
        ("metrics.serviceMonitor.interval=soon", "at '/metrics/serviceMonitor/interval'"),
        ("podLabels.tier=1", "at '/podLabels/tier': got number, want string"),
        ("extraEnv[0].value=x", "at '/extraEnv/0': missing property 'name'"),
        ("imagePullSecrets={registry}", "at '/imagePullSecrets/0': got string, want object"),
        ("operator.drainSeconds=59", "operator.drainSeconds (59) must be at least"),
        ("operator.metricsPort=8081", "operator.healthPort and operator.metricsPort are both 8081"),
        (
            "metrics.serviceMonitor.enabled=true,metrics.service.enabled=false",
            "metrics.serviceMonitor.enabled needs metrics.service.enabled",
        ),
    ],
)
def test_a_wrong_value_is_refused_by_name(setting: str, words: str) -> None:
    with pytest.raises(HelmError) as refused:
        template("--set", setting)
    assert words in str(refused.value)


def test_another_chart_may_depend_on_this_one() -> None:
    """Helm gives `global` to every chart below another one."""
    template("--set", "global.registry=example")


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node and path not in _WHOLE:
        for key, sub in node.items():
            yield from _leaves(sub, f"{path}.{key}" if path else key)
    else:
        yield path, node


_WHOLE = (
    "resources", "podSecurityContext", "containerSecurityContext", "recorder.resources",
)  # fmt: skip
"""Values that are passed on to Kubernetes, one row each."""


def _described(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    if "properties" in node and path not in _WHOLE:
        for key, sub in node["properties"].items():
            yield from _described(sub, f"{path}.{key}" if path else key)
    else:
        yield path, node.get("description", "")


def _table() -> str:
    """Return the README's table as the values and their schema say it."""
    descriptions = dict(_described(schema()))
    rows = [
        f"| `{path}` | `{json.dumps(default)}` | {descriptions[path]} |"
        for path, default in _leaves(values())
    ]
    return "\n".join(["| Value | Default | What it does |", "| --- | --- | --- |", *rows])


def test_the_schema_describes_just_the_values_that_there_are() -> None:
    described = dict(_described(schema()))
    assert described.pop("global")
    assert list(described) == [path for path, _ in _leaves(values())]
    for path, text in described.items():
        assert text.endswith("."), path


def test_the_readme_has_the_table_of_values() -> None:
    readme = (CHART / "README.md").read_text()
    found = re.search(r"^\| Value .*?(?=\n\n|\Z)", readme, re.MULTILINE | re.DOTALL)
    assert found is not None
    assert found.group().strip() == _table()

"""The chart lints, renders for every supported Kubernetes, and says what it should."""

from __future__ import annotations

import argparse
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.build import program
from cluster.paths import ROOT
from fairlead_operator import settings
from tests.chart import monitoringschemas, schemas
from tests.chart.rendering import (
    CHART,
    NAMESPACE,
    VARIANTS,
    HelmError,
    helm,
    of_kind,
    only,
    operator_args,
    render,
    template,
)

_variants = pytest.mark.parametrize("variant", VARIANTS, ids=lambda path: path.stem)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    settings.add_arguments(parser, env={})
    return parser


def _conform(text: str, version: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            str(program("kubeconform")), "-strict", "-summary", "-kubernetes-version", version,
            "-schema-location", schemas.location(),
            "-schema-location", monitoringschemas.location(),
        ],
        input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip


@_variants
def test_lint_finds_nothing(variant: Path) -> None:
    helm("lint", "--strict", "--kube-version", "1.35.0", "-f", str(variant), str(CHART))


@pytest.mark.parametrize("version", schemas.VERSIONS)
@_variants
def test_every_object_fits_the_schemas_of(version: str, variant: Path) -> None:
    text = template("-f", str(variant), version=version)
    done = _conform(text, version)
    assert done.returncode == 0, done.stdout + done.stderr
    objects = [document for document in yaml.safe_load_all(text) if document]
    assert f"Valid: {len(objects)}, Invalid: 0, Errors: 0" in done.stdout


@pytest.mark.parametrize("version", schemas.VERSIONS)
def test_the_schemas_of_a_version_refuse_a_wrong_field(version: str) -> None:
    text = template(version=version).replace("terminationGracePeriodSeconds:", "graceSeconds:")
    assert "graceSeconds" in text
    done = _conform(text, version)
    assert done.returncode == 1
    assert "graceSeconds" in done.stdout


def test_an_older_kubernetes_is_refused() -> None:
    with pytest.raises(HelmError, match=r"requires kubeVersion: >=1\.30\.0-0"):
        template(version="1.29.9")


@_variants
def test_no_field_is_rendered_empty(variant: Path) -> None:
    def nulls(node: Any, path: str) -> list[str]:
        if isinstance(node, dict):
            return [p for key, sub in node.items() for p in nulls(sub, f"{path}.{key}")]
        if isinstance(node, list):
            return [p for i, sub in enumerate(node) for p in nulls(sub, f"{path}[{i}]")]
        return [path] if node is None else []

    for document in render("-f", str(variant)):
        assert nulls(document, document["kind"]) == []


@_variants
def test_every_object_in_a_namespace_says_which(variant: Path) -> None:
    outside = {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}
    for document in render("-f", str(variant)):
        assert ("namespace" in document["metadata"]) is (document["kind"] not in outside)


@_variants
def test_the_operator_knows_every_flag_that_it_is_given(variant: Path) -> None:
    parser = _parser()
    command, *flags = operator_args(render("-f", str(variant)))
    assert command == "run"
    settings.from_arguments(parser.parse_args(flags))


def test_values_reach_the_operator_as_they_were_written() -> None:
    parser = _parser()
    everything = next(path for path in VARIANTS if path.stem == "everything")
    documents = render("-f", str(everything), "--set", "watchNamespaces={a,b}", release="mine")
    told = settings.from_arguments(parser.parse_args(operator_args(documents)[1:]))
    assert told.namespaces == ("a", "b")
    assert told.runtime_image == "registry.example/fairlead/runtime:7"
    assert told.gpu_runtime_image == "registry.example/fairlead/runtime:7-cuda"
    assert told.router_image == f"registry.example/envoy@sha256:{'0123456789abcdef' * 4}"
    assert (told.lease_namespace, told.lease_name) == (NAMESPACE, "one-of-many")
    assert (told.resync_s, told.log_level) == (30.5, "debug")
    assert told.prometheus_url == "https://metrics.example/prometheus"
    assert (told.tracing_endpoint, told.tracing_share) == ("http://collector.tracing:4318", 0.25)
    assert (told.health_port, told.metrics_port) == (18081, 19090)


def test_defaults_are_the_operators_own() -> None:
    parser = _parser()
    given = settings.from_arguments(parser.parse_args(operator_args(render())[1:]))
    alone = settings.from_arguments(parser.parse_args([]))
    for name in (
        "namespaces", "runtime_image", "gpu_runtime_image", "router_image", "resync_s", "drain_s",
        "prometheus_url", "tracing_endpoint", "tracing_share", "connection_age_s", "health_port",
        "metrics_port", "workers", "log_level",
    ):  # fmt: skip
        assert getattr(given, name) == getattr(alone, name), name


def test_versions_are_those_of_the_package() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == package
    container = only(render(), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"fairlead/operator:{package}"
    assert f"fairlead/runtime:{package}" == settings.DEFAULT_RUNTIME_IMAGE
    assert f"fairlead/runtime:{package}-cuda" == settings.DEFAULT_GPU_RUNTIME_IMAGE
    assert f"fairlead/router:{package}" == settings.DEFAULT_ROUTER_IMAGE


def test_a_digest_wins_over_the_tag() -> None:
    digest = "sha256:" + "a" * 64
    documents = render("--set", f"image.digest={digest},image.tag=v7")
    container = only(documents, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"fairlead/operator@{digest}"


@_variants
def test_selectors_meet_the_pods_and_users_labels_cannot_change_that(variant: Path) -> None:
    documents = render("-f", str(variant))
    deployment = only(documents, "Deployment")["spec"]
    pod = deployment["template"]["metadata"]["labels"].items()
    assert deployment["selector"]["matchLabels"].items() <= pod
    recorder = [d for d in documents if "recorder" in d["metadata"]["name"]]
    documents = [d for d in documents if d not in recorder]
    for service in of_kind(documents, "Service"):
        assert service["spec"]["selector"].items() <= pod
    for other in of_kind(documents, "PodDisruptionBudget"):
        assert other["spec"]["selector"]["matchLabels"].items() <= pod
    policies, tests = of_kind(documents, "NetworkPolicy"), of_kind(documents, "Pod")
    for policy in (p for p in policies if p["metadata"]["namespace"] == NAMESPACE):
        selected = policy["spec"]["podSelector"]["matchLabels"]
        if selected["app.kubernetes.io/component"] == "test":  # the pod of `helm test`
            assert all(selected.items() <= p["metadata"]["labels"].items() for p in tests)
        else:
            assert selected.items() <= pod
    for test in of_kind(documents, "Pod"):
        selector = deployment["selector"]["matchLabels"].items()
        assert not selector <= test["metadata"]["labels"].items()


def test_monitors_select_what_the_chart_makes() -> None:
    everything = next(path for path in VARIANTS if path.stem == "everything")
    documents = render("-f", str(everything))
    service = only(documents, "Service")
    deployment = only(documents, "Deployment")
    pod, name = deployment["spec"]["template"], deployment["metadata"]["name"]
    for monitor, labels, ports, field in (
        (
            only(documents, "ServiceMonitor"),
            service["metadata"]["labels"],
            service["spec"]["ports"],
            "endpoints",
        ),
        (
            only(documents, "PodMonitor", name),
            pod["metadata"]["labels"],
            pod["spec"]["containers"][0]["ports"],
            "podMetricsEndpoints",
        ),
    ):
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
        endpoint = monitor["spec"][field][0]
        assert endpoint["port"] in {port["name"] for port in ports}
        assert endpoint["honorLabels"] is True, "a resource's namespace would be the operator's"


@pytest.mark.parametrize(("replicas", "count"), [(0, 0), (1, 0), (2, 1)])
def test_only_more_than_one_replica_has_a_disruption_budget(replicas: int, count: int) -> None:
    documents = render("--set", f"replicas={replicas}")
    assert len(of_kind(documents, "PodDisruptionBudget")) == count


@pytest.mark.parametrize(
    ("kind", "switch"),
    [
        ("ServiceMonitor", "metrics.serviceMonitor.enabled"),
        ("PodMonitor", "metrics.podMonitor.enabled"),
        ("PrometheusRule", "metrics.prometheusRule.enabled"),
        ("NetworkPolicy", "networkPolicy.enabled"),
    ],
)
def test_is_off_until_it_is_switched_on(kind: str, switch: str) -> None:
    assert of_kind(render(), kind) == []
    assert of_kind(render("--set", f"{switch}=true"), kind) != []


@pytest.mark.parametrize(("secret", "scheme"), [("", "http"), ("operator-tls", "https")])
def test_a_certificate_is_for_probes_scrapes_and_the_test_alike(secret: str, scheme: str) -> None:
    documents = render(
        "--set", f"tls.secretName={secret}", "--set", "metrics.serviceMonitor.enabled=true",
        "--set", "metrics.podMonitor.enabled=true",
    )  # fmt: skip
    pod = only(documents, "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    told = settings.from_arguments(_parser().parse_args(container["args"][1:]))
    mounts = [each["mountPath"] for each in container["volumeMounts"] if each["name"] == "tls"]
    assert mounts == ([told.tls_dir] if secret else [])
    assert bool(told.tls_dir) is bool(secret)
    for probe in ("livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["scheme"] == scheme.upper()
    assert {port["appProtocol"] for port in only(documents, "Service")["spec"]["ports"]} == {scheme}
    (endpoint,) = only(documents, "ServiceMonitor")["spec"]["endpoints"]
    (other,) = only(documents, "PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["scheme"] == other["scheme"] == scheme
    (test,) = of_kind(documents, "Pod")
    assert f'url = "{scheme}://' in test["spec"]["containers"][0]["args"][0]

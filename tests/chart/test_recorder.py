"""The recorder in the chart: it starts with what it is given, and only who should reaches it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from fairlead_recorder.cli import settings
from fairlead_recorder.http.access import AUDIENCE
from fairlead_recorder.http.recorder import Settings
from tests.chart.rendering import NAMESPACE, VARIANTS, Document, HelmError, of_kind, only, render

_ON = ("--set", "recorder.enabled=true")
_variants = pytest.mark.parametrize(
    "variant", [path for path in VARIANTS if "recorder" in path.stem], ids=lambda path: path.stem
)


def _of(documents: list[Document], kind: str) -> Document:
    [found] = [d for d in of_kind(documents, kind) if d["metadata"]["name"].endswith("recorder")]
    return found


def _container(documents: list[Document]) -> dict[str, Any]:
    pod = _of(documents, "StatefulSet")["spec"]["template"]["spec"]
    found: dict[str, Any] = pod["containers"][0]
    return found


def _told(documents: list[Document], env: dict[str, str] | None = None) -> Settings:
    container = _container(documents)
    assert container["command"] == ["fairlead-recorder"]
    command, *flags = container["args"]
    assert command == "serve"
    parser = argparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    settings.add_serve_arguments(parser, env=env or {})
    return settings.from_arguments(parser.parse_args(flags))


def test_it_is_off_until_it_is_switched_on() -> None:
    assert not [d for d in render() if "recorder" in d["metadata"]["name"]]


@_variants
def test_it_takes_its_flags_and_knows_the_operator(variant: Path) -> None:
    documents = render("-f", str(variant))
    told = _told(documents)
    assert told.authenticate
    account = only(documents, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    assert told.operators == {f"system:serviceaccount:{NAMESPACE}:{account}"}


def test_values_reach_it_as_they_were_written() -> None:
    variant = next(path for path in VARIANTS if path.stem == "recorder")
    told = _told(render("-f", str(variant)))
    assert told.retention_s == 30.5 * 86_400
    assert told.outcomes_per_second == 1_000
    claim = _of(render("-f", str(variant)), "StatefulSet")["spec"]["volumeClaimTemplates"][0]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"


def test_the_chart_leaves_the_programs_own_defaults() -> None:
    told, parser = _told(render(*_ON)), argparse.ArgumentParser()
    settings.add_serve_arguments(parser, env={})
    alone = settings.from_arguments(parser.parse_args(["--operators=x"]))
    for name in ("database", "port", "exposures_port", "retention_s", "outcomes_per_second"):
        assert getattr(told, name) == getattr(alone, name), name


def test_a_database_of_ones_own_comes_from_a_secret_and_needs_no_volume() -> None:
    variant = next(path for path in VARIANTS if path.stem == "recorder-postgresql")
    documents = render("-f", str(variant))
    container = _container(documents)
    replica, variable = container["env"]
    assert replica["valueFrom"]["fieldRef"]["fieldPath"].endswith("pod-index']")
    assert _told(documents, {replica["name"]: "2"}).replica == 2
    reference = variable["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "recorder-database", "key": "uri"}
    assert [mount["name"] for mount in container["volumeMounts"]] == ["tmp"]
    told = _told(documents, {variable["name"]: "postgresql://db/recorder"})
    assert told.database == "postgresql://db/recorder"


def test_several_share_a_database_of_ones_own_and_no_file() -> None:
    variant = next(path for path in VARIANTS if path.stem == "recorder-postgresql")
    several = ("--set", "recorder.replicas=3")
    assert _of(render("-f", str(variant), *several), "StatefulSet")["spec"]["replicas"] == 3
    with pytest.raises(HelmError) as refused:
        render(*_ON, *several)
    assert "more than one need PostgreSQL" in str(refused.value)


@pytest.mark.parametrize(("kept", "claims"), [("true", 1), ("false", 0)])
def test_sqlite_has_a_volume_where_its_user_may_write(kept: str, claims: int) -> None:
    documents = render(*_ON, "--set", f"recorder.persistence.enabled={kept}")
    spec = _of(documents, "StatefulSet")["spec"]
    assert len(spec.get("volumeClaimTemplates", [])) == claims
    pod = spec["template"]["spec"]
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    folder = Path(_told(documents).database.removeprefix("sqlite:///")).parent
    mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    names = [volume["name"] for volume in pod["volumes"]]
    names += [claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])]
    assert mounts[str(folder)] in names


@_variants
def test_its_service_selects_its_pod_alone(variant: Path) -> None:
    documents = render("-f", str(variant))
    labels = _of(documents, "StatefulSet")["spec"]["template"]["metadata"]["labels"].items()
    operator = only(documents, "Deployment")["spec"]
    service = _of(documents, "Service")["spec"]
    assert service["selector"].items() <= labels
    assert not operator["selector"]["matchLabels"].items() <= labels
    assert not service["selector"].items() <= operator["template"]["metadata"]["labels"].items()
    ports = {port["name"]: port["containerPort"] for port in _container(documents)["ports"]}
    told = _told(documents)
    assert {port["targetPort"]: port["port"] for port in service["ports"]} == ports
    assert ports == {"http": told.port, "exposures": told.exposures_port}


def test_it_may_review_tokens_and_nothing_else() -> None:
    documents = render(*_ON)
    role = _of(documents, "ClusterRole")
    assert role["rules"] == [
        {
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["tokenreviews"],
            "verbs": ["create"],
        }
    ]
    [subject] = _of(documents, "ClusterRoleBinding")["subjects"]
    assert subject["name"] == _of(documents, "ServiceAccount")["metadata"]["name"]
    for binding in of_kind(documents, "RoleBinding", "ClusterRoleBinding"):
        if binding is not _of(documents, "ClusterRoleBinding"):
            assert subject not in binding["subjects"]


def test_the_operator_is_told_where_it_is_and_has_a_token_for_it() -> None:
    documents = render(*_ON)
    service = _of(documents, "Service")
    pod = only(documents, "Deployment")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    told = {one["name"]: one["value"] for one in container["env"]}
    host = f"{service['metadata']['name']}.{NAMESPACE}.svc"
    assert told["FAIRLEAD_RECORDER_URL"] == f"http://{host}:8080"
    assert told["FAIRLEAD_RECORDER_EXPOSURES"] == f"{host}:4318"
    [volume] = [v for v in pod["volumes"] if "projected" in v]
    [source] = volume["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == AUDIENCE
    [mount] = [m for m in container["volumeMounts"] if m["name"] == volume["name"]]
    path = f"{mount['mountPath']}/{source['serviceAccountToken']['path']}"
    assert told["FAIRLEAD_RECORDER_TOKEN_FILE"] == path
    assert "env" not in only(render(), "Deployment")["spec"]["template"]["spec"]["containers"][0]


_TLS = ("--set", "recorder.tls.secretName=recorder-tls")


def test_with_a_certificate_everybody_speaks_https_to_it_and_nobody_else_has_its_key() -> None:
    documents = render(*_ON, *_TLS, "--set", "metrics.serviceMonitor.enabled=true")
    container = _container(documents)
    volumes = _of(documents, "StatefulSet")["spec"]["template"]["spec"]["volumes"]
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "tls"]
    assert _told(documents).tls_dir == mount["mountPath"]
    (volume,) = [each for each in volumes if each["name"] == "tls"]
    assert volume["secret"]["secretName"] == "recorder-tls"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["scheme"] == "HTTPS"
    assert {p["appProtocol"] for p in _of(documents, "Service")["spec"]["ports"]} == {"https"}
    (endpoint,) = _of(documents, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["scheme"] == "https"

    pod = only(documents, "Deployment")["spec"]["template"]["spec"]
    told = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
    assert told["FAIRLEAD_RECORDER_URL"].startswith("https://")
    (projected,) = [each["projected"] for each in pod["volumes"] if "projected" in each]
    given = [item["key"] for each in projected["sources"] if "secret" in each
             for item in each["secret"]["items"]]  # fmt: skip
    assert given == ["ca.crt"]
    (mounted,) = [m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "recorder-token"]
    assert told["FAIRLEAD_RECORDER_CA_FILE"] == f"{mounted['mountPath']}/ca.crt"


def test_without_one_everything_is_http() -> None:
    documents = render(*_ON)
    assert _told(documents).tls_dir == ""
    assert _container(documents)["readinessProbe"]["httpGet"]["scheme"] == "HTTP"
    assert "recorder-tls" not in str(documents)

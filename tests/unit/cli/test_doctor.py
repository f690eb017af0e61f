"""What `fairlead doctor` makes of the facts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import yaml

from fairlead_cli.doctor import checks, gather
from fairlead_cli.doctor.checks import Finding, Level
from fairlead_cli.doctor.facts import Facts, Operator
from fairlead_cli.doctor.rights import Right
from fairlead_operator.api import crds
from tests.unit.cli.world import JSON, NOW, a_condition, a_model, stamp


def _crd(**changes: Any) -> tuple[JSON, JSON]:
    wanted = yaml.safe_load(next(iter(crds.files().values())))
    condition = {"type": "Established", "status": "True"}
    installed = {**wanted, "status": {"conditions": [condition]}, **changes}
    return wanted, installed


def an_operator(*args: str, ready: int = 1, replicas: int = 1, renewed: float = -3) -> Operator:
    """Return an operator that works."""
    deployment = {
        "metadata": {"name": "fairlead", "namespace": "fairlead-system"},
        "spec": {
            "replicas": replicas,
            "template": {"spec": {"containers": [{"args": ["run", *args]}]}},
        },
        "status": {"readyReplicas": ready},
    }
    flags, served = gather.settings(deployment)
    lease = {
        "holderIdentity": "pod-1", "renewTime": stamp(renewed), "leaseDurationSeconds": 15,
    }  # fmt: skip
    return Operator(
        deployment=deployment, flags=flags, namespaces=served, lease={"spec": lease}, missing=()
    )


def facts(**changes: Any) -> Facts:
    """Return the facts of an installation in which all is well."""
    well = Facts(
        now=NOW,
        version="1.35.4",
        crds={"modeldeployments.fairlead.dev": _crd()},
        operators=(an_operator("--runtime-image=fairlead/runtime:1"),),
        models=(a_model(conditions=[a_condition("Ready", "True", "Ready")]),),
    )
    return dataclasses.replace(well, **changes)


def _bad(found: Facts) -> list[Finding]:
    return [each for each in checks.examine(found) if each.level is not Level.OK]


def _operator(**changes: Any) -> Facts:
    return facts(operators=(dataclasses.replace(an_operator(), **changes),))


_PULL = {
    "metadata": {"name": "fairlead-x"},
    "status": {"containerStatuses": [
        {"ready": False, "state": {"waiting": {"reason": "ErrImagePull", "message": "404"}}}
    ]},
}  # fmt: skip


def test_nothing_is_wrong_where_all_is_well() -> None:
    assert _bad(facts()) == []
    about = [each.about for each in checks.examine(facts())]
    assert "CRD modeldeployments.fairlead.dev" in about
    assert "Lease of fairlead-system/fairlead" in about
    assert "rights of fairlead-system/fairlead" in about


_SICK: dict[str, tuple[Facts, Level, str]] = {
    "an old Kubernetes": (facts(version="1.29.9"), Level.PROBLEM, "version 1.29.9"),
    "no CRD": (facts(crds={"c": (_crd()[0], None)}), Level.PROBLEM, "is not installed"),
    "a CRD that is not established": (
        facts(crds={"c": _crd(status={})}), Level.PROBLEM, "is not established",
    ),
    "a CRD without our version": (
        facts(crds={"c": _crd(spec={"versions": [{"name": "v1", "served": True}]})}),
        Level.PROBLEM,
        "does not serve v1alpha1",
    ),
    "a CRD of another Fairlead": (
        facts(crds={"c": _crd(spec={"versions": [
            {"name": "v1alpha1", "served": True, "schema": {}}]})}),
        Level.WARNING,
        "another version",
    ),
    "no operator": (facts(operators=()), Level.PROBLEM, "there is none"),
    "an operator without replicas": (
        facts(operators=(an_operator(replicas=0, ready=0),)), Level.PROBLEM, "scaled to no replica",
    ),
    "an operator that is not ready": (
        facts(operators=(an_operator(ready=0),)), Level.PROBLEM, "no ready replica",
    ),
    "half of the operators": (
        facts(operators=(an_operator(replicas=2),)), Level.WARNING, "1 of 2 replicas",
    ),
    "an image that cannot be pulled": (
        _operator(pods=(_PULL,)), Level.PROBLEM, "ErrImagePull: 404",
    ),
    "no Lease": (_operator(lease=None), Level.PROBLEM, "no replica holds it"),
    "a Lease that was given back": (
        _operator(lease={"spec": {"holderIdentity": "", "renewTime": stamp(-1)}}),
        Level.PROBLEM,
        "no replica holds it",
    ),
    "an old Lease": (
        facts(operators=(an_operator(renewed=-60),)), Level.PROBLEM, "renewed it last 60 s ago",
    ),
    "a right that is missing": (
        _operator(missing=(("team", Right("apps", "deployments", "patch")),)),
        Level.PROBLEM,
        "lack patch deployments.apps in team",
    ),
    "an image that may change": (
        facts(operators=(an_operator("--router-image=localhost:5000/envoy"),)),
        Level.WARNING,
        "localhost:5000/envoy does not say which version",
    ),
    "two operators for the same": (
        facts(operators=(an_operator("--namespace=a"), an_operator("--namespace=a"))),
        Level.PROBLEM,
        "both serve a",
    ),
    "no metrics": (facts(metrics=False), Level.WARNING, "does not answer"),
    "an autoscaler without metrics": (
        facts(autoscalers=({**a_model("hpa"), "status": {"conditions": [
            a_condition("ScalingActive", "False", "FailedGetResourceMetric", "no metrics")]}},)),
        Level.WARNING,
        "no metrics",
    ),
    "a model that nobody looked at": (
        facts(models=(a_model(),)), Level.PROBLEM, "no operator has looked at it",
    ),
    "a stalled model": (
        facts(models=(a_model(conditions=[
            a_condition("Ready", "False", "SourceNotFound", "404"),
            a_condition("Stalled", "True", "SourceNotFound", "404")]),)),
        Level.PROBLEM,
        "SourceNotFound: 404",
    ),
    "a model that starts": (
        facts(models=(a_model(conditions=[a_condition("Ready", "False", "Progressing")]),)),
        Level.WARNING,
        "Progressing",
    ),
    "a change that was not seen": (
        facts(models=(a_model(generation=4, conditions=[a_condition("Ready", "True", "Ready")]),)),
        Level.WARNING,
        "has not been seen",
    ),
    "what may not be read": (
        facts(unreadable={"the Lease of x": "forbidden"}), Level.UNKNOWN, "forbidden",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _SICK)
def test_it_finds_and_knows_a_remedy_for(name: str) -> None:
    found, level, words = _SICK[name]
    (finding,) = _bad(found)
    assert finding.level is level
    assert words in finding.message
    assert finding.remedy
    assert finding.document()["remedy"] == finding.remedy


def test_operators_for_different_namespaces_are_fine() -> None:
    assert _bad(facts(operators=(an_operator("--namespace=a"), an_operator("--namespace=b")))) == []


def test_a_digest_says_which_image_and_a_registrys_port_does_not() -> None:
    digest = f"--runtime-image=registry:5000/runtime@sha256:{'0' * 64}"
    assert _bad(facts(operators=(an_operator(digest),))) == []


def test_settings_are_read_from_flags_and_environment() -> None:
    container = {
        "args": ["run", "--namespace=a", "--namespace=b", "--lease-name=mine"],
        "env": [{"name": "FAIRLEAD_LEASE_NAME", "value": "other"},
                {"name": "FAIRLEAD_ROUTER_IMAGE", "value": "envoy:1"},
                {"name": "HTTPS_PROXY", "value": "x"}],
    }  # fmt: skip
    deployment = {"spec": {"template": {"spec": {"containers": [container]}}}}
    assert gather.settings(deployment) == (
        {"lease-name": "mine", "router-image": "envoy:1"},
        ("a", "b"),
    )

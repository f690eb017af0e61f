"""`fairlead doctor` of what the chart installs, with a real operator at work and without."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from cluster.controlplane import ControlPlane
from fairlead_cli.doctor import rights
from tests.chart.process import OperatorProcess, until
from tests.chart.rendering import NAMESPACE, render, rules
from tests.fairleadcli import fairlead

_NAME = "fairlead"
_ROLE = f"clusterrole/{NAMESPACE}:{_NAME}"
Levels = dict[str, tuple[str, str]]


def test_it_asks_for_no_right_that_the_chart_does_not_grant() -> None:
    granted = {
        (group, resource, verb) for _, group, resource, verbs in rules(render()) for verb in verbs
    }
    asked = {
        (each.group, f"{each.resource}/{each.sub}" if each.sub else each.resource, each.verb)
        for each in (*rights.where_models_are(), *rights.where_the_operator_is(_NAME))
    }
    assert len(asked) > 30
    assert asked <= granted


def _examined(plane: ControlPlane, status: int) -> Levels:
    done = fairlead("doctor", "-o", "json", kubeconfig=plane.kubeconfig)
    assert done.status == status, done.out + done.err
    return {each["about"]: (each["level"], each["message"]) for each in done.json}


def _held(plane: ControlPlane) -> bool:
    lease = plane.kubectl(
        "-n", NAMESPACE, "get", "lease", _NAME, "--ignore-not-found",
        "-o", "jsonpath={.spec.holderIdentity}",
    )  # fmt: skip
    return bool(lease)


@pytest.mark.apiserver
def test_it_tells_an_operator_that_works_from_one_that_does_not(
    plane: ControlPlane, tmp_path: Path
) -> None:
    deployment, lease = f"operator {NAMESPACE}/{_NAME}", f"Lease of {NAMESPACE}/{_NAME}"
    before = _examined(plane, 1)
    assert before["CRD modeldeployments.fairlead.dev"] == ("ok", "serves v1alpha1")
    assert before[deployment] == ("problem", "has no ready replica of 1")
    assert before[lease][0] == "problem"
    assert before[f"rights of {NAMESPACE}/{_NAME}"] == ("ok", "are complete")
    assert before[f"runtime image of {NAMESPACE}/{_NAME}"][1].startswith("fairlead/runtime:")
    assert before[f"router image of {NAMESPACE}/{_NAME}"][1].startswith("fairlead/router:")
    operator = OperatorProcess(plane, NAMESPACE, _NAME, tmp_path)
    # Its controller would say that no pod is ready, as is so on a control plane without a node.
    plane.kubectl("-n", NAMESPACE, "scale", f"deployment/{_NAME}", "--replicas=0")
    try:
        until(partial(_held, plane), operator.logs)
        working = _examined(plane, 1)
        assert working[lease][0] == "ok", working
        assert working[deployment] == ("problem", "is scaled to no replica")
        role = plane.kubectl("get", _ROLE, "-o", "json")
        _without(plane, role, "services")
        # The API server's own view of roles is a moment behind.
        until(partial(_lacks, plane, "get services in all namespaces"), operator.logs)
        plane.kubectl("replace", "--force", "-f", "-", stdin=role)
    finally:
        operator.stop()
        plane.kubectl("-n", NAMESPACE, "scale", f"deployment/{_NAME}", "--replicas=1")
    assert _examined(plane, 1)[lease] == ("problem", "no replica holds it, so none works")


def _lacks(plane: ControlPlane, right: str) -> bool:
    level, message = _examined(plane, 1)[f"rights of {NAMESPACE}/{_NAME}"]
    return level == "problem" and right in message


def _without(plane: ControlPlane, role: str, resource: str) -> None:
    document = json.loads(role)
    for rule in document["rules"]:
        rule["resources"] = [each for each in rule["resources"] if each != resource]
    document["metadata"].pop("resourceVersion")
    plane.kubectl("replace", "-f", "-", stdin=json.dumps(document))

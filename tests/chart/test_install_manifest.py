"""`kubectl apply -f install.yaml` on a fresh API server: it is taken whole, again, and enough."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import controlplane, publish
from cluster.controlplane import ControlPlane
from tests.chart.process import OperatorProcess, items, until
from tests.chart.rendering import NAMESPACE

pytestmark = pytest.mark.apiserver
_MODEL = {
    "apiVersion": "fairlead.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "fraud"},
    "spec": {
        "model": {"uri": "https://models.example/fraud.onnx"},
        "validation": {"enabled": False},
    },
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ControlPlane, Path]]:
    """A control plane with nothing but what the manifest brings."""
    manifest = tmp_path_factory.mktemp("release") / "install.yaml"
    manifest.write_text(publish.install_manifest())
    with controlplane.start(tmp_path_factory.mktemp("plane"), controllers=True) as running:
        running.kubectl("apply", "-f", str(manifest))
        yield running, manifest


def test_its_pods_are_admitted_where_the_namespace_enforces_the_restricted_standard(
    installed: tuple[ControlPlane, Path],
) -> None:
    plane, _ = installed
    namespace = json.loads(plane.kubectl("get", "namespace", NAMESPACE, "-o", "json"))
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"

    def components() -> set[str]:
        pods = items(plane, NAMESPACE, "pods")
        return {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods}

    until(lambda: components() == {"operator", "recorder"}, components)


def test_applied_again_it_changes_nothing(installed: tuple[ControlPlane, Path]) -> None:
    plane, manifest = installed
    told = plane.kubectl("apply", "-f", str(manifest)).splitlines()
    assert len(told) > 10
    assert [line for line in told if not line.endswith(" unchanged")] == []


def test_with_what_it_grants_the_operator_makes_a_models_children(
    installed: tuple[ControlPlane, Path], tmp_path: Path
) -> None:
    plane, _ = installed
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    operator = OperatorProcess(plane, NAMESPACE, "fairlead", tmp_path)
    try:
        plane.kubectl("apply", "-f", "-", stdin=json.dumps(_MODEL))
        until(lambda: len(items(plane, "default", "deployments")) == 1, operator.logs)
    finally:
        assert operator.stop() == 0, operator.logs()
    assert [e for e in operator.requests() if e["responseStatus"].get("code") == 403] == []

"""The chart brings the CRDs, updates them with an upgrade and keeps them after an uninstall."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import controlplane
from cluster.controlplane import ControlPlane
from cluster.paths import ROOT, ClusterError
from tests.chart.rendering import CHART, NAMESPACE, HelmError, helm, of_kind, render

_SOURCE = ROOT / "crds"
_COPY = CHART / "files" / "crds"
_CRD = "crd/modeldeployments.fairlead.dev"
_MODEL = ROOT / "tests" / "crds" / "valid" / "minimal.yaml"


def test_the_charts_copies_equal_the_crds() -> None:
    names = {path.name for path in _SOURCE.iterdir()}
    assert names == {path.name for path in _COPY.iterdir()}
    for name in names:
        assert (_COPY / name).read_bytes() == (_SOURCE / name).read_bytes()


def _without_metadata(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "metadata"}


def test_what_is_rendered_is_the_crd_but_for_labels_and_annotations() -> None:
    rendered = {d["metadata"]["name"]: d for d in of_kind(render(), "CustomResourceDefinition")}
    wanted = [yaml.safe_load(path.read_text()) for path in _SOURCE.iterdir()]
    assert sorted(rendered) == sorted(crd["metadata"]["name"] for crd in wanted)
    for crd in wanted:
        assert _without_metadata(rendered[crd["metadata"]["name"]]) == _without_metadata(crd)


def test_crds_are_kept_unless_said_otherwise() -> None:
    policy = "helm.sh/resource-policy"
    for crd in of_kind(render(), "CustomResourceDefinition"):
        assert crd["metadata"]["annotations"] == {policy: "keep"}
    given_up = of_kind(render("--set", "crds.keep=false"), "CustomResourceDefinition")
    assert given_up
    for crd in given_up:
        assert "annotations" not in crd["metadata"]


def test_no_crd_is_rendered_where_somebody_else_installs_them() -> None:
    assert of_kind(render("--set", "crds.install=false"), "CustomResourceDefinition") == []


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[ControlPlane]:
    """Return a control plane in which nothing is installed."""
    with controlplane.start(tmp_path / "plane", controllers=True) as running:
        yield running


@pytest.mark.apiserver
def test_an_upgrade_updates_the_crds_and_an_uninstall_keeps_every_model(
    fresh: ControlPlane, tmp_path: Path
) -> None:
    def run(*args: str) -> None:
        helm(*args, "--namespace", NAMESPACE, kubeconfig=fresh.kubeconfig)

    def description() -> str:
        crd = json.loads(fresh.kubectl("get", _CRD, "-o", "json"))
        text: str = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"]
        return text

    run("install", "one", str(CHART), "--create-namespace")
    fresh.kubectl("wait", "--for=condition=Established", _CRD, "--timeout=30s")
    fresh.kubectl("apply", "-f", str(_MODEL))
    model = fresh.kubectl("get", "modeldeployments", "-o", "jsonpath={.items[*].metadata.uid}")
    assert model

    newer = tmp_path / "chart"
    shutil.copytree(CHART, newer)
    path = next(iter((newer / "files" / "crds").glob("*_modeldeployments.yaml")))
    crd = yaml.safe_load(path.read_text())
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = "Newer."
    path.write_text(yaml.safe_dump(crd))
    assert description() != "Newer."
    run("upgrade", "one", str(newer))
    assert description() == "Newer."

    run("uninstall", "one")
    with pytest.raises(ClusterError, match="not found"):
        fresh.kubectl("-n", NAMESPACE, "get", "deployment", "one-fairlead")
    left = fresh.kubectl("get", "modeldeployments", "-o", "jsonpath={.items[*].metadata.uid}")
    assert left == model

    with pytest.raises(HelmError, match="cannot be imported into the current release"):
        run("install", "two", str(CHART))
    run("install", "two", str(CHART), "--take-ownership", "--set", "crds.keep=false")
    run("uninstall", "two", "--wait")
    with pytest.raises(ClusterError, match="not found"):
        fresh.kubectl("get", _CRD)

"""examples/gitops as a GitOps tool would render and apply it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.controlplane import ControlPlane
from cluster.paths import ROOT, ClusterError
from tests.chart.rendering import helm

EXAMPLES = ROOT / "examples"
GITOPS = EXAMPLES / "gitops"
STAGES = ("staging", "production", "experiment")
VALUES = {"staging": (), "production": ("-f", str(GITOPS / "helm" / "values-production.yaml"))}
DIGESTS = {
    f"sha256:{hashlib.sha256((EXAMPLES / 'breast-cancer' / path).read_bytes()).hexdigest()}"
    for path in ("model.onnx", "2/model.onnx")
}
JSON = dict[str, Any]


def kustomized(plane: ControlPlane, stage: str) -> list[JSON]:
    """Return what Kustomize makes of a stage."""
    text = plane.kubectl("kustomize", str(GITOPS / "kustomize" / stage))
    return list(yaml.safe_load_all(text))


def templated(stage: str, namespace: str) -> list[JSON]:
    """Return what Helm makes of a stage."""
    text = helm(
        "template", "models", str(GITOPS / "helm"), "--namespace", namespace, *VALUES[stage]
    )
    return [document for document in yaml.safe_load_all(text) if document]


def of_kind(documents: list[JSON], kind: str) -> dict[str, JSON]:
    return {each["metadata"]["name"]: each for each in documents if each["kind"] == kind}


def dry_run(plane: ControlPlane, documents: list[JSON]) -> str:
    """Apply on the server, by a dry run that refuses unknown fields."""
    items = {"apiVersion": "v1", "kind": "List", "items": documents}
    return plane.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-",
        stdin=json.dumps(items),
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def namespaces(plane: ControlPlane) -> None:
    """Make the namespaces of the stages: a dry run needs them."""
    for name in ("models-staging", "models-production"):
        plane.kubectl("create", "namespace", name)


@pytest.mark.parametrize("stage", STAGES)
def test_the_api_server_takes_what_kustomize_makes(plane: ControlPlane, stage: str) -> None:
    documents = kustomized(plane, stage)
    told = dry_run(plane, documents)
    assert len(told.splitlines()) == len(documents)
    assert of_kind(documents, "ModelDeployment").keys() >= {"breast-cancer"}


def test_the_stages_differ_in_replicas_and_steps_alone(plane: ControlPlane) -> None:
    staging, production = (
        of_kind(kustomized(plane, stage), "ModelDeployment")["breast-cancer"]["spec"]
        for stage in ("staging", "production")
    )
    assert staging["model"] == production["model"]
    assert staging["rollout"]["steps"] == []
    assert [step["weight"] for step in production["rollout"]["steps"]] == [5, 25, 50]
    assert production["scaling"]["minReplicas"] == 2


@pytest.mark.parametrize("stage", STAGES)
def test_the_model_that_a_uri_names_is_there_with_its_digest(
    plane: ControlPlane, stage: str
) -> None:
    documents = kustomized(plane, stage)
    files = of_kind(documents, "ConfigMap")
    for model in of_kind(documents, "ModelDeployment").values():
        assert model["spec"]["model"]["digest"] in DIGESTS
        if not model["spec"]["model"]["uri"].startswith("configmap:"):
            continue
        name, key = model["spec"]["model"]["uri"].removeprefix("configmap://").split("/")
        assert key in files[name]["binaryData"]
        assert files[name]["metadata"]["namespace"] == model["metadata"]["namespace"]


def test_an_experiment_follows_its_models_when_kustomize_renames_them(
    plane: ControlPlane, tmp_path: Path
) -> None:
    # Kustomize takes bases by relative paths alone, and only below a common root.
    inside = Path(*[".."] * (len(tmp_path.resolve().parts) - 1)) / str(
        GITOPS / "kustomize" / "experiment"
    ).lstrip("/")
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namePrefix": "team-",
        "resources": [str(inside)],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    documents = list(yaml.safe_load_all(plane.kubectl("kustomize", str(tmp_path))))
    models = of_kind(documents, "ModelDeployment")
    assert set(models) == {"team-breast-cancer", "team-breast-cancer-larger"}
    spec = of_kind(documents, "Experiment")["team-larger-model"]["spec"]
    assert spec["target"] == "team-breast-cancer"
    assert {arm["modelDeployment"] for arm in spec["variants"]} == set(models)


@pytest.mark.parametrize("stage", VALUES)
def test_the_api_server_takes_what_helm_makes(plane: ControlPlane, stage: str) -> None:
    helm("lint", "--strict", str(GITOPS / "helm"), *VALUES[stage])
    documents = templated(stage, f"models-{stage}")
    dry_run(plane, documents)
    for model in of_kind(documents, "ModelDeployment").values():
        assert model["spec"]["model"]["digest"] in DIGESTS


def test_a_misspelt_field_in_the_values_is_refused(plane: ControlPlane) -> None:
    documents = templated("production", "models-production")
    of_kind(documents, "ModelDeployment")["breast-cancer"]["spec"]["scaling"]["minReplica"] = 2
    with pytest.raises(ClusterError, match="minReplica"):
        dry_run(plane, documents)

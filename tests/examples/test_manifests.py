"""The example manifests are valid, and fit the files that they name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.examples.kept import EXAMPLES, MODELS, Kept

CRD = EXAMPLES.parent / "crds" / "fairlead.dev_modeldeployments.yaml"
MANIFESTS = sorted(EXAMPLES.rglob("modeldeployment.yaml"))

each_model = pytest.mark.parametrize("kept", MODELS, ids=lambda kept: kept.file)


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with unknown fields refused, as `kubectl apply` refuses them."""
    made = {k: closed(v) if isinstance(v, dict) else v for k, v in schema.items()}
    lists_its_fields = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if lists_its_fields and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made["additionalProperties"] = False
    return made


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    crd = yaml.safe_load(CRD.read_text())
    (version,) = crd["spec"]["versions"]
    return jsonschema.Draft202012Validator(closed(version["schema"]["openAPIV3Schema"]))


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_the_resource_definition_accepts_it(
    path: Path, validator: jsonschema.Draft202012Validator
) -> None:
    assert list(validator.iter_errors(read(path))) == []


def test_a_misspelt_field_would_be_found(validator: jsonschema.Draft202012Validator) -> None:
    document = read(MODELS[0].manifest)
    document["spec"]["scaling"]["maxReplica"] = 3
    assert [error.validator for error in validator.iter_errors(document)] == [
        "additionalProperties"
    ]


@each_model
def test_the_pinned_digest_is_the_files(kept: Kept) -> None:
    digest = hashlib.sha256(kept.path.read_bytes()).hexdigest()
    assert read(kept.manifest)["spec"]["model"]["digest"] == f"sha256:{digest}"


@each_model
def test_the_kustomization_makes_the_configmap_that_the_uri_names(kept: Kept) -> None:
    kustomization = read(kept.path.with_name("kustomization.yaml"))
    assert kustomization["resources"] == [kept.manifest.name]
    assert kustomization["generatorOptions"] == {"disableNameSuffixHash": True}
    (generated,) = kustomization["configMapGenerator"]
    key, *beside = generated["files"]
    assert beside in ([], ["profile.json"])
    assert all(kept.path.with_name(name).is_file() for name in beside)
    assert kept.path.with_name(key) == kept.path
    assert read(kept.manifest)["spec"]["model"]["uri"] == f"configmap://{generated['name']}/{key}"


def test_the_update_is_of_the_same_resource_and_changes_the_model_alone() -> None:
    first, second = (read(kept.manifest) for kept in MODELS[:2])
    assert first["metadata"] == second["metadata"]
    before, after = (document["spec"].pop("model") for document in (first, second))
    assert first == second
    assert before.keys() == after.keys()
    assert (before["version"], after["version"]) == ("1", "2")


@pytest.mark.parametrize("source", ["http", "pvc"])
def test_the_samples_of_other_sources_pin_a_kept_model(source: str) -> None:
    model = read(EXAMPLES / source / "modeldeployment.yaml")["spec"]["model"]
    digest = hashlib.sha256(MODELS[0].path.read_bytes()).hexdigest()
    assert model["digest"] == f"sha256:{digest}"
    assert model["uri"].startswith(source)

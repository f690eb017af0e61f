"""A changed CRD takes what the one before took, or the check says what it does not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead_operator.api import crds
from fairlead_operator.api.compatibility import problems

BASELINE = Path(__file__).parents[2] / "crds" / "baseline"
CRD = crds.model_deployment_crd()
Definition = dict[str, Any]


def schema(crd: Definition) -> Any:
    """Return the schema of the spec."""
    version = crd["spec"]["versions"][0]
    return version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


def changed(change: Callable[[Definition], object]) -> list[str]:
    """Return what is found where the new definition differs by a change."""
    new = copy.deepcopy(CRD)
    change(new)
    return problems(CRD, new)


def changed_back(change: Callable[[Definition], object]) -> list[str]:
    """Return what is found where the old definition differs by a change."""
    old = copy.deepcopy(CRD)
    change(old)
    return problems(old, CRD)


BREAKS: dict[str, tuple[Callable[[Definition], object], str]] = {
    "a field is gone": (
        lambda crd: schema(crd)["model"]["properties"].pop("digest"),
        "v1alpha1.spec.model.digest is gone: what is stored there is lost",
    ),
    "a field has another type": (
        lambda crd: schema(crd)["model"]["properties"]["uri"].update(type="integer"),
        "v1alpha1.spec.model.uri: type is integer, was string",
    ),
    "a field is required": (
        lambda crd: schema(crd)["model"].update(required=["uri", "digest"]),
        "v1alpha1.spec.model.digest is required now",
    ),
    "a least value rises": (
        lambda crd: schema(crd)["scaling"]["properties"]["minReplicas"].update(minimum=2),
        "v1alpha1.spec.scaling.minReplicas: minimum is 2, was ",
    ),
    "a length gets a limit": (
        lambda crd: schema(crd)["rollout"]["properties"]["steps"].update(maxItems=1),
        "v1alpha1.spec.rollout.steps: maxItems is 1, was 20",
    ),
    "a pattern changes": (
        lambda crd: schema(crd)["model"]["properties"]["uri"].update(pattern="^s3:"),
        "v1alpha1.spec.model.uri: pattern is ^s3:, was ",
    ),
    "a default changes": (
        lambda crd: schema(crd)["scaling"]["properties"]["minReplicas"].update(default=7),
        "v1alpha1.spec.scaling.minReplicas: the default is 7, was ",
    ),
    "only some values are taken": (
        lambda crd: schema(crd)["model"]["properties"]["version"].update(enum=["1"]),
        "v1alpha1.spec.model.version: only ['1'] is taken now",
    ),
    "a rule is new": (
        lambda crd: schema(crd)["model"].update(
            {"x-kubernetes-validations": [{"rule": "self.uri != ''", "message": "no"}]}
        ),
        "v1alpha1.spec.model: a new rule, self.uri != ''",
    ),
    "a list is merged otherwise": (
        lambda crd: schema(crd)["rollout"]["properties"]["steps"].update(
            {"x-kubernetes-list-type": "set"}
        ),
        "v1alpha1.spec.rollout.steps: x-kubernetes-list-type is set, was ",
    ),
    "a version is no longer served": (
        lambda crd: crd["spec"]["versions"][0].update(served=False),
        "version v1alpha1 is no longer served",
    ),
    "a version is gone": (
        lambda crd: crd["spec"]["versions"][0].update(name="v1"),
        "version v1alpha1 is gone",
    ),
    "the status is no subresource": (
        lambda crd: crd["spec"]["versions"][0].pop("subresources"),
        "version v1alpha1 lacks the subresource status",
    ),
    "a short name is gone": (
        lambda crd: crd["spec"]["names"].update(shortNames=[]),
        "spec.names.shortNames lacks mdep",
    ),
    "another scope": (
        lambda crd: crd["spec"].update(scope="Cluster"),
        "spec.scope is Cluster, was Namespaced",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_somebody_is_said(name: str) -> None:
    change, words = BREAKS[name]
    found = changed(change)
    assert len(found) == 1, found
    assert found[0].startswith(words), found


def _reworded(crd: Definition) -> None:
    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("description"), str):
                node["description"] += " Reworded."
            for rule in node.get("x-kubernetes-validations") or ():
                rule["message"] = "Reworded."
            for each in node.values():
                walk(each)
        elif isinstance(node, list):
            for each in node:
                walk(each)

    walk(crd)


HARMLESS: dict[str, Callable[[Definition], object]] = {
    "nothing": lambda crd: crd,
    "words": _reworded,
    "a new field": lambda crd: schema(crd)["model"]["properties"].update(more={"type": "string"}),
    "a new field with a default, required": lambda crd: schema(crd)["model"].update(
        properties={
            **schema(crd)["model"]["properties"], "more": {"type": "string", "default": "x"},
        },
        required=["uri", "more"],
    ),
    "a wider limit": lambda crd: schema(crd)["rollout"]["properties"]["steps"].update(maxItems=50),
    "a field that is not required any more": lambda crd: schema(crd)["model"].pop("required"),
    "a new column": lambda crd: crd["spec"]["versions"][0]["additionalPrinterColumns"].append(
        {"name": "More", "type": "string", "jsonPath": ".status.more"}
    ),
    "a new version that is not stored": lambda crd: crd["spec"]["versions"].append(
        {**copy.deepcopy(crd["spec"]["versions"][0]), "name": "v1beta1", "storage": False}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_what_breaks_nobody_is_let_through(name: str) -> None:
    assert changed(HARMLESS[name]) == []


def test_a_field_that_comes_may_not_go_again() -> None:
    assert changed_back(HARMLESS["a new field"]) == [
        "v1alpha1.spec.model.more is gone: what is stored there is lost"
    ]


def test_what_was_free_and_is_checked_now_is_said() -> None:
    def free(crd: Definition) -> None:
        model = schema(crd)["model"]
        model["x-kubernetes-preserve-unknown-fields"] = True
        del model["properties"]["digest"]

    found = changed_back(free)
    assert "v1alpha1.spec.model.digest: whatever was there is checked now" in found
    assert "v1alpha1.spec.model is no longer x-kubernetes-preserve-unknown-fields" in found


def test_the_command_fails_where_the_folder_is_empty_or_a_crd_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crds.main(["--compatible-with", str(tmp_path)]) == 1
    assert "there is no CRD in" in capsys.readouterr().err
    gone = copy.deepcopy(CRD)
    gone["metadata"]["name"] = "others.fairlead.dev"
    (tmp_path / "gone.yaml").write_text(yaml.safe_dump(gone))
    assert crds.main(["--compatible-with", str(tmp_path)]) == 1
    assert "others.fairlead.dev: is gone" in capsys.readouterr().err


def test_the_present_crds_take_what_the_last_released_ones_took() -> None:
    assert crds.main(["--compatible-with", str(BASELINE)]) == 0


def test_a_finding_that_was_accepted_is_no_fault_and_one_that_is_none_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = copy.deepcopy(CRD)
    HARMLESS["a new field"](old)
    (tmp_path / "old.yaml").write_text(yaml.safe_dump(old))
    line = (
        "modeldeployments.fairlead.dev: "
        "v1alpha1.spec.model.more is gone: what is stored there is lost"
    )
    (tmp_path / "accepted.txt").write_text(f"# Nobody wrote it.\n\n{line}\n")
    assert crds.main(["--compatible-with", str(tmp_path)]) == 0
    (tmp_path / "accepted.txt").write_text(f"{line}\nsomething else\n")
    assert crds.main(["--compatible-with", str(tmp_path)]) == 1
    assert "something else (accepted, and not so: remove it)" in capsys.readouterr().err

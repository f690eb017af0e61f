"""The router's objects: what they select, how they start and end, and what makes new pods."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from fairlead_operator.planning import names, router
from fairlead_operator.planning.children import Children
from tests.builders import a_resource

PLAN = router.Plan(
    image="fairlead/router:1",
    args=("--config-path", router.bootstrap_file()),
    bootstrap='{"admin": {}}',
    documents={"clusters.json": "{}", "routes-http.json": "{}"},
    connection_age_s=60,
)


def objects(plan: router.Plan = PLAN) -> dict[tuple[str, str], Any]:
    made = Children(a_resource()).router(plan)
    return {(each["kind"], each["metadata"]["name"]): each for each in made}


def pod(plan: router.Plan = PLAN) -> Any:
    return objects(plan)["Deployment", "fraud-fl-router"]["spec"]["template"]


def test_documents_are_written_before_the_pods_that_read_them() -> None:
    kinds = [kind for kind, _ in objects()]
    assert kinds == ["ConfigMap", "ConfigMap", "Deployment", "PodDisruptionBudget"]


def test_the_pods_mount_whole_folders_where_the_documents_are_expected() -> None:
    spec = pod()["spec"]
    [container] = spec["containers"]
    mounts = {each["name"]: each for each in container["volumeMounts"]}
    assert mounts["documents"]["mountPath"] == router.DOCUMENTS_DIR
    assert not any("subPath" in each for each in mounts.values()), "such a file never changes"
    maps = {each["name"]: each["configMap"]["name"] for each in spec["volumes"]}
    for name in maps.values():
        assert ("ConfigMap", name) in objects()
    folder = mounts["bootstrap"]["mountPath"]
    assert container["args"][1] == f"{folder}/{router.BOOTSTRAP}"


@pytest.mark.parametrize(
    ("change", "new_pods"),
    [
        ({"documents": {"clusters.json": "other"}}, False),
        ({"bootstrap": "other"}, True),
        ({"image": "other"}, True),
        ({"connection_age_s": 30}, True),
    ],
    ids=str,
)
def test_only_what_a_running_router_cannot_take_makes_new_pods(
    change: dict[str, Any], new_pods: bool
) -> None:
    assert (pod(dataclasses.replace(PLAN, **change)) != pod()) is new_pods


def test_a_router_answers_for_as_long_as_its_clients_connections_live() -> None:
    spec = pod()["spec"]
    [container] = spec["containers"]
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] == 75
    assert spec["terminationGracePeriodSeconds"] > 75


def test_a_router_is_no_model_to_anything_that_selects() -> None:
    labels = pod()["metadata"]["labels"]
    made = objects()
    deployment = made["Deployment", "fraud-fl-router"]
    budget = made["PodDisruptionBudget", "fraud-fl-router"]
    models = Children(a_resource()).disruption_budget()["spec"]["selector"]["matchLabels"]
    assert names.router_selector("fraud").items() <= labels.items()
    for each in (deployment, budget):
        assert each["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert not models.items() <= labels.items(), "two budgets for one pod block every eviction"


def test_the_address_selects_either_a_revision_or_the_router() -> None:
    make = Children(a_resource())
    assert make.address(None)["spec"]["selector"] == {names.ROUTER_LABEL: "fraud"}
    direct = make.address("0123456789abcdef")
    assert direct["spec"]["selector"] == names.selector("fraud", "01234567")
    assert direct["spec"]["ports"] == make.address(None)["spec"]["ports"]


def test_the_names_of_the_longest_resource_fit() -> None:
    name = "m" * 45
    assert len(names.router_name(name)) <= 63
    assert len(router.bootstrap_name(name, PLAN)) <= 253


def test_the_pod_meets_the_restricted_standard() -> None:
    spec = pod()["spec"]
    [container] = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not spec["automountServiceAccountToken"]

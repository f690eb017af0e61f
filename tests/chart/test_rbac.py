"""The chart grants what the operator's code needs, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead_operator.kube import kinds
from tests.chart.rendering import NAMESPACE, VARIANTS, of_kind, only, render, rules

_MODES = pytest.mark.parametrize("flags", [(), ("--set", "watchNamespaces={a}")], ids=str)
_SERVING = "fairlead-system:fairlead"
_variants = pytest.mark.parametrize("variant", VARIANTS, ids=lambda path: path.stem)


def _needed() -> dict[tuple[str, str], set[str]]:
    """Return what the code does to each resource; a new kind of child is in it by itself."""
    mine, tried = kinds.MODEL_DEPLOYMENT, kinds.EXPERIMENT
    needed = {
        (mine.group, mine.plural): {"get", "list", "watch"},
        (mine.group, f"{mine.plural}/status"): {"patch"},
        (mine.group, f"{mine.plural}/finalizers"): {"update"},
        (tried.group, tried.plural): {"get", "list", "watch"},
        (tried.group, f"{tried.plural}/status"): {"patch"},
        (kinds.POD.group, kinds.POD.plural): {"list", "patch"},
        (kinds.EVENT.group, kinds.EVENT.plural): {"list"},
        (kinds.REPORTED_EVENT.group, kinds.REPORTED_EVENT.plural): {"create"},
    }
    for child in kinds.CHILDREN:
        # An apply that makes a new object is a patch, and is asked for `create` as well.
        verbs = {"get", "list", "watch", "create", "patch", "delete"}
        needed[child.group, child.plural] = verbs
    return needed


@_MODES
def test_rights_where_models_are_served_are_those_that_the_code_needs(
    flags: tuple[str, ...],
) -> None:
    granted = [
        ((group, resource), set(verbs))
        for role, group, resource, verbs in rules(render(*flags))
        if role == _SERVING
    ]
    assert len(granted) == len(dict(granted))
    assert dict(granted) == _needed()


@_MODES
def test_the_lease_is_the_only_right_in_the_releases_own_namespace(flags: tuple[str, ...]) -> None:
    role = only(render(*flags), "Role", "fairlead-lease")
    assert role["metadata"]["namespace"] == NAMESPACE
    one, create = role["rules"]
    group, plural = [kinds.LEASE.group], [kinds.LEASE.plural]
    assert one == {
        "apiGroups": group,
        "resources": plural,
        "resourceNames": ["fairlead"],
        "verbs": ["get", "update"],
    }
    assert create == {"apiGroups": group, "resources": plural, "verbs": ["create"]}


@_variants
def test_no_role_has_a_wildcard_or_reads_secrets(variant: Path) -> None:
    documents = render("-f", str(variant), "--set", "rbac.aggregateRoles=Always")
    roles = of_kind(documents, "Role", "ClusterRole")
    assert roles
    for role in roles:
        for rule in role["rules"]:
            words = {word for words in rule.values() for word in words}
            assert not any("*" in word for word in words), role["metadata"]["name"]
            assert not any(word.startswith("secrets") for word in words)
            assert "nonResourceURLs" not in rule


def test_an_operator_for_some_namespaces_is_nobody_outside_them() -> None:
    documents = render("--set", "watchNamespaces={team-a,team-b}")
    assert of_kind(documents, "ClusterRole", "ClusterRoleBinding") == []
    for kind in ("Role", "RoleBinding"):
        found = [d["metadata"]["namespace"] for d in of_kind(documents, kind)]
        assert sorted(found) == [NAMESPACE, "team-a", "team-b"]


def test_without_crds_an_operator_for_some_namespaces_needs_no_cluster_rights() -> None:
    documents = render("--set", "watchNamespaces={team-a},crds.install=false")
    kinds_outside = {d["kind"] for d in documents if "namespace" not in d["metadata"]}
    assert kinds_outside == set()


@pytest.mark.parametrize(
    ("flags", "count"),
    [
        ("rbac.aggregateRoles=ClusterWide", 2),
        ("rbac.aggregateRoles=ClusterWide,watchNamespaces={a}", 0),
        ("rbac.aggregateRoles=Always,watchNamespaces={a}", 2),
        ("rbac.aggregateRoles=Never", 0),
    ],
)
def test_roles_for_people_are_made_where_they_are_asked_for(flags: str, count: int) -> None:
    roles = of_kind(render("--set", flags), "ClusterRole")
    assert len([r for r in roles if r["metadata"]["name"] != _SERVING]) == count


@_MODES
def test_every_binding_is_of_a_role_that_exists_to_the_operators_account(
    flags: tuple[str, ...],
) -> None:
    documents = render(*flags)
    account = only(documents, "ServiceAccount")["metadata"]
    for binding in of_kind(documents, "RoleBinding", "ClusterRoleBinding"):
        where = binding["metadata"].get("namespace")
        assert any(
            role["kind"] == binding["roleRef"]["kind"]
            and role["metadata"]["name"] == binding["roleRef"]["name"]
            and role["metadata"].get("namespace") == where
            for role in of_kind(documents, "Role", "ClusterRole")
        )
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
        ]


def test_two_releases_do_not_share_names_outside_their_namespaces() -> None:
    def outside(release: str) -> set[tuple[str, str]]:
        documents = render("--set", "crds.install=false", release=release)
        return {
            (d["kind"], d["metadata"]["name"])
            for d in documents
            if "namespace" not in d["metadata"]
        }

    one, two = outside("one"), outside("two")
    assert one
    assert not one & two


def test_nothing_is_granted_where_somebody_else_grants_it() -> None:
    documents = render("--set", "rbac.create=false,rbac.aggregateRoles=Never")
    assert of_kind(documents, "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding") == []

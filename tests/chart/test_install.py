"""The chart on a real API server: admission takes its pods, and its rights are enough."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cluster.controlplane import ControlPlane
from cluster.paths import ClusterError
from fairlead_operator.kube import kinds
from tests.chart.conftest import label_restricted
from tests.chart.process import OperatorProcess, items, until
from tests.chart.rendering import CHART, NAMESPACE, VARIANTS, helm, of_kind, only, render

_Asked = tuple[str, str, str, str, str]
"""Namespace, group, resource, subresource and verb."""

pytestmark = pytest.mark.apiserver
_numbers = itertools.count(1)


def _allowed(plane: ControlPlane, user: str, asked: Iterable[_Asked]) -> dict[_Asked, bool]:
    """Ask the API server what a user may do."""
    asked = list(asked)
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user,
                "resourceAttributes": {
                    "namespace": namespace, "group": group, "resource": resource,
                    "subresource": subresource, "verb": verb,
                },
            },
        }
        for namespace, group, resource, subresource, verb in asked
    ]  # fmt: skip
    body = "\n---\n".join(json.dumps(review) for review in reviews)
    out = plane.kubectl("create", "-f", "-", "-o", "jsonpath={.status.allowed} ", stdin=body)
    answers = out.split()
    assert len(answers) == len(asked)
    return dict(zip(asked, [answer == "true" for answer in answers], strict=True))


def test_the_pods_are_taken_where_the_restricted_standard_is_enforced(plane: ControlPlane) -> None:
    with pytest.raises(ClusterError, match='violates PodSecurity "restricted'):
        plane.kubectl(
            "-n", NAMESPACE, "run", "careless", "--image=example/none", "--dry-run=server"
        )
    until(
        lambda: bool(items(plane, NAMESPACE, "pods", "-l", "app.kubernetes.io/component=operator")),
        lambda: plane.kubectl("-n", NAMESPACE, "describe", "replicasets"),
    )
    pod = json.dumps(only(render(), "Pod"))
    plane.kubectl("-n", NAMESPACE, "apply", "--dry-run=server", "-f", "-", stdin=pod)


_WITH_PROMETHEUS_OPERATOR = ("serviceMonitor", "podMonitor", "modelMonitor", "prometheusRule")
"""Their kinds are the Prometheus Operator's, which is not here; see `test_templates.py`."""


def test_everything_that_can_be_switched_on_is_taken_by_the_api_server(plane: ControlPlane) -> None:
    values = Path(__file__).parent / "values" / "everything.yaml"
    monitors = ",".join(f"metrics.{name}.enabled=false" for name in _WITH_PROMETHEUS_OPERATOR)
    plane.kubectl("create", "namespace", "team-a")  # where the values have a policy for routers
    helm(
        "install", "other", str(CHART), "--namespace", NAMESPACE, "-f", str(values),
        "--set", f"crds.install=false,{monitors}", "--dry-run=server",
        kubeconfig=plane.kubeconfig,
    )  # fmt: skip
    documents = render("-f", str(values), "--set", f"crds.install=false,{monitors}")
    body = "\n---\n".join(json.dumps(document) for document in documents)
    plane.kubectl("apply", "--dry-run=server", "-f", "-", stdin=body)


_VIOLATES = 'violates PodSecurity "restricted'


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda path: path.stem)
def test_every_pod_of_every_variant_is_admitted_by_the_restricted_standard(
    plane: ControlPlane, variant: Path
) -> None:
    documents = render("-f", str(variant))
    templates = [d["spec"]["template"] for d in of_kind(documents, "Deployment", "StatefulSet")]
    templates += [{"spec": pod["spec"]} for pod in of_kind(documents, "Pod")]
    assert templates
    pods = [_pod(template["spec"], number) for number, template in enumerate(templates)]
    admitted = plane.kubectl(
        "-n", NAMESPACE, "create", "--dry-run=server", "-f", "-", "-o", "name",
        stdin="\n---\n".join(json.dumps(pod) for pod in pods),
    )  # fmt: skip
    assert len(admitted.split()) == len(pods)
    for pod in pods:  # what admits them would not admit everything
        pod["spec"].pop("securityContext")
        with pytest.raises(ClusterError, match=_VIOLATES):
            plane.kubectl(
                "-n", NAMESPACE, "create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod)
            )


def _pod(spec: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a pod that needs no account, claim or priority class of its own."""
    spec = {k: v for k, v in spec.items() if k not in ("serviceAccountName", "priorityClassName")}
    known = {volume["name"] for volume in spec.get("volumes", ())}
    mounted = {m["name"] for each in spec["containers"] for m in each.get("volumeMounts", ())}
    claimed = [{"name": name, "emptyDir": {}} for name in sorted(mounted - known)]
    spec |= {"volumes": [*spec.get("volumes", ()), *claimed]}
    meta = {"name": f"rendered-{number}"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


@contextlib.contextmanager
def _installed(plane: ControlPlane, *served: str) -> Iterator[tuple[str, str]]:
    """Give the namespace and name of a release: the one for the whole cluster, or one for some."""
    if not served:
        yield NAMESPACE, "fairlead"
        return
    home = f"operators-{next(_numbers)}"
    label_restricted(plane, home)
    helm(
        "install", "fairlead", str(CHART), "--namespace", home,
        "--set", f"crds.install=false,watchNamespaces={{{','.join(served)}}}",
        kubeconfig=plane.kubeconfig,
    )  # fmt: skip
    try:
        yield home, "fairlead"
    finally:
        helm("uninstall", "fairlead", "--namespace", home, kubeconfig=plane.kubeconfig)


def _namespaces(plane: ControlPlane, count: int) -> list[str]:
    names = [f"models-{next(_numbers)}" for _ in range(count)]
    for name in names:
        label_restricted(plane, name)
    return names


@pytest.mark.parametrize("clusterwide", [True, False], ids=["cluster-wide", "namespaced"])
def test_the_account_may_do_what_it_must_and_no_more(
    plane: ControlPlane, clusterwide: bool
) -> None:
    served, other = _namespaces(plane, 2)
    with _installed(plane, *([] if clusterwide else [served])) as (home, name):
        user = f"system:serviceaccount:{home}:{name}"
        mine = kinds.MODEL_DEPLOYMENT
        must = {
            (served, child.group, child.plural, "", verb)
            for child in kinds.CHILDREN
            for verb in ("get", "list", "watch", "create", "patch", "delete")
        }
        must |= {(served, mine.group, mine.plural, "", verb) for verb in ("get", "list", "watch")}
        must |= {
            (served, mine.group, mine.plural, "status", "patch"),
            (served, "", "pods", "", "list"),
            (served, "", "events", "", "list"),
            (served, "events.k8s.io", "events", "", "create"),
            (home, kinds.LEASE.group, kinds.LEASE.plural, "", "create"),
        }
        must_not = {
            (where, mine.group, mine.plural, "", verb)
            for where in (served, "")
            for verb in ("create", "update", "patch", "delete", "deletecollection")
        }
        must_not |= {
            (where, "", "secrets", "", verb)
            for where in (served, home, "")
            for verb in ("get", "list", "watch", "create", "update", "patch", "delete")
        }
        must_not |= {
            (served, mine.group, mine.plural, "status", "update"),
            (served, "", "pods", "", "create"),
            (served, "", "pods", "exec", "create"),
            (served, kinds.LEASE.group, kinds.LEASE.plural, "", "create"),
            (home, kinds.LEASE.group, kinds.LEASE.plural, "", "list"),
            ("", "", "namespaces", "", "list"),
            ("", "apiextensions.k8s.io", "customresourcedefinitions", "", "list"),
            ("", "rbac.authorization.k8s.io", "clusterroles", "", "escalate"),
        }
        elsewhere: set[_Asked] = {
            (other, group, resource, sub, verb)
            for where, group, resource, sub, verb in must
            if where == served
        }
        answers = _allowed(plane, user, must | must_not | elsewhere)
    assert [asked for asked in must if not answers[asked]] == []
    assert [asked for asked in must_not if answers[asked]] == []
    assert {answers[asked] for asked in elsewhere} == {clusterwide}


def _same(asked: Callable[[], set[_Asked]], wished: set[_Asked]) -> bool:
    return asked() == wished


def test_people_with_the_clusters_own_roles_get_their_share(plane: ControlPlane) -> None:
    (namespace,) = _namespaces(plane, 1)
    mine = kinds.MODEL_DEPLOYMENT

    def right(verb: str, sub: str = "") -> _Asked:
        return namespace, mine.group, mine.plural, sub, verb

    reads = {right("get"), right("list"), right("watch"), right("get", "status")}
    writes = {right(v) for v in ("create", "update", "patch", "delete", "deletecollection")}
    status = {right("patch", "status"), right("update", "status")}
    everything = reads | writes | status
    for role, may in (("view", reads), ("edit", reads | writes), ("admin", reads | writes)):
        user = f"{role}-er"
        binding = ("rolebinding", user, f"--clusterrole={role}", f"--user={user}")
        plane.kubectl("-n", namespace, "create", *binding)

        def allowed(user: str = user) -> set[_Asked]:
            return {key for key, yes in _allowed(plane, user, everything).items() if yes}

        # The controller that aggregates roles comes by a moment after the installation.
        until(partial(_same, allowed, may), allowed)


def _model(name: str, version: int) -> str:
    return json.dumps(
        {
            "apiVersion": kinds.MODEL_DEPLOYMENT.api_version,
            "kind": kinds.MODEL_DEPLOYMENT.kind,
            "metadata": {"name": name},
            "spec": {
                "model": {"uri": f"https://models.example/{name}/{version}/model.onnx"},
                "validation": {"enabled": False},  # nobody runs its Job here
            },
        }
    )


_MADE = ("deployments", "services", "horizontalpodautoscalers", "poddisruptionbudgets", "pods")
_MUST_DO = (
    ("watch", "modeldeployments"),
    ("watch", "configmaps"),
    ("patch", "modeldeployments", "status"),
    ("delete", "controllerrevisions"),
    ("list", "pods"),
    ("create", "events"),
)
"""What the test relies on having happened; without it there would be nothing to forbid."""


def _names(plane: ControlPlane, namespace: str, kind: str) -> list[str]:
    return [item["metadata"]["name"] for item in items(plane, namespace, kind)]


def _has_everything(plane: ControlPlane, namespace: str) -> bool:
    return all(_names(plane, namespace, kind) for kind in _MADE)


def _is_replaced(plane: ControlPlane, namespace: str, old: str) -> bool:
    left = _names(plane, namespace, "deployments")
    return len(left) == 1 and left != [old]


def _may_own(plane: ControlPlane, user: str, namespace: str) -> bool:
    """Whether the API server has heard of the account's rights, and of the owners' kind.

    Both are watched or looked up by it, the kind every 30 seconds: what asks sooner is forbidden.
    """
    mine = kinds.MODEL_DEPLOYMENT
    owner = {"apiVersion": mine.api_version, "kind": mine.kind, "name": "owner", "uid": "1"}
    owned = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": "owned",
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "revision": 1,
        "data": {},
    }
    try:
        plane.kubectl(
            "--as", user, "-n", namespace, "create", "--dry-run=server", "-f", "-",
            stdin=json.dumps(owned),
        )  # fmt: skip
    except ClusterError as error:
        if "orbidden" in str(error):
            return False
        raise
    return True


@pytest.mark.parametrize("clusterwide", [True, False], ids=["cluster-wide", "namespaced"])
def test_with_the_charts_rights_a_model_gets_its_children_and_nothing_is_forbidden(
    plane: ControlPlane, tmp_path: Path, clusterwide: bool
) -> None:
    first, second, other = _namespaces(plane, 3)
    served = [] if clusterwide else [first, second]
    with _installed(plane, *served) as (home, name):
        for namespace in (first, second):
            until(
                partial(_may_own, plane, f"system:serviceaccount:{home}:{name}", namespace),
                lambda: "the account may not own anything",
            )
        operator = OperatorProcess(plane, home, name, tmp_path)
        try:
            for namespace in (first, second, other):
                plane.kubectl("-n", namespace, "apply", "-f", "-", stdin=_model("fraud", 1))
            for namespace in (first, second, other) if clusterwide else (first, second):
                until(partial(_has_everything, plane, namespace), operator.logs)
            # Another model before the first has served: what was made for the first goes.
            (old,) = _names(plane, first, "deployments")
            plane.kubectl("-n", first, "apply", "-f", "-", stdin=_model("fraud", 2))
            until(partial(_is_replaced, plane, first, old), operator.logs)
            for did in _MUST_DO:
                until(partial(operator.did, *did), operator.logs)
        finally:
            status = operator.stop()
        lease = only(items(plane, home, "leases"), "Lease", name)
        alone = [] if clusterwide else items(plane, other, "deployments")
        refused = [e for e in operator.requests() if e["responseStatus"].get("code") == 403]
    assert status == 0, operator.logs()
    assert lease["spec"]["holderIdentity"] == ""
    assert alone == []
    assert [(e["verb"], e["requestURI"]) for e in refused] == []
    assert "orbidden" not in operator.logs()

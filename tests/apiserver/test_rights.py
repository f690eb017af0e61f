"""The chart's role beside what the API server's audit log says of a whole life: equal both ways."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster.controlplane import ControlPlane, write_kubeconfig
from fairlead_operator.kube.kinds import EXPERIMENT, MODEL_DEPLOYMENT, Kind
from fairlead_operator.planning.network import Policies
from fairlead_operator.settings import Settings
from fairlead_recorder.http.access import AUDIENCE
from tests.apiserver.api import Api, a_model, until
from tests.apiserver.experimenting import an_experiment
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.process import user
from tests.apiserver.rig import SETTINGS, MortalCluster, Rig
from tests.apiserver.rolling import Cluster
from tests.apiserver.story import MakeOperator, events
from tests.builders import later
from tests.chart.rendering import Document, of_kind, render
from tests.recorder.process import recorder

pytestmark = pytest.mark.timeout(600)
_PATIENCE_S = 200.0
Right = tuple[str, str, str]
"""API group, resource with its subresource, verb."""
CLUSTER_ROLE = Kind("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles")
CLUSTER_ROLE_BINDING = Kind(
    "rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings"
)
_NO_REQUEST = {("fairlead.dev", "modeldeployments/finalizers", "update")}
"""OpenShift asks for it when an owner reference is written; nobody makes a request to it."""


def granted(*roles: Document) -> set[Right]:
    """Return every right in some roles."""
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used(plane: ControlPlane, username: str) -> set[Right]:
    """Return what a user has done with success, by the audit log.

    An apply that made an object is a patch there; the right to create it was asked for as well.
    """
    found: set[Right] = set()
    for line in plane.audit_log.read_text().splitlines():
        event: dict[str, Any] = json.loads(line) if username in line else {}
        code = event.get("responseStatus", {}).get("code", 0)
        if event.get("user", {}).get("username") != username or not 200 <= code < 300:
            continue
        about = event["objectRef"]
        resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
        verbs = {event["verb"]} | ({"create"} if (event["verb"], code) == ("patch", 201) else set())
        found |= {(about.get("apiGroup", ""), resource, verb) for verb in verbs}
    return found


def refused(plane: ControlPlane, username: str) -> list[str]:
    """Return what a user was forbidden."""
    lines = [line for line in plane.audit_log.read_text().splitlines() if username in line]
    asked = [json.loads(line) for line in lines]
    return [
        f"{event['verb']} {event['requestURI']}"
        for event in asked
        if event["user"]["username"] == username
        and event.get("responseStatus", {}).get("code") == 403
    ]


def test_the_roles_for_a_cluster_and_for_a_namespace_grant_the_same() -> None:
    whole, some = (
        [role for role in of_kind(render(*flags), "ClusterRole", "Role") if _serves(role)]
        for flags in ((), ("--set", "watchNamespaces={a}"))
    )
    assert granted(*whole) == granted(*some)


def _serves(role: Document) -> bool:
    return role["metadata"]["name"] in ("fairlead-system:fairlead", "fairlead-lease")


async def test_the_operators_role_has_every_right_that_is_used_and_no_other(
    api: Api, plane: ControlPlane, namespace: str, tmp_path: Path, new_operator: MakeOperator
) -> None:
    process = new_operator("--network-policies", "on", "--drain-seconds", "1")
    cluster = await MortalCluster.connect(str(tmp_path / "kubeconfig"))
    assert isinstance(cluster, MortalCluster)
    kubelet = Kubelet(api, namespace)
    async with Rig(cluster, namespace, _with_policies()) as rig:
        await _a_whole_life(Cluster(api, rig, kubelet))
        await api.create(EXPERIMENT, namespace, an_experiment())
        await rig.experiment(later(0))
        # What a conflict makes it do; nobody else writes here.
        await rig.experimenter.refresh((namespace, "checkout"))
    process.launch()  # the Lease and the watches
    await api.create(MODEL_DEPLOYMENT, namespace, a_model("ill"))

    async def made() -> str | None:
        revisions = ((await api.model(namespace, "ill")).get("status") or {}).get("revisions")
        return str(revisions[0]["name"]) if revisions else None

    revision = await until("a revision", made, within_s=_PATIENCE_S)
    await kubelet.some_pods(revision)
    await kubelet.cannot_mount(revision, "no such volume")

    async def told() -> bool:
        return ("Warning", "VolumeMountFailed") in await events(api, namespace, "ill")

    await until("an Event", told, within_s=_PATIENCE_S)
    assert process.stop() == 0
    assert refused(plane, user(namespace)) == []
    roles = [role for role in of_kind(render(), "ClusterRole", "Role") if _serves(role)]
    assert len(roles) == 2
    have, need = granted(*roles), used(plane, user(namespace))
    assert sorted(need - have) == [], "used, and not granted"
    assert sorted(have - need) == sorted(_NO_REQUEST), "granted, and not used"


def _with_policies() -> Settings:
    return dataclasses.replace(SETTINGS, network_policies=Policies())


async def _a_whole_life(world: Cluster) -> None:
    """Validate, serve, split, promote, retire: everything is made, and everything goes."""
    await world.first()
    await world.second()
    await world.split()
    for _ in range(14):
        await world.go(6)
    await world.go(100)
    assert (await world.model())["status"]["version"] == "2"


async def test_the_recorders_role_has_the_right_that_is_used_and_no_other(
    api: Api, plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    (role,) = [
        each
        for each in of_kind(render("--set", "recorder.enabled=true"), "ClusterRole")
        if each["metadata"]["name"].endswith("recorder")
    ]
    name = f"{namespace}-recorder"
    username = f"system:serviceaccount:{namespace}:default"
    await api.create(CLUSTER_ROLE, None, {"metadata": {"name": name}, "rules": role["rules"]})
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
    reference = {"apiGroup": CLUSTER_ROLE.group, "kind": CLUSTER_ROLE.kind, "name": name}
    binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
    await api.create(CLUSTER_ROLE_BINDING, None, binding)
    config = tmp_path / "recorder.kubeconfig"
    token = plane.kubectl("create", "token", "default", "-n", namespace).strip()
    authority = plane.directory / "ca.crt"
    write_kubeconfig(config, server=plane.server, authority=authority, token=token)
    with recorder(
        f"sqlite:///{tmp_path}/events.db", tmp_path, f"--operators={username}",
        env={"KUBECONFIG": str(config)},
    ) as running:  # fmt: skip
        own = plane.kubectl("create", "token", "default", "-n", namespace, f"--audience={AUDIENCE}")
        answer = running.put(
            running.path, running.definition, Authorization=f"Bearer {own.strip()}"
        )
        assert answer.status_code == httpx.codes.OK, answer.text
    assert used(plane, username) == granted(role)
    assert refused(plane, username) == []

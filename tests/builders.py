"""Builders of snapshots and objects for tests of the pure rooms."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from fairlead_operator.api.times import write_instant
from fairlead_operator.planning import names
from fairlead_operator.rollout.decide import Decision
from fairlead_operator.rollout.revision import Revision, State, to_status
from fairlead_operator.rollout.settled import Settled
from fairlead_operator.rollout.snapshot import Snapshot

NOW = dt.datetime(2026, 1, 1, 12, 0, 0, tzinfo=dt.UTC)
SETTLED = Settled(runtime_image="fairlead/runtime:1", drain_s=75.0, connection_age_s=60.0)
MODEL = {"uri": "https://models.example/fraud/1/model.onnx", "maxSizeMiB": 2048}


def later(seconds: float) -> dt.datetime:
    """Return an instant after NOW."""
    return NOW + dt.timedelta(seconds=seconds)


def a_resource(**status: Any) -> dict[str, Any]:
    """Return a ModelDeployment as the API server gives it."""
    return {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {
            "name": "fraud",
            "namespace": "team",
            "uid": "uid-1",
            "generation": 3,
            "resourceVersion": "100",
        },
        "spec": {"model": dict(MODEL)},
        "status": status,
    }


def a_snapshot(**changes: Any) -> Snapshot:
    """Return the snapshot of a resource that nothing exists for yet."""
    base = Snapshot(
        resource=a_resource(),
        model=dict(MODEL),
        runtime={},
        scaling={"minReplicas": 1, "maxReplicas": 10, "targetCPUPercent": 70},
    )
    return dataclasses.replace(base, **changes)


def a_revision(number: int = 1, state: State = State.ACTIVE, **changes: Any) -> Revision:
    """Return a remembered revision."""
    base = Revision(
        hash=f"{number:08d}{number:08d}",
        version=str(number),
        state=state,
        image="fairlead/runtime:1",
        model={**MODEL, "version": str(number)},
        runtime={},
        created_at=write_instant(NOW),
    )
    return dataclasses.replace(base, **changes)


def a_deployment(revision: Revision, *, replicas: int = 1, ready: int = 1) -> dict[str, Any]:
    """Return a live Deployment of a revision."""
    return {
        "kind": "Deployment",
        "metadata": {
            "name": revision.child_name("fraud"),
            "labels": names.labels("fraud", revision.hash),
            "generation": 1,
            "uid": "d",
        },
        "spec": {"replicas": replicas, "template": {"metadata": {}, "spec": {}}},
        "status": {"observedGeneration": 1, "readyReplicas": ready},
    }


def live(*deployments: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return children by kind and name."""
    return {(d["kind"], d["metadata"]["name"]): d for d in deployments}


def carried_out(snapshot: Snapshot, decision: Decision, ready: dict[str, int]) -> Snapshot:
    """Return the snapshot after a decision was carried out and so many pods became ready.

    Args:
        snapshot: What was.
        decision: What was decided.
        ready: Ready replicas by revision hash, up to what the HPA asks for.
    """
    children: dict[tuple[str, str], dict[str, Any]] = {}
    for manifest in decision.manifests:
        ident = (manifest["kind"], manifest["metadata"]["name"])
        children[ident] = {**manifest, "metadata": {**manifest["metadata"], "uid": ident[1]}}
    for revision in decision.revisions:
        name = revision.child_name("fraud")
        deployment = children[("Deployment", name)]
        scaler = children.get(("HorizontalPodAutoscaler", name))
        # A draining revision has no autoscaler any more: it keeps its pods.
        least = scaler["spec"]["minReplicas"] if scaler else snapshot.replicas(revision)[0]
        deployment["spec"] = {**deployment["spec"], "replicas": least}
        deployment["status"] = {"readyReplicas": min(least, ready.get(revision.hash, 0))}
    status = {"revisions": [to_status(r, "fraud", 0, 0) for r in decision.revisions]}
    return dataclasses.replace(
        snapshot,
        resource={**snapshot.resource, "status": status},
        revisions=decision.revisions,
        recognised=decision.wanted.hash,
        children=children,
    )


def manifest(decision: Decision, kind: str, name: str) -> Any:
    """Return the one manifest of this kind and name."""
    [found] = [m for m in decision.manifests if m["kind"] == kind and m["metadata"]["name"] == name]
    return found


def addressed(decision: Decision) -> str:
    """Return the short hash of the revision that the address is to select."""
    selector = manifest(decision, "Service", "fraud")["spec"]["selector"]
    return str(selector["fairlead.dev/revision"])

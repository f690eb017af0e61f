"""Objects as an API server gives them, for what the command line shows of them."""

from __future__ import annotations

import io
from typing import Any

from rich.console import RenderableType

from fairlead_cli import output
from tests.builders import NOW, later

JSON = dict[str, Any]
STABLE, CANDIDATE = "3f2a9c1e" + "0" * 8, "77b0d4f2" + "0" * 8


def stamp(seconds: float) -> str:
    """Return an instant so many seconds after NOW, as status writes it."""
    return later(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def shown(*parts: RenderableType) -> str:
    """Return what a pipe would get."""
    stream = io.StringIO()
    output.show(*parts, stream=stream)
    return stream.getvalue()


def a_condition(kind: str, status: str, reason: str, message: str = "", age_s: float = 120) -> JSON:
    """Return a condition."""
    return {
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": stamp(-age_s),
    }  # fmt: skip


def a_model(name: str = "fraud", *, generation: int = 3, **status: Any) -> JSON:
    """Return a ModelDeployment."""
    return {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {
            "name": name, "namespace": "team", "generation": generation,
            "creationTimestamp": stamp(-7200),
        },
        "spec": {"model": {"uri": "https://models.example/fraud/2/model.onnx"}},
        "status": {"observedGeneration": 3, **status},
    }  # fmt: skip


def a_revision(revision_hash: str, version: str, state: str, **more: Any) -> JSON:
    """Return a revision as a status has it."""
    return {
        "hash": revision_hash, "name": f"fraud-{revision_hash[:8]}", "version": version,
        "state": state, "image": "fairlead/runtime:1",
        "model": {"uri": f"https://models.example/fraud/{version}/model.onnx"},
        "createdAt": stamp(-7200), **more,
    }  # fmt: skip


def a_pod(revision_hash: str | None = None, *, ready: bool = True, **container: Any) -> JSON:
    """Return a pod of a revision, or of the router."""
    ours = {"app.kubernetes.io/managed-by": "fairlead", "app.kubernetes.io/instance": "fraud"}
    if revision_hash is None:
        name, labels = "fraud-fl-router-x", {**ours, "app.kubernetes.io/name": "fairlead-router"}
    else:
        name = f"fraud-{revision_hash[:8]}-x"
        labels = {**ours, "fairlead.dev/revision": revision_hash[:8]}
    return {
        "metadata": {"name": name, "labels": labels, "creationTimestamp": stamp(-300)},
        "spec": {"nodeName": "node-1", "containers": [{"name": "runtime"}]},
        "status": {
            "phase": "Running",
            "containerStatuses": [{"ready": ready, "restartCount": 0, **container}],
        },
    }


def a_split_model(slots: int = 1000) -> JSON:
    """Return a ModelDeployment whose candidate has some of the traffic."""
    arms = [
        {"name": "stable", "key": f"fraud-{STABLE[:8]}", "host": "a"},
        {"name": "candidate", "key": f"fraud-{CANDIDATE[:8]}", "host": "b"},
    ]
    table = [{"arm": "stable", "slots": 10_000 - slots}, {"arm": "candidate", "slots": slots}]
    check = {
        "gate": "errors", "verdict": "PASS", "value": 0.4, "limit": 1, "unit": "%",
        "samples": 1200, "end": stamp(-5),
    }  # fmt: skip
    return a_model(
        conditions=[
            a_condition("Ready", "False", "Progressing", "step 2 of 3"),
            a_condition("Available", "True", "Serving"),
        ],
        stableRevision=STABLE[:8],
        candidateRevision=CANDIDATE[:8],
        version="1",
        url="http://fraud.team.svc",
        latencyP99="12ms",
        traffic={
            "state": "Split", "since": stamp(-90), "configuration": {"arms": arms, "table": table},
        },
        rollout={
            "phase": "Step", "since": stamp(-60), "hash": CANDIDATE, "paused": True,
            "checks": [check], "ledger": {"secret": 1},
        },
        revisions=[
            a_revision(STABLE, "1", "Active", readyReplicas=2, replicas=2),
            a_revision(CANDIDATE, "2", "Progressing", readyReplicas=0, replicas=1),
        ],
        lastAction={
            "verb": "pause", "value": f"{CANDIDATE}/n", "result": "paused", "at": stamp(-30)
        },
    )  # fmt: skip


def an_experiment(**status: Any) -> JSON:
    """Return an Experiment that runs."""
    table = [
        {"arm": "control", "slots": 4000, "epoch": 1},
        {"arm": "control", "slots": 1000, "epoch": 2},
        {"arm": "bigger", "slots": 5000, "epoch": 1},
    ]
    return {
        "kind": "Experiment",
        "metadata": {"name": "ranker", "namespace": "team", "generation": 1},
        "spec": {"target": "ranker"},
        "status": {
            "observedGeneration": 1,
            "phase": "Running",
            "conditions": [a_condition("Ready", "True", "Running")],
            "assignment": {"header": "x-user-id", "salt": "uid-1", "table": table, "epochs": [1]},
            **status,
        },
    }


__all__ = [
    "CANDIDATE", "JSON", "NOW", "STABLE", "a_condition", "a_model", "a_pod", "a_revision",
    "a_split_model", "an_experiment", "later", "shown", "stamp",
]  # fmt: skip

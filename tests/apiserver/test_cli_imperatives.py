"""What people say by the command line, and that it waits for what becomes of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from cluster.controlplane import ControlPlane
from fairlead_cli.kinds import EXPERIMENT
from fairlead_operator.kube.kinds import MODEL_DEPLOYMENT
from tests.apiserver.api import JSON, Api, a_model, until
from tests.apiserver.commandline import HASH, Commands, line_with, operator_says, watching

_CRDS = Path(__file__).resolve().parents[2] / "crds"
_STAND_IN = {
    "metadata": {"name": "experiments.fairlead.dev"},
    "spec": {
        "group": EXPERIMENT.group,
        "scope": "Namespaced",
        "names": {"kind": "Experiment", "plural": "experiments", "singular": "experiment"},
        "versions": [
            {
                "name": EXPERIMENT.version, "served": True, "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}  # fmt: skip


@pytest.fixture
def run(plane: ControlPlane, namespace: str) -> Commands:
    """Return what runs a command in the test's namespace."""
    return Commands(plane, namespace)


@pytest.fixture
def experiments(plane: ControlPlane) -> None:
    """Let the API server know Experiments, where `crds` does not have them yet."""
    if (_CRDS / "fairlead.dev_experiments.yaml").exists():
        return
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    plane.kubectl("apply", "-f", "-", stdin=json.dumps({**crd, **_STAND_IN}))
    name = "crd/experiments.fairlead.dev"
    plane.kubectl("wait", "--for=condition=Established", name, "--timeout=30s")


@pytest.mark.parametrize(
    ("verb", "result", "status"),
    [
        ("promote", "promoted", 0),
        ("pause", "paused", 0),
        ("resume", "ignored: it is not paused by annotation", 1),
        ("abort", "aborted", 0),
        ("retry", "refused: nothing has failed", 1),
    ],
)
async def test_an_imperative_names_the_revision_and_waits_for_the_operator(
    api: Api, namespace: str, run: Commands, verb: str, result: str, status: int
) -> None:
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    patch = {"status": {"candidateRevision": HASH[:8]}}
    await api.merge(MODEL_DEPLOYMENT, namespace, "fraud", patch, "status")
    async with operator_says(api, namespace, verb, result):
        done = await run(verb, "fraud", "-o", "json")
    assert (done.status, done.json["result"]) == (status, result), done.err
    live = await api.model(namespace)
    value = live["metadata"]["annotations"][f"fairlead.dev/{verb}"]
    assert value.startswith(f"{HASH[:8]}/")
    assert done.json["value"] == value
    assert live["metadata"]["generation"] == 1


async def test_an_imperative_that_nobody_acts_on_ends_with_5(
    api: Api, namespace: str, run: Commands
) -> None:
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    nothing = await run("pause", "fraud")
    assert nothing.status == 1
    assert "no revision of fraud is under way" in nothing.err
    args = ("pause", "fraud", "--revision", HASH)
    waited = await run(*args, "--timeout", "1")
    assert waited.status == 5
    assert "has not acted on pause of fraud within 1 s" in waited.err
    first = (await api.model(namespace))["metadata"]["annotations"]["fairlead.dev/pause"]
    assert (await run(*args, "--no-wait")).status == 0
    second = (await api.model(namespace))["metadata"]["annotations"]["fairlead.dev/pause"]
    assert first != second, "said twice, it must be acted on twice"


async def test_waiting_and_watching_outlive_the_api_server(
    api: Api, namespace: str, run: Commands, plane: ControlPlane
) -> None:
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    process = await watching(plane, namespace)
    try:
        await line_with(process, "not seen yet")
        args = ("pause", "fraud", "--revision", HASH, "-o", "json", "--timeout", "80")
        waiting = asyncio.create_task(run(*args))

        async def said() -> bool:
            return "annotations" in (await api.model(namespace))["metadata"]

        await until("somebody says pause", said)
        plane.kill_apiserver()
        await line_with(process, "it is tried again")
        plane.restart_apiserver()
        async with operator_says(api, namespace, "pause", "paused"):
            done = await waiting
        await line_with(process, "last action  pause: paused")
    finally:
        process.kill()
        await process.wait()
    assert (done.status, done.json["result"]) == (0, "paused"), done.err


def _an_experiment() -> JSON:
    arms = [("control", "ranker", 50), ("bigger", "ranker-large", 50)]
    return {
        "metadata": {"name": "checkout"},
        "spec": {
            "target": "ranker",
            "variants": [
                {"name": name, "modelDeployment": model, "weight": weight}
                for name, model, weight in arms
            ],
            "assignment": {"header": "x-user-id"},
            "metrics": [{"name": "conversion", "type": "binary", "goal": "increase"}],
        },
    }


@pytest.mark.usefixtures("experiments")
async def test_an_experiment_is_shown_assigned_and_stopped(
    api: Api, namespace: str, run: Commands
) -> None:
    await api.create(EXPERIMENT, namespace, _an_experiment())
    early = await run("assign", "anna", "--experiment", "checkout")
    assert early.status == 1
    assert "has no table yet" in early.err
    table = [
        {"arm": "control", "slots": 9000, "epoch": 1},
        {"arm": "bigger", "slots": 1000, "epoch": 1},
    ]
    assignment = {
        "header": "x-user-id", "salt": "s", "algorithm": "xxh64", "table": table,
        "epochs": [{"number": 1, "since": "2026-01-01T00:00:00Z", "slots": [9000, 1000]}],
    }  # fmt: skip
    running = {"status": {"observedGeneration": 1, "phase": "Running", "assignment": assignment}}
    await api.merge(EXPERIMENT, namespace, "checkout", running, "status")
    shown = await run("status", "checkout")
    assert shown.out.startswith(f"Experiment {namespace}/checkout  Running\n")
    arms = await run("assign", "anna", "--experiment", "checkout", "-o", "json")
    offline = await run(
        "assign", "anna", "--salt", "s", "--weights", "control=90,bigger=10", "-o", "json"
    )
    assert arms.json == offline.json

    stopping = asyncio.create_task(run("stop", "checkout"))

    async def asked() -> bool:
        live = await api.get(EXPERIMENT, namespace, "checkout")
        return live is not None and live["spec"].get("stopped") is True

    await until("the Experiment is to stop", asked)
    ended = {"observedGeneration": 2, "phase": "Stopped", "endedAt": "2026-01-01T00:00:00Z"}
    await api.merge(EXPERIMENT, namespace, "checkout", {"status": ended}, "status")
    done = await stopping
    assert (done.status, done.out) == (0, "Stopped: checkout\n"), done.err

"""The command line against a real API server, with what the operator really writes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from cluster import build
from cluster.controlplane import ControlPlane, write_kubeconfig
from fairlead_cli.kinds import EXPERIMENT
from fairlead_operator.kube.kinds import CONFIG_MAP, MODEL_DEPLOYMENT
from tests.apiserver import story
from tests.apiserver.api import JSON, SERVICE_ACCOUNT, Api, a_model, until
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.process import OperatorProcess
from tests.apiserver.rig import Rig
from tests.command import Ended
from tests.fairleadcli import environment, fairlead

Run = Callable[..., Ended]
_CRDS = Path(__file__).resolve().parents[2] / "crds"
_HASH = "3f2a9c1e" + "0" * 8
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
def run(plane: ControlPlane, namespace: str) -> Run:
    """Return a function that runs a command in the test's namespace."""

    def command(*args: str, kubeconfig: Path | None = None, stdin: str | None = None) -> Ended:
        where = ("-n", namespace)
        return fairlead(*args, *where, kubeconfig=kubeconfig or plane.kubeconfig, stdin=stdin)

    return command


@pytest.fixture
def experiments(plane: ControlPlane) -> None:
    """Let the API server know Experiments, where `crds` does not have them yet."""
    if (_CRDS / "fairlead.dev_experiments.yaml").exists():
        return
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    plane.kubectl("apply", "-f", "-", stdin=json.dumps({**crd, **_STAND_IN}))
    name = "crd/experiments.fairlead.dev"
    plane.kubectl("wait", "--for=condition=Established", name, "--timeout=30s")


async def test_status_shows_what_the_operator_says_of_a_model_that_serves(
    api: Api, kubelet: Kubelet, rig: Rig, run: Run
) -> None:
    name = await story.serving(api, kubelet, rig)
    done = await asyncio.to_thread(run, "status", "fraud")
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == f"ModelDeployment {rig.namespace}/fraud  Ready"
    (revision,) = [
        line for line in lines if line.startswith("├── revision") or "── revision" in line
    ]
    assert "version 1  Active  stable  100% of the traffic  1/1 ready" in revision
    (pod,) = await kubelet.pods(name)
    assert f"pod {pod['metadata']['name']}  1/1 Running" in done.out
    document = (await asyncio.to_thread(run, "status", "modeldeployment/fraud", "-o", "json")).json
    assert document["current"] is True
    assert [each["name"] for each in document["revisions"]] == [name]
    rows = (await asyncio.to_thread(run, "status")).out.splitlines()
    assert rows[1].split()[:3] == ["fraud", "True", "1"]
    history = await asyncio.to_thread(run, "history", "fraud", "-o", "json")
    assert [each["state"] for each in history.json["revisions"]] == ["Active"]


async def test_watch_shows_a_change_and_ends_with_the_reader(
    api: Api, namespace: str, plane: ControlPlane
) -> None:
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fairlead_cli", "status", "fraud", "--watch", "--interval", "0.2",
        "-n", namespace, env=environment(KUBECONFIG=str(plane.kubeconfig)),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None

    async def line_with(word: str) -> None:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            while word not in (await process.stdout.readline()).decode():
                pass

    try:
        await line_with("not seen yet")
        status = {"observedGeneration": 1, "version": "1", "conditions": [_ready("Odd")]}
        await api.merge(MODEL_DEPLOYMENT, namespace, "fraud", {"status": status}, "status")
        await line_with("Odd")
        process.send_signal(2)
        async with asyncio.timeout(20):
            assert await process.wait() == 130
        assert (await process.stderr.read()).decode().strip() == ""
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def _ready(reason: str) -> JSON:
    return {
        "type": "Ready", "status": "False", "reason": reason, "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }  # fmt: skip


@contextlib.asynccontextmanager
async def _operator(api: Api, namespace: str, verb: str, result: str) -> AsyncIterator[None]:
    """Say in status what became of an imperative, as soon as somebody has said one."""

    async def play() -> None:
        async def said() -> str | None:
            live = await api.model(namespace)
            found: str | None = live["metadata"].get("annotations", {}).get(f"fairlead.dev/{verb}")
            return found

        value = await until(f"somebody says {verb}", said)
        action = {"verb": verb, "value": value, "result": result, "at": "2026-01-01T00:00:00Z"}
        await api.merge(
            MODEL_DEPLOYMENT, namespace, "fraud", {"status": {"lastAction": action}}, "status"
        )

    task = asyncio.create_task(play())
    try:
        yield
    finally:
        await task


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
    api: Api, namespace: str, run: Run, verb: str, result: str, status: int
) -> None:
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    patch = {"status": {"candidateRevision": _HASH[:8]}}
    await api.merge(MODEL_DEPLOYMENT, namespace, "fraud", patch, "status")
    async with _operator(api, namespace, verb, result):
        done = await asyncio.to_thread(run, verb, "fraud", "-o", "json")
    assert (done.status, done.json["result"]) == (status, result), done.err
    live = await api.model(namespace)
    value = live["metadata"]["annotations"][f"fairlead.dev/{verb}"]
    assert value.startswith(f"{_HASH[:8]}/")
    assert done.json["value"] == value
    assert live["metadata"]["generation"] == 1


async def test_an_imperative_that_nobody_acts_on_ends_with_5(
    api: Api, namespace: str, run: Run
) -> None:
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    nothing = await asyncio.to_thread(run, "pause", "fraud")
    assert nothing.status == 1
    assert "no revision of fraud is under way" in nothing.err
    args = ("pause", "fraud", "--revision", _HASH)
    waited = await asyncio.to_thread(run, *args, "--timeout", "1")
    assert waited.status == 5
    assert "has not acted on pause of fraud within 1 s" in waited.err
    first = (await api.model(namespace))["metadata"]["annotations"]["fairlead.dev/pause"]
    assert (await asyncio.to_thread(run, *args, "--no-wait")).status == 0
    second = (await api.model(namespace))["metadata"]["annotations"]["fairlead.dev/pause"]
    assert first != second, "said twice, it must be acted on twice"


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
    api: Api, namespace: str, run: Run
) -> None:
    await api.create(EXPERIMENT, namespace, _an_experiment())
    early = await asyncio.to_thread(run, "assign", "anna", "--experiment", "checkout")
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
    shown = await asyncio.to_thread(run, "status", "checkout")
    assert shown.out.startswith(f"Experiment {namespace}/checkout  Running\n")
    arms = await asyncio.to_thread(run, "assign", "anna", "--experiment", "checkout", "-o", "json")
    offline = await asyncio.to_thread(
        run, "assign", "anna", "--salt", "s", "--weights", "control=90,bigger=10", "-o", "json"
    )
    assert arms.json == offline.json

    stopping = asyncio.create_task(asyncio.to_thread(run, "stop", "checkout"))

    async def asked() -> bool:
        live = await api.get(EXPERIMENT, namespace, "checkout")
        return live is not None and live["spec"].get("stopped") is True

    await until("the Experiment is to stop", asked)
    ended = {"observedGeneration": 2, "phase": "Stopped", "endedAt": "2026-01-01T00:00:00Z"}
    await api.merge(EXPERIMENT, namespace, "checkout", {"status": ended}, "status")
    done = await stopping
    assert (done.status, done.out) == (0, "Stopped: checkout\n"), done.err


async def test_what_is_not_there_ends_with_3_and_what_is_forbidden_with_4(
    api: Api, namespace: str, run: Run, plane: ControlPlane, tmp_path: Path
) -> None:
    for args in (("status", "nobody"), ("pause", "nobody"), ("history", "nobody"),
                 ("drift", "nobody"), ("predict", "nobody", "-i", "-")):  # fmt: skip
        done = await asyncio.to_thread(run, *args, stdin="[1]")
        assert (done.status, done.out) == (3, ""), args
        assert "'nobody'" in done.err
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = await api.create(SERVICE_ACCOUNT, namespace, request, "default/token")
    poor = write_kubeconfig_of(plane, answer["status"]["token"], tmp_path / "poor")
    done = await asyncio.to_thread(run, "status", kubeconfig=poor)
    assert done.status == 4
    assert "forbidden" in done.err
    examined = await asyncio.to_thread(run, "doctor", "-o", "json", kubeconfig=poor)
    levels = {each["about"]: each["level"] for each in examined.json}
    assert levels["the ModelDeployments"] == "unknown"
    assert levels["the operator's Deployment"] == "unknown"
    assert examined.status == 0


def write_kubeconfig_of(plane: ControlPlane, token: str, path: Path) -> Path:
    """Write the kubeconfig of somebody with a token."""
    authority = plane.directory / "ca.crt"
    write_kubeconfig(path, server=plane.server, authority=authority, token=token)
    return path


async def test_kubectl_runs_it_as_a_plugin(
    api: Api, namespace: str, plane: ControlPlane, tmp_path: Path
) -> None:
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    plugin = tmp_path / "kubectl-fairlead"
    plugin.write_text(
        f"#!{sys.executable}\n"
        "import sys\nfrom fairlead_cli.__main__ import main\nsys.exit(main())\n"
    )
    plugin.chmod(0o755)
    env = environment(PATH=f"{tmp_path}:{os.environ['PATH']}", KUBECONFIG=str(plane.kubeconfig))
    kubectl = str(build.build("kubernetes") / "kubectl")

    def ask(*args: str) -> subprocess.CompletedProcess[str]:
        command = [kubectl, "fairlead", *args]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    shown = await asyncio.to_thread(ask, "-n", namespace, "status", "-o", "json")
    assert shown.returncode == 0, shown.stderr
    assert [each["name"] for each in json.loads(shown.stdout)["modelDeployments"]] == ["fraud"]
    helped = await asyncio.to_thread(ask, "--help")
    assert helped.stdout.startswith("Usage: kubectl fairlead ")
    refused = await asyncio.to_thread(ask, "status", "nobody")
    assert refused.returncode == 3


async def test_names_are_completed_from_the_cluster(
    api: Api, namespace: str, plane: ControlPlane
) -> None:
    for name in ("fraud", "fresh", "other"):
        await api.create(MODEL_DEPLOYMENT, namespace, a_model(name))
    done = await asyncio.to_thread(
        fairlead, kubeconfig=plane.kubeconfig, _FAIRLEAD_COMPLETE="bash_complete",
        COMP_WORDS=f"fairlead -n {namespace} status fr", COMP_CWORD="4",
    )  # fmt: skip
    assert done.out.splitlines() == ["plain,fraud", "plain,fresh"]


async def test_a_real_operator_is_left_in_peace(
    new_operator: Callable[..., OperatorProcess], api: Api, kubelet: Kubelet, namespace: str,
    run: Run,
) -> None:  # fmt: skip
    """Looking writes nothing: the resource, and its version, stay as they were."""
    operator = await new_operator().start()
    model = {"uri": "configmap://fraud-model/model.onnx", "version": "1"}
    await api.create(CONFIG_MAP, namespace, {"metadata": {"name": "fraud-model"}})
    await api.create(
        MODEL_DEPLOYMENT, namespace, {"metadata": {"name": "fraud"}, "spec": {"model": model}}
    )
    await story.serve(api, namespace, kubelet)
    before = await api.model(namespace)
    for args in (("status", "fraud"), ("history", "fraud"), ("drift", "fraud"), ("doctor",)):
        await asyncio.to_thread(run, *args)
    after = await api.model(namespace)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert operator.errors() == []

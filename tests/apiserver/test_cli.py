"""The command line against a real API server, with what the operator really writes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster import build
from cluster.controlplane import ControlPlane, write_kubeconfig
from fairlead_operator.kube.kinds import CONFIG_MAP, MODEL_DEPLOYMENT
from tests.apiserver import story
from tests.apiserver.api import JSON, SERVICE_ACCOUNT, Api, a_model
from tests.apiserver.api import a_model as unvalidated
from tests.apiserver.commandline import Commands, line_with, watching
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.process import OperatorProcess
from tests.apiserver.rig import Rig
from tests.apiserver.splitting import Story
from tests.fairleadcli import environment, fairlead


@pytest.fixture
def run(plane: ControlPlane, namespace: str) -> Commands:
    """Return what runs a command in the test's namespace."""
    return Commands(plane, namespace)


async def test_status_shows_what_the_operator_says_of_a_model_that_serves(
    api: Api, kubelet: Kubelet, rig: Rig, run: Commands
) -> None:
    name = await story.serving(api, kubelet, rig)
    done = await run("status", "fraud")
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == f"ModelDeployment {rig.namespace}/fraud  Ready"
    (revision,) = [line for line in lines if "── revision" in line]
    assert "version 1  Active  stable  100% of the traffic  1/1 ready" in revision
    (pod,) = await kubelet.pods(name)
    assert f"pod {pod['metadata']['name']}  1/1 Running" in done.out
    document = (await run("status", "modeldeployment/fraud", "-o", "json")).json
    assert document["current"] is True
    assert [each["name"] for each in document["revisions"]] == [name]
    rows = (await run("status")).out.splitlines()
    assert rows[1].split()[:3] == ["fraud", "True", "1"]
    history = await run("history", "fraud", "-o", "json")
    assert [each["state"] for each in history.json["revisions"]] == ["Active"]


async def test_status_shows_who_has_which_share_of_a_split_address(
    api: Api, kubelet: Kubelet, rig: Rig, run: Commands
) -> None:
    story = Story(api, rig, kubelet)
    await story.begin()
    await story.until_split(**{"2": 1_000})
    done = await run("status", "fraud", "-o", "json")
    shares = {each["name"]: each["sharePercent"] for each in done.json["revisions"]}
    assert shares == {story.stable: 90.0, story.candidate: 10.0}
    assert done.json["router"]["state"] == "Split"
    assert [pod["ready"] for pod in done.json["router"]["pods"]] == [1, 1]
    text = (await run("status", "fraud")).out
    assert "version 2  Progressing  candidate  10% of the traffic" in text or (
        "version 2" in text and "10% of the traffic" in text
    )


async def test_watch_shows_a_change_and_ends_with_the_reader(
    api: Api, namespace: str, plane: ControlPlane
) -> None:
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    process = await watching(plane, namespace)
    assert process.stderr is not None
    try:
        await line_with(process, "not seen yet")
        status = {"observedGeneration": 1, "version": "1", "conditions": [_ready("Odd")]}
        await api.merge(MODEL_DEPLOYMENT, namespace, "fraud", {"status": status}, "status")
        await line_with(process, "Odd")
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


async def test_what_is_not_there_ends_with_3_and_what_is_forbidden_with_4(
    api: Api, namespace: str, run: Commands, plane: ControlPlane, tmp_path: Path
) -> None:
    for args in (("status", "nobody"), ("pause", "nobody"), ("history", "nobody"),
                 ("drift", "nobody"), ("predict", "nobody", "-i", "-")):  # fmt: skip
        done = await run(*args, stdin="[1]")
        assert (done.status, done.out) == (3, ""), args
        assert "'nobody'" in done.err
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = await api.create(SERVICE_ACCOUNT, namespace, request, "default/token")
    poor = write_kubeconfig_of(plane, answer["status"]["token"], tmp_path / "poor")
    done = await run("status", kubeconfig=poor)
    assert done.status == 4
    assert "forbidden" in done.err
    examined = await run("doctor", "-o", "json", kubeconfig=poor)
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
    # As pip writes them for the entry points of pyproject.toml.
    for name, module, function in (
        ("kubectl-fairlead", "fairlead_cli.__main__", "main"),
        ("kubectl_complete-fairlead", "fairlead_cli.completion", "kubectl"),
    ):
        script = tmp_path / name
        text = f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        script.write_text(f"#!{sys.executable}\n{text}")
        script.chmod(0o755)
    env = environment(PATH=f"{tmp_path}:{os.environ['PATH']}", KUBECONFIG=str(plane.kubeconfig))
    kubectl = str(build.build("kubernetes") / "kubectl")

    def ask(*args: str) -> subprocess.CompletedProcess[str]:
        command = [kubectl, *args]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    shown = await asyncio.to_thread(ask, "fairlead", "-n", namespace, "status", "-o", "json")
    assert shown.returncode == 0, shown.stderr
    assert [each["name"] for each in json.loads(shown.stdout)["modelDeployments"]] == ["fraud"]
    helped = await asyncio.to_thread(ask, "fairlead", "--help")
    assert helped.stdout.startswith("Usage: kubectl fairlead ")
    refused = await asyncio.to_thread(ask, "fairlead", "status", "nobody")
    assert refused.returncode == 3
    words = ("-n", namespace, "status", "fr")
    completed = await asyncio.to_thread(ask, "__complete", "fairlead", *words)
    assert completed.stdout.splitlines() == ["fraud", ":4"], completed.stderr


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
    run: Commands,
) -> None:  # fmt: skip
    """Looking writes nothing: the resource, and its version, stay as they were."""
    operator = await new_operator().start()
    await api.create(CONFIG_MAP, namespace, {"metadata": {"name": "fraud-model"}})
    await api.create(MODEL_DEPLOYMENT, namespace, unvalidated("fraud"))
    await story.serve(api, namespace, kubelet)
    before = await api.model(namespace)
    for args in (("status", "fraud"), ("history", "fraud"), ("drift", "fraud"), ("doctor",)):
        await run(*args)
    after = await api.model(namespace)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert operator.errors() == []

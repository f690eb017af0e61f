"""examples/pipeline as it stands: from training to a model that answers, by way of Git."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import onnxruntime as ort
import pytest

from cluster import build, images
from cluster.forward import forwarded
from cluster.imagetool import find_tool
from cluster.node import Node
from cluster.pyenv import environment, wheel
from tests.command import runtime
from tests.e2e.world import EXAMPLES, World
from tests.minio import PASSWORD, USER, Minio
from tests.registry import registry

PIPELINE = EXAMPLES / "pipeline" / "pipeline.sh"

# The first run also makes the environment with PyTorch.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Minio]:
    """An S3 server."""
    server = Minio(tmp_path / "minio")
    yield server
    server.stop()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A bare repository with one commit, as a server has it."""
    bare, work = tmp_path / "models.git", tmp_path / "work"
    for command in (
        ["git", "init", "-q", "--bare", "-b", "main", str(bare)],
        ["git", "clone", "-q", str(bare), str(work)],
        ["git", "-C", str(work), "commit", "-q", "--allow-empty", "-m", "begin"],
        ["git", "-C", str(work), "push", "-q", "origin", "HEAD"],
    ):
        subprocess.run(command, check=True, env=_identity())
    return bare


def _identity() -> dict[str, str]:
    who = {"NAME": "pipeline", "EMAIL": "pipeline@example.com"}
    roles = ("AUTHOR", "COMMITTER")
    return os.environ | {f"GIT_{role}_{key}": value for role in roles for key, value in who.items()}


class Pipeline:
    """The script with everything that it needs around it."""

    def __init__(self, world: World, folder: Path, host: str, store: Minio, git: Path) -> None:
        self._world, self._folder, self.store, self.git = world, folder, store, git
        self.image = f"{host}/models/breast-cancer"
        self.work = folder / "made"
        with zipfile.ZipFile(wheel()) as archive:
            archive.extractall(folder / "site")
        self._python = environment("export") / "bin" / "python"
        programs = folder / "bin"
        programs.mkdir()
        export, rest = self._python, sys.executable
        chosen = f"$(case $1 in export|quantize) echo {export};; *) echo {rest};; esac)"
        for name, command in (
            # PyTorch makes models; all else is what the runtime's own environment does.
            ("fairlead-runtime", f"{chosen} -m fairlead_runtime.cli"),
            ("kubectl", f"{build.program('kubectl')} --kubeconfig {world.cluster.kubeconfig}"),
        ):
            (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (programs / name).chmod(0o755)
        self._programs = programs

    def run(self, version: str) -> str:
        """Run it; return what it prints."""
        tool = find_tool()
        base = images.tag("runtime")
        if not tool.has(base):
            tool.load(images.archive("runtime"), base)
        done = subprocess.run(
            [str(PIPELINE)], capture_output=True, text=True, check=False,
            env=_identity() | {
                "PATH": f"{self._programs}:{os.environ['PATH']}",
                "PYTHONPATH": str(self._folder / "site"),
                "PYTHON": str(self._python),
                "RUNTIME_PYTHON": sys.executable,
                "VERSION": version,
                "STORE": "s3://models/breast-cancer",
                "AWS_ACCESS_KEY_ID": USER,
                "AWS_SECRET_ACCESS_KEY": PASSWORD,
                "AWS_ENDPOINT_URL": self.store.endpoint,
                "AWS_REGION": "us-east-1",
                "IMAGE": self.image,
                "RUNTIME": base,
                "BUILDER": shlex.join([tool.name, *tool.options]),
                "PUSH": "--tls-verify=false" if tool.name != "docker" else "",
                "REPOSITORY": str(self.git),
                "NAMESPACE": self._world.namespace,
                "WORK": str(self.work),
            },
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return done.stdout

    def log(self) -> list[str]:
        """Return the subjects of the commits, the newest first."""
        done = subprocess.run(
            ["git", "-C", str(self.git), "log", "--format=%s", "main"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.splitlines()


@pytest.fixture
def pipeline(world: World, tmp_path: Path, store: Minio, repository: Path) -> Iterator[Pipeline]:
    """The script with a store, a registry, a repository and a cluster."""
    if not isinstance(world.cluster, Node):
        pytest.skip("a registry on the loopback of the node: the node of this project")
    with registry() as host:
        yield Pipeline(world, tmp_path, host, store, repository)


def test_a_model_goes_all_the_way_and_answers_as_the_file_does(
    pipeline: Pipeline, world: World, tmp_path: Path
) -> None:
    print(pipeline.run("1"))
    model = pipeline.work / "model.onnx"
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    live = world.ready("breast-cancer", version="1", patience_s=240)
    [revision] = live["status"]["revisions"]
    assert revision["digest"] == f"sha256:{digest}"
    assert revision["image"] == f"{pipeline.image}:1-{digest[:12]}"
    assert revision["throughputRps"] > 0, "it was not validated"
    assert pipeline.log() == [f"breast-cancer: version 1 (1-{digest[:12]})", "begin"]

    secret = pipeline.store.secret(tmp_path / "secret")
    uri = f"s3://models/breast-cancer/1-{digest[:12]}/model.onnx"
    fetched = runtime("fetch", uri, tmp_path / "fetched", "--secret-dir", secret,
                      "--digest", f"sha256:{digest}", python=sys.executable)  # fmt: skip
    assert fetched.status == 0, fetched.err

    golden = np.load(pipeline.work / "examples.npz")
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    [labels] = session.run(["label"], {"features": golden["features"]})
    assert (labels == golden["label"]).all()

    with forwarded(world.cluster.kubeconfig, world.namespace, "service/breast-cancer", 80) as url:
        for row, label in zip(golden["features"][:10], labels[:10], strict=True):
            answer = httpx.post(f"{url}/predict", json={"features": row.tolist()}, trust_env=False)
            assert answer.json()["prediction"] == label

    assert "the repository says so already" in pipeline.run("1"), "it is not repeatable"
    assert len(pipeline.log()) == 2
    assert len(world.get("modeldeployment", "breast-cancer")["status"]["revisions"]) == 1

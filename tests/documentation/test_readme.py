"""What README tells people to type works as it stands there."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cluster import build, controlplane
from cluster.paths import ROOT
from tests.documentation.blocks import Block, blocks, run

README = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"
COMMANDS = {
    block.text.split("\n")[0].split("#")[0].strip(): block for block in blocks(README, "sh")
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model of three features, named as README names it."""
    weights = numpy_helper.from_array(np.ones((3, 1), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "w"], ["score"])],
        "three",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch", 1])],
        [weights],
    )
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, path)
    return path


def test_no_command_of_readme_is_left_out_here() -> None:
    assert set(COMMANDS) == {
        "make demo",
        "make test",
        "helm install fairlead charts/fairlead --namespace fairlead-system --create-namespace \\",
        'pip install "fairlead[runtime]"',
    }


def test_make_demo_is_what_the_tutorial_begins_with() -> None:
    first = next(blocks(TUTORIAL, "sh"))
    assert first.text == COMMANDS["make demo"].text


def test_the_targets_of_make_are_there() -> None:
    targets = re.findall(r"^make ([a-z-]+)", COMMANDS["make test"].text, re.MULTILINE)
    assert targets == ["test", "check", "clean", "help"]
    for target in targets:
        done = subprocess.run(["make", "-n", target], check=True, cwd=ROOT, capture_output=True)
        assert done.stdout


def test_a_model_is_served_without_kubernetes(model: Path) -> None:
    """All but pip, which tests/packaging tries in an environment of its own."""
    serve, ask = COMMANDS['pip install "fairlead[runtime]"'].text.strip().split("\n")[1:]
    if _taken(8080):
        pytest.skip("somebody listens on port 8080, which README names")
    command = [sys.executable, "-m", "fairlead_runtime.cli", *serve.split()[1:]]
    with subprocess.Popen(command, cwd=model.parent) as server:
        try:
            deadline = time.monotonic() + 60
            while not _taken(8080):
                assert time.monotonic() < deadline, "it does not listen"
                time.sleep(0.1)
            status, out = run(ask, seconds=30)
        finally:
            server.terminate()
    assert status == 0
    assert '"prediction":' in out
    assert '"model_version":' in out


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[controlplane.ControlPlane]:
    """Return a control plane of its own, without nodes: what is installed is not waited for."""
    with controlplane.start(tmp_path / "plane", controllers=True) as running:
        yield running


@pytest.mark.apiserver
@pytest.mark.timeout(900)
def test_the_chart_is_installed(plane: controlplane.ControlPlane) -> None:
    block: Block = next(each for name, each in COMMANDS.items() if name.startswith("helm"))
    tools = f"{build.program('helm').parent}:{build.program('kubectl').parent}"
    told = f'export KUBECONFIG={plane.kubeconfig} PATH={tools}:"$PATH"\n'
    status, out = run(told + block.text, seconds=120)
    assert status == 0, out
    assert "STATUS: deployed" in out
    image = plane.kubectl(
        "-n", "fairlead-system", "get", "deployment", "fairlead",
        "-o", "jsonpath={.spec.template.spec.containers[0].image}",
    )  # fmt: skip
    assert image.startswith("registry.example.com/fairlead/operator:")


def _taken(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0

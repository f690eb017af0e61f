"""`fairlead-runtime inspect`, and what all tools have in common."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from pathlib import Path

import pytest

from cluster.pyenv import environment, wheel
from fairlead_runtime import tools
from tests import models
from tests.command import runtime


def test_it_says_what_is_in_the_file(tmp_path: Path) -> None:
    path = models.classifier(tmp_path / "model.onnx")
    found = runtime("inspect", tmp_path, "--output", "json").json
    assert found["digest"] == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert found["size_bytes"] == path.stat().st_size
    assert found["inputs"] == [{"name": "x", "datatype": "FP32", "shape": ["n", 3]}]
    assert [each["name"] for each in found["outputs"]] == ["label", "probabilities"]
    assert found["graph"]["operators"] == {"ArgMax": 1, "MatMul": 1, "Softmax": 1}
    assert found["graph"]["opset"] == {"ai.onnx": models.OPSET}
    assert found["graph"]["ir_version"] == models.IR_VERSION
    assert found["graph"]["parameters"] == 6


def test_people_get_tables(tmp_path: Path) -> None:
    text = runtime("inspect", models.classifier(tmp_path / "m.onnx")).out
    assert "input   x              FP32      [n, 3]" in text
    assert "MatMul        1" in text


def test_bodies_of_loops_are_counted(tmp_path: Path) -> None:
    graph = tools.inspect(models.slow(tmp_path / "slow.onnx", rounds=1)).graph
    assert graph
    assert graph.operators == {"Identity": 1, "Loop": 1, "MatMul": 1, "Tanh": 1}


def test_weights_beside_the_file_are_named(tmp_path: Path) -> None:
    path = models.outside(tmp_path / "m.onnx")
    found = tools.inspect(path)
    assert found.graph
    assert found.graph.external == {"m.onnx.data": 64 * 64 * 4}
    assert found.graph.parameters == 64 * 64


def test_a_model_that_cannot_be_loaded_is_still_looked_into(tmp_path: Path) -> None:
    path = models.outside(tmp_path / "m.onnx")
    path.with_name("m.onnx.data").unlink()
    done = runtime("inspect", path, "--output", "json")
    assert done.status == 2
    assert done.json["load_error"]
    assert done.json["graph"]["external"] == {"m.onnx.data": None}
    assert done.json["graph"]["operators"]["MatMul"] == 1


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x08"], ids=["empty", "text", "short"])
def test_what_is_no_model_is_one_line_and_status_2(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    done = runtime("inspect", path)
    assert done.status == 2
    assert done.out == ""
    assert done.err.startswith("fairlead-runtime: InvalidModel: ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("command", ["inspect", "validate", "benchmark"])
def test_a_missing_file_is_no_fault_of_the_model(tmp_path: Path, command: str) -> None:
    done = runtime(command, tmp_path / "no.onnx")
    assert done.status == 1
    assert done.err.startswith("fairlead-runtime: ModelNotFound: there is no file")


@pytest.mark.parametrize(
    "arguments",
    [["validate"], ["validate", "m.onnx", "--thread", "x"], ["fetch"], ["serve", "m", "--nope"]],
    ids=" ".join,
)
def test_a_wrong_flag_does_not_blame_the_model(arguments: list[str]) -> None:
    done = runtime(*arguments)
    assert done.status == 1
    assert done.err.count("\n") == 1
    assert "--help" in done.err


@pytest.mark.parametrize("command", ["export", "quantize", "benchmark", "validate", "inspect"])
def test_help_says_every_default_and_the_exit_status(command: str) -> None:
    text = runtime(command, "--help").out
    assert "exit status:\n  0 " in text
    options = text[text.index("options:") : text.index("exit status:")]
    for flag in re.split(r"\n  (?=-)", options)[1:]:
        known = flag.startswith(("-h, --help", "--input-shape"))  # no default: one must be given
        assert known or "(default: " in " ".join(flag.split())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_without_the_package_onnx_it_says_what_is_missing(tmp_path: Path) -> None:
    """In the environment of the runtime image, which has no onnx and no torch."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel()).extractall(site)
    python = environment("runtime") / "bin" / "python"
    env = {"PYTHONPATH": str(site), "PATH": os.environ["PATH"]}
    path = models.classifier(tmp_path / "m.onnx")
    found = runtime("inspect", path, "--output", "json", python=python, env=env)
    assert found.status == 0
    assert found.json["graph"] is None
    assert "pip install onnx" in found.json["notes"][0]
    assert found.json["inputs"][0]["shape"] == ["n", 3]
    needing: tuple[tuple[str | Path, ...], ...] = (
        ("quantize", path, tmp_path / "q.onnx"),
        ("export", "nets:make", tmp_path / "e.onnx", "--input-shape", "3"),
    )
    for arguments in needing:
        refused = runtime(*arguments, python=python, env=env)
        assert refused.status == 1
        assert 'pip install "fairlead[export]"' in refused.err
    judged = runtime("validate", path, "--round-runs", "5", "--output", "json",
                     python=python, env=env)  # fmt: skip
    assert judged.status == 0
    assert json.loads(judged.out)["verdict"] == "Pass"

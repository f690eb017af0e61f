"""`fairlead-runtime export` in the environment that it is for: real PyTorch, our own wheel."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from cluster.pyenv import environment, wheel
from fairlead_runtime import tools
from tests.command import Ended, runtime

# The first of these tests also installs the export environment.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

NETS = '''
"""Modules to export."""

import torch
from torch import nn


class Net(nn.Module):
    """Dropout and batch norm answer otherwise while training: export must not."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 3)
        )

    def forward(self, x):
        return torch.softmax(self.layers(x), -1)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(2, 4), nn.Linear(4, 2)

    def forward(self, ids, mask):
        scores = self.head((self.embedding(ids) * mask.unsqueeze(-1)).mean(1))
        return {"label": scores.argmax(-1), "scores": scores}


class Fixed(nn.Module):
    def forward(self, x):
        return x.reshape(3, 4) * 2


class Dice(nn.Module):
    def forward(self, x):
        return x + torch.rand(1)


def make():
    print("the factory talks")
    torch.manual_seed(0)
    return Net()


def broken():
    raise RuntimeError("no data")
'''
FILES = """
import nets, torch
net = nets.make().eval()
row = torch.zeros(3, 4)
torch.save(net.state_dict(), "weights.pt")
torch.save({"state_dict": net.state_dict(), "epoch": 3}, "checkpoint.pt")
torch.save(net, "pickled.pt")
torch.jit.trace(net, row).save("script.pt")
free = {0: torch.export.Dim("rows")}
torch.export.save(torch.export.export(net, (row,), dynamic_shapes=(free,)), "exported.pt2")
"""
ASK = """
import nets, numpy, torch
with torch.no_grad():
    answer = nets.make().eval()(torch.from_numpy(numpy.load("rows.npy")))
numpy.save("answer.npy", answer.numpy())
"""
LARGE = """
import torch
from fairlead_runtime import tools
from fairlead_runtime.export import torch as room
room.ONE_FILE_BYTES = 1
tools.export(torch.nn.Linear(64, 64), "large/model.onnx", inputs=[64])
"""
SHAPE = ("--input-shape", "4")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with our wheel's content: what `pip install fairlead[export]` adds."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel()) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with modules and each kind of file that PyTorch saves."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "nets.py").write_text(NETS)
    python(FILES, folder)
    return folder


def interpreter() -> Path:
    return environment("export") / "bin" / "python"


def python(code: str, folder: Path, site: Path | None = None) -> None:
    env = {"PYTHONPATH": f"{folder}:{site or folder}", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [str(interpreter()), "-c", code],
        cwd=folder, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def export(site: Path, work: Path, *args: str | Path) -> Ended:
    env = {"PYTHONPATH": str(site)}
    return runtime("export", *args, python=interpreter(), env=env, cwd=work)


SOURCES = [
    ("nets:make",),
    ("weights.pt", "--entry", "nets:make"),
    ("checkpoint.pt", "--entry", "nets:make"),
    ("pickled.pt", "--trust-pickle"),
    ("script.pt",),
    ("exported.pt2",),
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source[-1])
def test_each_kind_of_model_becomes_the_same_file(
    site: Path, work: Path, tmp_path: Path, source: tuple[str, ...]
) -> None:
    target = tmp_path / "model.onnx"
    done = export(site, work, *source, target, *SHAPE, "--output", "json")
    assert done.status == 0, done.err
    assert [each["batch_size"] for each in done.json["parity"]] == [1, 2, 7, 32]
    assert max(each["max_difference"] for each in done.json["parity"]) < 1e-5
    found = tools.inspect(target)
    assert [(each.name, each.datatype, each.shape) for each in found.inputs] == [
        ("input", "FP32", ("batch_size", 4))
    ]
    assert [(each.name, each.shape) for each in found.outputs] == [("output", ("batch_size", 3))]
    assert found.graph
    assert found.graph.opset["ai.onnx"] == 18
    rows = np.random.default_rng(9).standard_normal((11, 4)).astype(np.float32)
    np.save(work / "rows.npy", rows)
    python(ASK, work)
    got = ort.InferenceSession(str(target)).run(None, {"input": rows})[0]
    np.testing.assert_allclose(got, np.load(work / "answer.npy"), atol=1e-6)


def test_several_inputs_and_outputs_keep_their_names(
    site: Path, work: Path, tmp_path: Path
) -> None:
    target = tmp_path / "model.onnx"
    shapes = ("--input-shape", "ids=5:INT64", "--input-shape", "mask=5")
    done = export(site, work, "nets:Two", target, *shapes, "--opset", "20",
                  "--batch-axis", "n")  # fmt: skip
    assert done.status == 0, done.err
    found = tools.inspect(target)
    assert [(each.name, each.datatype, each.shape) for each in found.inputs] == [
        ("ids", "INT64", ("n", 5)), ("mask", "FP32", ("n", 5)),
    ]  # fmt: skip
    assert [each.name for each in found.outputs] == ["label", "scores"]
    assert found.graph
    assert found.graph.opset["ai.onnx"] == 20
    named = export(site, work, "nets:Two", target, *shapes, "--output-names", "a,b")
    assert named.status == 0, named.err
    assert [each.name for each in tools.inspect(target).outputs] == ["a", "b"]


def test_the_file_tells_nothing_of_the_machine(site: Path, work: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    assert export(site, work, "nets:make", target, *SHAPE).status == 0
    body = target.read_bytes()
    for path in (work, site, tmp_path, environment("export")):
        assert str(path).encode() not in body
    assert not onnx.load(str(target)).graph.node[0].metadata_props


def test_progress_and_the_modules_own_talk_stay_off_standard_output(
    site: Path, work: Path, tmp_path: Path
) -> None:
    target = tmp_path / "model.onnx"
    done = export(site, work, "nets:make", target, *SHAPE, "--progress",
                  "--batch-sizes", "1,3", "--output", "json")  # fmt: skip
    assert done.json["opset"] == 18
    assert done.err.splitlines() == [
        "loading the module", "the factory talks", "exporting", "checking the file",
        "comparing at batch size 1", "comparing at batch size 3",
    ]  # fmt: skip


def test_a_large_model_keeps_its_weights_beside_it(site: Path, work: Path) -> None:
    """Large is from 1.5 GiB on; here it is from one byte on. This is the Python API as well."""
    (work / "large").mkdir()
    python(LARGE, work, site)
    names = sorted(path.name for path in (work / "large").iterdir())
    assert names == ["model.onnx", "model.onnx.data"]
    found = tools.inspect(work / "large")
    assert found.load_error is None
    assert found.graph
    assert found.graph.external["model.onnx.data"] == 64 * 64 * 4


REFUSED = [
    (("nets:Fixed",), 2, "BatchSizeFixed: the batch axis of input is fixed at 3"),
    (("nets:Dice",), 2, "AnswersDiffer: output output is off by"),
    (("nets:broken",), 1, "EntryFailed: nets:broken raised RuntimeError: no data"),
    (("nets:missing",), 1, "EntryFailed: 'nets:missing' cannot be imported"),
    (("weights.pt",), 1, "NoModel: weights.pt holds weights only: give --entry"),
    (("weights.pt", "--entry", "nets:Two"), 2, "WeightsDoNotFit: weights.pt: "),
    (("pickled.pt",), 1, "UntrustedPickle: pickled.pt holds more than weights"),
    (("nothing.pt",), 1, "ModelNotFound: there is no file nothing.pt"),
    (("nets.py",), 1, "UntrustedPickle: nets.py"),
    (("script.pt", "--input-shape", "mask=4"), 1, "ModuleFailed: the module fails on inputs"),
]


@pytest.mark.parametrize(
    ("source", "status", "message"), REFUSED, ids=[" ".join(each[0]) for each in REFUSED]
)
def test_what_cannot_be_exported_is_one_line_and_no_file(
    site: Path, work: Path, tmp_path: Path, source: tuple[str, ...], status: int, message: str
) -> None:
    done = export(site, work, *source, tmp_path / "model.onnx", *SHAPE)
    assert done.err.splitlines()[-1].startswith(f"fairlead-runtime: {message}")
    assert done.status == status
    assert list(tmp_path.iterdir()) == []

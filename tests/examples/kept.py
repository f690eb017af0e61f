"""The models that the repository keeps under `examples/`, and how to ask them."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A kept model.

    Attributes:
        file: Its place under `examples/`.
        features: How many it takes.
        classes: How many it knows.
    """

    file: str
    features: int
    classes: int

    @property
    def path(self) -> Path:
        """The ONNX file."""
        return EXAMPLES / self.file

    @property
    def manifest(self) -> Path:
        """The ModelDeployment that serves it."""
        return self.path.with_name("modeldeployment.yaml")

    @property
    def held_out(self) -> Path:
        """The rows that its training never saw."""
        return EXAMPLES / Path(self.file).parts[0] / "held-out.csv"


MODELS = (
    Kept(file="breast-cancer/model.onnx", features=30, classes=2),
    Kept(file="breast-cancer/2/model.onnx", features=30, classes=2),
    Kept(file="digits/model.onnx", features=64, classes=10),
)


def rows(held_out: Path) -> tuple[Floats, Integers]:
    """Return the features and the true labels of a held-out file."""
    with held_out.open(newline="") as file:
        table = list(csv.reader(file))
    assert table[0][-1] == "label"
    values = np.array(table[1:], dtype=np.float64)
    return values[:, :-1].astype(np.float32), values[:, -1].astype(np.int64)


def session(path: Path) -> ort.InferenceSession:
    """Load a model as the runtime does."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])


def ask(loaded: ort.InferenceSession, features: Floats) -> tuple[Integers, Floats]:
    """Return the labels and the probabilities of these rows."""
    labels, probabilities = loaded.run(["label", "probabilities"], {"features": features})
    return labels, probabilities


def signature(loaded: ort.InferenceSession) -> list[tuple[str, str, list[str | int]]]:
    """Return name, type and shape of all inputs, then of all outputs."""
    values = [*loaded.get_inputs(), *loaded.get_outputs()]
    return [(value.name, value.type, value.shape) for value in values]


def stated() -> dict[str, tuple[int, float]]:
    """Return size in bytes and accuracy of each model, as the README's table states them."""
    line = re.compile(r"^\| `(\S+\.onnx)` \| \d+ \| (\d+) \|.*\| ([\d.]+) % \|$", re.MULTILINE)
    found = line.findall((EXAMPLES / "README.md").read_text())
    return {file: (int(size), float(percent) / 100) for file, size, percent in found}

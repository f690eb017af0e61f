"""Train a small PyTorch classifier, export it to ONNX and check it: what the examples share.

Everything is repeatable: fixed seeds, one thread, the whole training set in every step, and
arithmetic in double precision. So another processor, whose rounding differs, still gets the same
model to about six digits. Only the exported copy is in single precision.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch
from torch import nn

INPUT = "features"
OUTPUTS = ("label", "probabilities")
OPSET = 18
IR_VERSION = 10
TOLERANCE = 1e-5

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one model is made.

    Attributes:
        hidden: Units of the hidden layer.
        seed: Of the first weights.
        steps: Training steps, each over all training rows.
    """

    hidden: int
    seed: int
    steps: int = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Rows to train on and rows held out."""

    features: Floats
    labels: Integers
    held_out_features: Floats
    held_out_labels: Integers


class Classifier(nn.Module):  # type: ignore[misc]  # torch is not in the checkers' environment
    """Standardise the raw features, one hidden layer, softmax.

    The standardisation is part of the graph: a client sends what it measured, and cannot forget
    the step or do it with other numbers.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, features: Floats, *, hidden: int, classes: int) -> None:
        super().__init__()
        scale = features.std(axis=0)
        scale[scale == 0] = 1.0  # a pixel that is always blank says nothing, and divides nothing
        self.register_buffer("mean", torch.from_numpy(features.mean(axis=0)))
        self.register_buffer("scale", torch.from_numpy(scale))
        self.layers = nn.Sequential(
            nn.Linear(features.shape[1], hidden), nn.ReLU(), nn.Linear(hidden, classes)
        )

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return a score for each class."""
        scores: torch.Tensor = self.layers((features - self.mean) / self.scale)
        return scores

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the label of each row, and the probability of each class."""
        probabilities = torch.softmax(self.logits(features), dim=1)
        return torch.argmax(probabilities, dim=1), probabilities


def split(data: Bunch, held_out: int) -> Split:
    """Hold out that many rows, of each class its share."""
    parts = train_test_split(
        data.data.astype(np.float64),
        data.target.astype(np.int64),
        test_size=held_out,
        random_state=0,
        stratify=data.target,
    )
    return Split(
        features=parts[0], held_out_features=parts[1], labels=parts[2], held_out_labels=parts[3]
    )


def train(rows: Split, recipe: Recipe) -> Classifier:
    """Return a trained model in double precision, and say how it goes."""
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    classes = int(rows.labels.max()) + 1
    model = Classifier(rows.features, hidden=recipe.hidden, classes=classes)
    model.double()
    features, labels = torch.from_numpy(rows.features), torch.from_numpy(rows.labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=1.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, recipe.steps)
    for step in range(1, recipe.steps + 1):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model.logits(features), labels)
        loss.backward()
        optimizer.step()
        schedule.step()
        if step == 1 or step % (recipe.steps // 5) == 0:
            print(f"  step {step:4d} of {recipe.steps}: loss {loss.item():.4f}")
    model.eval()
    return model


def export(model: Classifier, path: Path, name: str) -> None:
    """Write the model as one ONNX file, its batch size open."""
    features = model.mean.shape[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    # It misses torchvision and triton, which nothing here needs.
    logging.getLogger("torch").setLevel(logging.ERROR)
    program = torch.onnx.export(
        model,
        (torch.zeros(2, features),),
        dynamo=True,
        verbose=False,
        input_names=[INPUT],
        output_names=list(OUTPUTS),
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=OPSET,
    )
    if program is None:
        raise SystemExit("the exporter returned no model: this needs torch 2.6 or newer")
    proto = program.model_proto
    proto.ir_version = IR_VERSION
    proto.graph.name = name
    strip(proto)
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def strip(proto: onnx.ModelProto) -> None:
    """Remove what the exporter noted about its own machine: stack traces, paths, descriptions."""
    graph = proto.graph
    noted = [proto, graph, *graph.node, *graph.initializer]
    noted += [*graph.input, *graph.output, *graph.value_info]
    for each in noted:
        each.ClearField("doc_string")
        each.ClearField("metadata_props")


def check(model: Classifier, path: Path, rows: Split) -> float:
    """Compare the file with the model on every held-out row; return the accuracy.

    Raises:
        SystemExit: The file answers differently from the model.
    """
    features = rows.held_out_features.astype(np.float32)
    with torch.no_grad():
        labels, probabilities = (each.numpy() for each in model(torch.from_numpy(features)))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )
    for batch in (1, 7, len(features)):
        for start in range(0, len(features), batch):
            part = slice(start, start + batch)
            got = session.run(list(OUTPUTS), {INPUT: features[part]})
            error = float(np.abs(got[1] - probabilities[part]).max())
            if error > TOLERANCE or not np.array_equal(got[0], labels[part]):
                raise SystemExit(f"rows {start} and on: the file is off by {error:.2g}")
    return float((labels == rows.held_out_labels).mean())


def write_held_out(path: Path, rows: Split, names: Sequence[str]) -> None:
    """Write the held-out rows as CSV: the features by name, and `label` last."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*names, "label"])
        for row, label in zip(rows.held_out_features, rows.held_out_labels, strict=True):
            # As the data has them: fifteen digits are enough for each, and a whole number is one.
            writer.writerow([*(f"{value:.15g}" for value in row), int(label)])


def run(data: Bunch, name: str, recipes: dict[str, Recipe], *, held_out: int, about: str) -> None:
    """Be the command line of an example: one file for each recipe, and the held-out rows.

    Args:
        data: The rows, as scikit-learn loads them.
        name: Of the model and of its folder.
        recipes: By the file's place in the output folder.
        held_out: How many rows training never sees.
        about: For `--help`.
    """
    here = Path(__file__).resolve().parent / name
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument(
        "--output", type=Path, default=here, metavar="DIR", help="folder to write to (%(default)s)"
    )
    output: Path = parser.parse_args().output
    started = time.monotonic()
    rows = split(data, held_out)
    for place, recipe in recipes.items():
        print(f"{place}: {len(rows.labels)} rows to train on, {recipe.hidden} hidden units")
        model = train(rows, recipe)
        model.float()
        file = output / place
        export(model, file, name.replace("-", "_"))
        accuracy = check(model, file, rows)
        body = file.read_bytes()
        print(f"  accuracy {accuracy:.4f} on {held_out} held-out rows")
        print(f"  {len(body)} bytes, sha256:{hashlib.sha256(body).hexdigest()}")
    write_held_out(output / "held-out.csv", rows, list(data.feature_names))
    print(f"wrote {output} in {time.monotonic() - started:.1f} s")

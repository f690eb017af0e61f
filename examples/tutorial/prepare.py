"""Makes the tutorial's files from the breast-cancer example: known rows, and a model that is wrong.

    python examples/tutorial/prepare.py

The wrong model is version 1 with its two classes exchanged in the last layer: a mistake that loads,
answers fast, fails no request, and that only known answers show.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parent / "breast-cancer"
ROWS = 20


def golden(models: Sequence[Path], rows: int = ROWS) -> str:
    """Return rows on which all models agree and are right, as `validate --examples` reads them.

    A better model may be surer or less sure than the last one; on clear cases it must not be wrong.
    """
    with (EXAMPLE / "held-out.csv").open(newline="") as file:
        _, *lines = csv.reader(file)
    cells = np.array([[float(cell) for cell in line] for line in lines])
    data, truth = cells[:, :-1].astype(np.float32), cells[:, -1].astype(np.int64)
    agreed = np.ones(len(data), dtype=bool)
    for model in models:
        session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
        (labels,) = session.run(["label"], {"features": data})
        agreed &= labels == truth
    chosen = np.flatnonzero(agreed)[:rows]
    inputs = {"features": [[float(f"{cell:.9g}") for cell in data[row]] for row in chosen]}
    return json.dumps({"inputs": inputs, "outputs": {"label": truth[chosen].tolist()}}) + "\n"


def swapped(model: Path) -> bytes:
    """Return the model with the classes of its last layer exchanged."""
    proto = onnx.load(model)
    last = [node for node in proto.graph.node if node.op_type in {"Gemm", "MatMul", "Add"}][-1]
    wanted = set(last.input)
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.name not in wanted or 2 not in values.shape:
            continue
        exchanged = np.flip(values, axis=values.shape.index(2))
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(exchanged), tensor.name))
    proto.metadata_props.clear()
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def main() -> int:
    """Write the files, and print the digest that `swapped/modeldeployment.yaml` pins."""
    text = golden([EXAMPLE / "model.onnx", EXAMPLE / "2" / "model.onnx"])
    (HERE / "golden.json").write_text(text)
    data = swapped(EXAMPLE / "model.onnx")
    (HERE / "swapped" / "model.onnx").write_bytes(data)
    print(f"swapped/model.onnx: sha256:{hashlib.sha256(data).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

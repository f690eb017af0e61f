"""How often a classifier is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairlead_runtime.engine.session import Engine
from fairlead_runtime.protocol.answering import answering
from fairlead_runtime.protocol.types import Array
from fairlead_runtime.workbench.datafiles import Labelled
from fairlead_runtime.workbench.errors import ToolError
from fairlead_runtime.workbench.probes import fixed_batch, row_count, take

_CHUNK = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """How many rows were right, of how many."""

    right: int
    rows: int

    @property
    def share(self) -> float:
        """The accuracy, 0 to 1."""
        return self.right / self.rows


def accuracy(engine: Engine, data: Labelled) -> Accuracy:
    """Run the labelled rows and count the right answers.

    The prediction is the output that `/predict` shows: a label as it is, scores by the largest.

    Raises:
        ToolError: The model gives no labels and no scores.
    """
    name = answering(engine.signature).prediction
    rows = row_count(data.inputs)
    size = fixed_batch(engine.signature) or _CHUNK
    parts: list[Array] = []
    for start in range(0, rows, size):
        count = min(size, rows - start)
        wanted = size if fixed_batch(engine.signature) else count  # a fixed batch is filled up
        outputs = engine.run(take(data.inputs, rows=wanted, start=start), (name,))
        parts.append(np.asarray(outputs[name])[:count])
    found = predictions(np.concatenate(parts))  # all at once: how to read scores depends on all
    return Accuracy(right=int((_texts(found) == _texts(data.labels)).sum()), rows=rows)


def predictions(output: Array) -> Array:
    """Return one label a row from labels, probabilities or scores.

    Raises:
        ToolError: It is neither.
    """
    flat = output.reshape(len(output), -1)
    if flat.shape[1] > 1 and output.ndim == 2 and output.dtype.kind == "f":
        return np.asarray(flat.argmax(axis=1))
    if flat.shape[1] != 1:
        message = f"no class can be read from an output of shape {list(output.shape)}"
        raise ToolError("NoLabels", f"{message}: accuracy needs a classifier")
    column = flat[:, 0]
    if output.dtype.kind != "f":
        return column
    # One score a row: a probability where all lie between 0 and 1, else a logit.
    limit = 0.5 if column.min() >= 0 and column.max() <= 1 else 0.0
    return (column > limit).astype(np.int64)


def _texts(labels: Array) -> Array:
    """Labels come as numbers, booleans or texts, from a file that may write them otherwise."""
    if labels.dtype.kind in "fb":
        whole = labels.astype(np.int64)
        labels = whole if np.array_equal(whole, labels) else labels
    return labels.astype(str)

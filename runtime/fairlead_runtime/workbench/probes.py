"""Inputs that are made up from a model's signature, and batches of given ones."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from fairlead_runtime.protocol.types import DATATYPES, Array, Signature, TensorSpec
from fairlead_runtime.workbench.errors import ToolError

_MOST_ELEMENTS = 1 << 28


def fixed_batch(signature: Signature) -> int | None:
    """Return the one batch size that the model takes; None where any will do.

    A model without inputs, or with an input that has no axes, takes one row at a time.
    """
    sizes = {spec.shape[0] if spec.shape else 1 for spec in signature.inputs} or {1}
    return max(sizes) if sizes != {-1} else None


def check_batch(signature: Signature, rows: int) -> None:
    """Raise ToolError unless the model takes batches of this size."""
    fixed = fixed_batch(signature)
    if fixed is not None and rows != fixed:
        message = f"the model takes batches of {fixed} only, not of {rows}: use batch size {fixed}"
        raise ToolError("BatchSizeFixed", message)


def made_up(signature: Signature, *, rows: int, seed: int = 0) -> dict[str, Array]:
    """Return that many rows of inputs, the same for the same seed.

    Floats are standard normal, integers 0 or 1, texts empty. A free axis other than the first
    has size 1.

    Raises:
        ToolError: The model takes another batch size, or the rows would be huge.
    """
    check_batch(signature, rows)
    random = np.random.default_rng(seed)
    return {spec.name: _values(spec, rows, random) for spec in signature.inputs}


def take(inputs: Mapping[str, Array], *, rows: int, start: int = 0) -> dict[str, Array]:
    """Return that many rows of given inputs, from the beginning again when they run out.

    An input without axes has no rows: it is the same for every batch.
    """
    places = np.arange(start, start + rows)
    return {
        name: np.take(array, places, axis=0, mode="wrap") if array.ndim else array
        for name, array in inputs.items()
    }


def row_count(inputs: Mapping[str, Array]) -> int:
    """Return how many rows the inputs have; 1 where none has axes."""
    return min((len(array) for array in inputs.values() if array.ndim), default=1)


def _values(spec: TensorSpec, rows: int, random: np.random.Generator) -> Array:
    shape = tuple(rows if axis == 0 else 1 for axis in range(len(spec.shape)))
    shape = tuple(new if size < 0 else size for size, new in zip(spec.shape, shape, strict=True))
    if math.prod(shape) > _MOST_ELEMENTS:
        message = f"input {spec.name} would have {math.prod(shape)} elements: use fewer rows"
        raise ToolError("BatchTooLarge", message)
    dtype = DATATYPES[spec.datatype]
    if dtype.kind == "O":
        return np.full(shape, "", dtype=object)
    if dtype.kind == "f":
        return np.asarray(random.standard_normal(shape)).astype(dtype)
    return np.asarray(random.integers(0, 2, shape)).astype(dtype)

"""A model of a fixed batch size, made to take any number of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fairlead_runtime.engine.session import Engine
from fairlead_runtime.protocol.errors import InferenceError
from fairlead_runtime.protocol.types import Array, Signature, TensorSpec


def fixed_batch(signature: Signature) -> int | None:
    """Return the batch size of a model whose inputs and outputs all begin with the same one.

    A size of 1 is not taken for a batch: it says nothing about rows.
    """
    firsts = {spec.shape[0] if spec.shape else 1 for spec in signature.inputs + signature.outputs}
    size = firsts.pop()
    return size if not firsts and size > 1 and signature.inputs else None


class PaddedEngine:
    """Runs any number of rows through a model that takes exactly `size`.

    The last run is filled up with copies of the last row, which are cut off again.
    """

    def __init__(self, engine: Engine, size: int) -> None:
        self._engine, self._size = engine, size
        self.signature = Signature(
            inputs=tuple(_any_rows(spec) for spec in engine.signature.inputs),
            outputs=tuple(_any_rows(spec) for spec in engine.signature.outputs),
        )

    def run(
        self, inputs: Mapping[str, Array], outputs: tuple[str, ...] | None
    ) -> dict[str, Array | list[Any]]:
        """Run the model as often as it takes.

        Raises:
            InferenceError: The inputs have no rows or not the same number, or the model failed.
        """
        counts = {len(array) for array in inputs.values()}
        rows = counts.pop()
        if counts or not rows:
            raise InferenceError("every input needs the same number of rows, at least one")
        parts = [
            self._engine.run(self._chunk(inputs, start), outputs)
            for start in range(0, rows, self._size)
        ]
        return {name: _joined([part[name] for part in parts])[:rows] for name in parts[0]}

    def _chunk(self, inputs: Mapping[str, Array], start: int) -> dict[str, Array]:
        chunk: dict[str, Array] = {}
        for name, array in inputs.items():
            rows = array[start : start + self._size]
            missing = self._size - len(rows)
            chunk[name] = np.concatenate([rows, rows[-1:].repeat(missing, 0)]) if missing else rows
        return chunk


def _any_rows(spec: TensorSpec) -> TensorSpec:
    return replace(spec, shape=(-1, *spec.shape[1:]))


def _joined(parts: list[Array | list[Any]]) -> Array | list[Any]:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], list):
        return [item for part in parts for item in part]
    return np.concatenate([np.asarray(part) for part in parts])

"""Whether the ONNX file answers as the PyTorch module does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fairlead_runtime.engine.session import Engine
from fairlead_runtime.protocol.errors import InferenceError
from fairlead_runtime.protocol.types import Array
from fairlead_runtime.workbench.errors import ToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """The comparison at one batch size.

    Attributes:
        batch_size: Rows.
        max_difference: Largest difference of a float output.
    """

    batch_size: int
    max_difference: float


def parity(
    wanted: Sequence[tuple[str, Array]],
    engine: Engine,
    batch: Mapping[str, Array],
    names: Sequence[str],
    *,
    absolute: float,
    relative: float,
) -> Parity:
    """Compare the module's answers with the file's.

    Raises:
        ToolError: They differ by more than the tolerance, or in shape; it blames the model.
    """
    rows = len(next(iter(batch.values())))
    where = f"at batch size {rows}"
    try:
        got = engine.run(batch, tuple(names))
    except InferenceError as error:
        message = f"the file fails {where}, the module does not: {error}"
        raise ToolError("AnswersDiffer", message, blames_model=True) from error
    worst = 0.0
    for name, (_, want) in zip(names, wanted, strict=True):
        have = np.asarray(got[name])
        if have.shape != want.shape:
            message = f"output {name} has shape {list(have.shape)} {where}, not {list(want.shape)}"
            raise ToolError("AnswersDiffer", message, blames_model=True)
        gap = difference(want, have)
        if not _close(want, have, absolute=absolute, relative=relative):
            message = (
                f"output {name} is off by {gap:.3g} {where}, more than {absolute:g} + "
                f"{relative:g} of the value (integers must be equal); the target was not written"
            )
            raise ToolError("AnswersDiffer", message, blames_model=True)
        worst = max(worst, gap)
    return Parity(batch_size=rows, max_difference=worst)


def _close(want: Array, have: Array, *, absolute: float, relative: float) -> bool:
    if want.dtype.kind != "f":  # a class number that is nearly right is wrong
        return np.array_equal(want, have)
    return np.allclose(have, want, rtol=relative, atol=absolute, equal_nan=True)


def difference(first: Array, second: Array) -> float:
    """Return the largest difference; NaN is equal to NaN."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    with np.errstate(invalid="ignore"):
        gap = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    return float(np.max(np.where(np.isnan(gap), np.inf, gap), initial=0.0))

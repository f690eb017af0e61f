"""What a model allows, found out by trying: may rows run together, and how long does that take?"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairlead_runtime.engine.session import Engine
from fairlead_runtime.protocol.errors import RequestError
from fairlead_runtime.protocol.types import DATATYPES, Array, Signature, TensorSpec

Outputs = Mapping[str, Array | list[Any]]
RELATIVE_TOLERANCE = 1e-4
"""By how much an answer in a batch may differ from the one alone, relative to the output's size."""
INLINE_LIMIT_S = 0.002
"""A batch that takes longer than this runs in a thread: the event loop has others to serve."""
_SLOW_S = 0.02  # beyond that a batch is not tried
_SMALL_BATCH = 8
_TOO_SLOW_S = 5.0  # beyond that, trying costs more than knowing is worth
_OPEN_AXES = (8, 64, 224)  # sizes tried where a model leaves an axis open: text, series, images
_LARGEST = 1 << 22  # elements of a trial input
_BUDGET_S = 0.05
_ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What was found.

    Attributes:
        merges: Rows of several requests may run together, with the same results.
        reason: Why they may not; empty where they may.
        single_s: Time of one row.
        batch_s: Time of `batch_rows` rows at once; the single one's where no batch was tried.
        batch_rows: Rows of the measured batch.
        row_elements: Elements of one row of the trial input, all inputs together.
    """

    merges: bool
    reason: str = ""
    single_s: float = math.inf
    batch_s: float = math.inf
    batch_rows: int = 1
    row_elements: int = 1

    @property
    def gain(self) -> float:
        """How many times as many rows a second the measured batch gives as single ones."""
        if self.batch_rows <= 1 or not math.isfinite(self.batch_s):
            return 1.0
        return self.single_s * self.batch_rows / max(self.batch_s, 1e-9)

    def elements_within(self, seconds: float) -> float:
        """Return about how many elements an input may have to take no longer than this."""
        if not math.isfinite(self.batch_s):
            return 0
        measured = self.batch_rows * self.row_elements
        return max(0.0, seconds - self.single_s) * measured / max(self.batch_s, 1e-9)


def profile(engine: Engine, *, max_rows: int) -> Profile:
    """Try a loaded model out; blocks for some runs of it.

    Args:
        engine: The model.
        max_rows: The largest batch that will be made.
    """
    axes = closed_batch(engine.signature)
    for size in _OPEN_AXES:
        rows = samples(engine.signature, 2, size)
        if rows is None:
            return Profile(merges=False, reason="its inputs are too large to try it out")
        first = {name: array[:1] if axes is None else array for name, array in rows.items()}
        try:
            single_s, alone = _timed(engine, first)
        except RequestError as error:
            reason = f"trial inputs were refused: {error}"
            continue
        elements = sum(array.size for array in first.values())
        if axes is not None:
            return Profile(
                merges=False,
                reason=axes,
                single_s=single_s,
                batch_s=single_s,
                row_elements=elements,
            )
        if single_s > _TOO_SLOW_S:
            differs: str | None = f"one row takes {single_s:.3g} s, too long to try more of them"
        else:
            differs = _influence(engine, rows, alone)
        batch_s, count = single_s, 1
        # Where one row is too slow for the event loop already, a small batch tells what it gains.
        rows_tried = max_rows if single_s <= INLINE_LIMIT_S else min(max_rows, _SMALL_BATCH)
        if differs is None and max_rows > 1 and single_s <= _SLOW_S:
            count = max(2, min(rows_tried, _LARGEST // max(1, elements)))
            batch = {name: np.repeat(array, count, 0) for name, array in first.items()}
            batch_s, _ = _timed(engine, batch)
        return Profile(
            merges=differs is None,
            reason=differs or "",
            single_s=single_s,
            batch_s=batch_s,
            batch_rows=count,
            row_elements=elements,
        )
    return Profile(merges=False, reason=reason)


def closed_batch(signature: Signature) -> str | None:
    """Return why a signature has no room for rows of several requests; None where it has."""
    if not signature.inputs:
        return "it has no inputs"
    for what, specs in (("input", signature.inputs), ("output", signature.outputs)):
        for spec in specs:
            if not spec.shape or spec.shape[0] != -1:
                return f"the first axis of {what} {spec.name} is fixed"
    return None


def samples(signature: Signature, rows: int, size: int) -> dict[str, Array] | None:
    """Return inputs for a trial, other in each row; None where they would be too large.

    Args:
        signature: The model's.
        rows: The first axis where that is open.
        size: Other open axes.
    """
    random = np.random.default_rng(0)
    inputs: dict[str, Array] = {}
    for spec in signature.inputs:
        shape = tuple(
            each if each >= 0 else (size if axis else rows) for axis, each in enumerate(spec.shape)
        )
        if math.prod(shape) > _LARGEST:
            return None
        inputs[spec.name] = _values(random, spec, shape)
    return inputs


def _values(random: np.random.Generator, spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    if spec.datatype == "BYTES":
        return random.choice(np.array(["a", "b", "c"], dtype=object), shape)
    dtype = DATATYPES[spec.datatype]
    if dtype.kind == "f":
        return random.random(shape).astype(dtype)
    # 0 and 1 are valid indices, categories and masks almost anywhere.
    return random.integers(0, 2, shape).astype(dtype)


def _influence(engine: Engine, rows: Mapping[str, Array], first: Outputs) -> str | None:
    """Return how rows influence one another; None where the first is the same beside another."""
    try:
        both = engine.run(rows, None)
        second = engine.run({name: array[1:] for name, array in rows.items()}, None)
    except RequestError as error:
        return f"it refused two rows: {error}"
    for name, value in both.items():
        if len(value) != 2:
            return f"output {name} has {len(value)} entries for two rows"
        for index, alone in enumerate((first[name], second[name])):
            if not same(value[index : index + 1], alone):
                return f"output {name} of a row depends on the rows beside it"
    return None


def same(left: Array | list[Any], right: Array | list[Any]) -> bool:
    """Whether two outputs are equal within the stated tolerance."""
    if isinstance(left, list) or isinstance(right, list):
        return len(left) == len(right) and all(
            set(a) == set(b) and all(same(np.asarray(a[k]), np.asarray(b[k])) for k in a)
            if isinstance(a, Mapping) and isinstance(b, Mapping)
            else same(np.asarray(a), np.asarray(b))
            for a, b in zip(left, right, strict=True)
        )
    if left.shape != right.shape:
        return False
    if left.dtype.kind != "f":
        return bool(np.array_equal(left, right))
    finite = right[np.isfinite(right)]
    scale = float(np.abs(finite).max()) if finite.size else 0.0
    return bool(
        np.allclose(
            left.astype(np.float64),
            right.astype(np.float64),
            rtol=RELATIVE_TOLERANCE,
            atol=RELATIVE_TOLERANCE * scale,
            equal_nan=True,
        )
    )


def _timed(engine: Engine, inputs: Mapping[str, Array]) -> tuple[float, Outputs]:
    """Return the fastest of some runs, which is what the machine can do, and the outputs."""
    best, spent = math.inf, 0.0
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        outputs = engine.run(inputs, None)
        took = time.perf_counter() - started
        best, spent = min(best, took), spent + took
        if spent > _BUDGET_S:
            break
    return best, outputs

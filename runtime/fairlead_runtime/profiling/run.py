"""Makes the profile of a model from a file of its training rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead_runtime.contract.drift_names import PROFILE_FILE
from fairlead_runtime.contract.drift_profile import (
    Profile,
    ProfileError,
    parse,
    to_text,
)
from fairlead_runtime.drift.reference import MEMORY_BYTES, Draft
from fairlead_runtime.drift.values import Tensors
from fairlead_runtime.engine.session import OnnxEngine
from fairlead_runtime.profiling.rows import Rows, open_rows
from fairlead_runtime.protocol.errors import InferenceError
from fairlead_runtime.protocol.types import Array
from fairlead_runtime.repository.fetch import digest_of
from fairlead_runtime.workbench.errors import ToolError
from fairlead_runtime.workbench.opening import model_file, open_model
from fairlead_runtime.workbench.probes import fixed_batch

_RUN_ROWS = 1024
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiled:
    """A profile that was written.

    Attributes:
        path: Where.
        profile: What is in it.
    """

    path: Path
    profile: Profile


def profile(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    bins: str | os.PathLike[str] | None = None,
    label: str = "label",
    memory_bytes: int = MEMORY_BYTES,
    threads: int | None = None,
    progress: Progress = lambda _: None,
) -> Profiled:
    """Make a profile and write it; the same file and model give the same bytes.

    The file is read once to find the bins and once to count; while rows and answers fit into
    memory, they are kept instead.

    Args:
        model: File, or folder with `model.onnx`.
        data: Training rows: .csv, .parquet or .npz.
        output: Where the profile goes; None puts `profile.json` beside the model.
        bins: Another profile, whose bins are taken where a feature has the same name and kind: so
            two versions of a model can be compared while both are served.
        label: A column or array of labels, left out where it is there.
        memory_bytes: What may be kept in memory for exact quantiles.
        threads: Threads of the model; None takes the CPU limit.
        progress: Told what is being done.

    Raises:
        ToolError: The file does not fit the model, or something cannot be read, run or written.
    """
    path = model_file(model)
    target = Path(output) if output is not None else path.parent / PROFILE_FILE
    if not target.parent.is_dir():
        raise ToolError("FileNotFound", f"there is no folder {target.parent} to write into")
    engine = open_model(path, threads=threads)
    rows = open_rows(Path(data), engine.signature, label=label)
    draft = Draft(engine.signature, names=rows.names, bins=_read(bins), memory_bytes=memory_bytes)
    kept: list[tuple[Tensors, Tensors]] | None = []
    size = 0
    for inputs, outputs in _answered(engine, rows, "reading", progress):
        draft.add(inputs, outputs)
        size += _nbytes(inputs) + _nbytes(outputs)
        if size > memory_bytes:
            kept = None
        if kept is not None:
            kept.append((inputs, outputs))
    again = kept if kept is not None else _answered(engine, rows, "counting", progress)
    for inputs, outputs in again:
        draft.count(inputs, outputs)
    made = draft.finish(digest_of(path))
    _write(target, to_text(made))
    return Profiled(path=target, profile=made)


def _read(path: str | os.PathLike[str] | None) -> Profile | None:
    if path is None:
        return None
    try:
        return parse(Path(path).read_bytes())
    except OSError as error:
        raise ToolError("FileNotFound", f"{path} cannot be read: {error.strerror}") from error
    except ProfileError as error:
        raise ToolError("UnreadableFile", f"{path} is no profile: {error}") from error


def _answered(
    engine: OnnxEngine, rows: Rows, what: str, progress: Progress
) -> Iterator[tuple[Tensors, Tensors]]:
    size = fixed_batch(engine.signature) or _RUN_ROWS
    seen, shown = 0, -1
    for chunk in rows.chunks():
        total = max((len(array) for array in chunk.inputs.values() if array.ndim), default=1)
        for start in range(0, total, size):
            inputs = {name: array[start : start + size] for name, array in chunk.inputs.items()}
            yield inputs, _run(engine, inputs, size if fixed_batch(engine.signature) else 0)
        seen += total
        percent = int(chunk.done * 100)
        if percent != shown:
            shown = percent
            progress(f"{what}: {percent} % ({seen} rows)")


def _run(engine: OnnxEngine, inputs: dict[str, Array], fixed: int) -> Tensors:
    rows = len(next(iter(inputs.values()))) if inputs else 0
    given = inputs
    if fixed and rows < fixed:  # the last batch of a model that takes no smaller one
        given = {name: _filled(array, fixed) for name, array in inputs.items()}
    try:
        outputs = engine.run(given, None)
    except InferenceError as error:
        raise ToolError("InferenceFailed", f"the model fails on these rows: {error}") from error
    return {name: value[:rows] if fixed else value for name, value in outputs.items()}


def _filled(array: Array, size: int) -> Array:
    return array.take(range(size), axis=0, mode="clip")


def _nbytes(tensors: Tensors) -> int:
    return sum(_bytes_of(value) for value in tensors.values())


def _bytes_of(value: Array | list[Any]) -> int:
    if isinstance(value, list) or value.dtype.kind == "O":
        return 200 * (len(value) if isinstance(value, list) else value.size)  # about
    return int(value.nbytes)


def _write(path: Path, text: str) -> None:
    """Write a file that is there as a whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ToolError("UnwritableFile", f"{path} cannot be written: {error}") from error

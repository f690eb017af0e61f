"""Quantises a model to 8 bits, and proves what that costs before the file is put in place."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fairlead_runtime.export.accuracy import Accuracy, accuracy
from fairlead_runtime.export.parity import difference
from fairlead_runtime.export.placing import EXTRA, ONE_FILE_BYTES, place
from fairlead_runtime.export.weights import size_in_all, weights_beside
from fairlead_runtime.protocol.errors import InferenceError
from fairlead_runtime.protocol.types import Array
from fairlead_runtime.workbench.datafiles import Labelled, read_inputs, read_labelled
from fairlead_runtime.workbench.errors import ToolError
from fairlead_runtime.workbench.opening import model_file, needs, open_model
from fairlead_runtime.workbench.probes import fixed_batch, made_up, row_count, take
from fairlead_runtime.workbench.timing import Timing, repeat, summarise

Mode = Literal["dynamic", "static"]
Progress = Callable[[str], None]
_RUNS, _SECONDS, _WARM_UP = 500, 2.0, 20
_CALIBRATION_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The model before or after.

    Attributes:
        size_bytes: Of the file, weights beside it included.
        latency: Of one row, or of the batch size that the model takes.
        accuracy: On the labelled rows; None without them.
    """

    size_bytes: int
    latency: Timing
    accuracy: Accuracy | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantized:
    """What quantising did.

    Attributes:
        model: The new file.
        mode: How it was made.
        before: The original.
        after: The new one.
        calibration_rows: Rows that static quantisation saw; 0 for dynamic.
        max_difference: Largest difference of a float output on the rows that are known.
    """

    model: Path
    mode: Mode
    before: Side
    after: Side
    calibration_rows: int
    max_difference: float


def quantize(
    model: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    mode: Mode = "dynamic",
    calibration: str | os.PathLike[str] | Mapping[str, Array] | None = None,
    labelled: str | os.PathLike[str] | Labelled | None = None,
    label: str = "label",
    max_accuracy_loss: float = 0.01,
    min_accuracy: float | None = None,
    per_channel: bool = False,
    threads: int | None = None,
    progress: Progress = lambda _: None,
) -> Quantized:
    """Quantise a model; the target is written only where the accuracy is good enough.

    Args:
        model: File, or folder with `model.onnx`.
        target: Where the new model goes.
        mode: `dynamic` quantises weights, `static` activations too and needs calibration data.
        calibration: Rows as the model sees them in use: a .npz or .csv file, or arrays by name.
        labelled: Rows with their true labels, to measure accuracy: a .npz or .csv file, or arrays.
        label: Column or array of the labels.
        max_accuracy_loss: Most accuracy that may be lost, as a share of the rows.
        min_accuracy: Least accuracy of the new model, as a share of the rows.
        per_channel: Quantise weights by channel: often more accurate, sometimes slower.
        threads: Threads of one inference while latency is measured; None takes the CPU limit.
        progress: Told what is done.

    Raises:
        ToolError: A package or file is missing, or (blaming the model) too much accuracy is lost.
    """
    needs("onnx", install=EXTRA, task="quantize")
    source, goal = model_file(model), Path(target)
    if mode == "static" and calibration is None:
        message = "static quantisation needs calibration data: give rows as the model sees them"
        raise ToolError("NoCalibrationData", message)
    if min_accuracy is not None and labelled is None:
        raise ToolError("NoLabelledData", "a minimum accuracy needs rows with labels to measure it")
    engine = open_model(source, threads=threads)
    rows = calibration
    if isinstance(rows, str | os.PathLike):
        rows = read_inputs(Path(rows), engine.signature, label=label)
    marked = labelled
    if isinstance(marked, str | os.PathLike):
        marked = read_labelled(Path(marked), engine.signature, label=label)
    known: Mapping[str, Array] = marked.inputs if marked else rows or {}
    if not known:
        known = made_up(engine.signature, rows=fixed_batch(engine.signature) or 64)
    progress("measuring the original")
    before = _side(source, known, marked, threads)
    if before.accuracy and not before.accuracy.right:
        message = "the original is right on no row: are these its labels, as numbers from 0?"
        raise ToolError("LabelsDoNotFit", message)
    with tempfile.TemporaryDirectory(prefix=".quantize-", dir=_parent(goal)) as scratch:
        made = Path(scratch) / goal.name
        progress(f"quantising ({mode})")
        with _quiet():
            if mode == "static":
                _static(source, made, rows or {}, per_channel=per_channel)
            else:
                _dynamic(source, made, per_channel=per_channel)
        progress("measuring the quantised model")
        after = _side(made, known, marked, threads)
        difference = _difference(source, made, known, threads)
        _refuse(before, after, max_accuracy_loss=max_accuracy_loss, min_accuracy=min_accuracy)
        place(made, goal)
    return Quantized(
        model=goal,
        mode=mode,
        before=before,
        after=after,
        calibration_rows=row_count(rows) if mode == "static" and rows else 0,
        max_difference=difference,
    )


def _dynamic(source: Path, target: Path, *, per_channel: bool) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    prepared, large = _prepared(source, target.parent)
    quantize_dynamic(
        prepared,
        target,
        weight_type=QuantType.QInt8,
        per_channel=per_channel,
        use_external_data_format=large,
    )


def _static(source: Path, target: Path, rows: Mapping[str, Array], *, per_channel: bool) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    prepared, large = _prepared(source, target.parent)
    size = fixed_batch(open_model(source).signature) or min(_CALIBRATION_BATCH, row_count(rows))
    quantize_static(
        prepared,
        target,
        _Reader(rows, size),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=per_channel,
        use_external_data_format=large,
    )


def _prepared(source: Path, folder: Path) -> tuple[Path, bool]:
    """Infer shapes and fold what can be folded: the quantiser finds more to do then.

    Returns:
        The file, and whether weights must stand beside it.
    """
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared, whole = folder / "prepared.onnx", source
    large = size_in_all(source) > ONE_FILE_BYTES
    if not large and weights_beside(source):
        # Made in a folder of onnxruntime's own, the next file would look there for the weights.
        whole = folder / "whole.onnx"
        onnx.save(onnx.load(str(source)), str(whole))
    # The symbolic pass needs sympy and gives nothing here that onnx's own inference does not.
    quant_pre_process(whole, prepared, skip_symbolic_shape=True, save_as_external_data=large)
    return prepared, large


class _Reader:
    """Hands the calibration rows to onnxruntime, batch by batch."""

    def __init__(self, rows: Mapping[str, Array], size: int) -> None:
        count = row_count(rows)
        starts = range(0, count - count % size or size, size)
        self._batches = iter([take(rows, rows=size, start=start) for start in starts])

    def get_next(self) -> dict[str, Any] | None:
        """Return the next batch; None at the end."""
        return next(self._batches, None)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._batches

    def __next__(self) -> dict[str, Any]:
        return next(self._batches)


def _side(
    path: Path, known: Mapping[str, Array], marked: Labelled | None, threads: int | None
) -> Side:
    engine = open_model(path, threads=threads)
    batch = take(known, rows=fixed_batch(engine.signature) or 1)
    with _refusals():
        repeat(lambda: engine.run(batch, None), runs=_WARM_UP, seconds=_SECONDS)
        taken = repeat(lambda: engine.run(batch, None), runs=_RUNS, seconds=_SECONDS, least=5)
        right = accuracy(engine, marked) if marked else None
    return Side(
        size_bytes=size_in_all(path),
        latency=summarise(taken),
        accuracy=right,
    )


def _difference(source: Path, made: Path, known: Mapping[str, Array], threads: int | None) -> float:
    first, second = open_model(source, threads=threads), open_model(made, threads=threads)
    batch = take(known, rows=fixed_batch(first.signature) or min(1024, row_count(known)))
    worst = 0.0
    with _refusals():
        wanted, after = first.run(batch, None), second.run(batch, None)
    for name, value in wanted.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            worst = max(worst, difference(value, np.asarray(after[name])))
    return worst


def _refuse(
    before: Side, after: Side, *, max_accuracy_loss: float, min_accuracy: float | None
) -> None:
    if before.accuracy is None or after.accuracy is None:
        return
    was, now = before.accuracy, after.accuracy
    said = f"accuracy {was.share:.4f} before, {now.share:.4f} after, on {now.rows} rows"
    if now.right < was.right - max_accuracy_loss * was.rows - 1e-9:
        message = f"{said}: more than {max_accuracy_loss:g} is lost; the target was not written"
        raise ToolError("AccuracyLost", message, blames_model=True)
    if min_accuracy is not None and now.share < min_accuracy:
        message = f"{said}: {min_accuracy:g} is demanded; the target was not written"
        raise ToolError("AccuracyTooLow", message, blames_model=True)


def _parent(target: Path) -> Path:
    folder = target.absolute().parent
    if not folder.is_dir():
        raise ToolError("FileNotFound", f"there is no folder {folder}: create it first")
    return folder


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except InferenceError as error:
        message = f"{error}: give rows that the model takes, as calibration or labelled data"
        raise ToolError("ModelRefusesInputs", message) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser talks through the root logger; what matters comes as an exception."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    except ToolError:
        raise
    except Exception as error:  # onnx and onnxruntime share no base class but this
        raise ToolError("CannotQuantize", f"onnxruntime cannot quantise it: {error}") from error
    finally:
        logger.setLevel(level)

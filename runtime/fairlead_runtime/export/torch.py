"""From PyTorch to an ONNX file that is checked and proven to answer the same."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairlead_runtime.export.parity import Parity, parity
from fairlead_runtime.export.placing import EXTRA, ONE_FILE_BYTES, place
from fairlead_runtime.export.quiet import quiet
from fairlead_runtime.export.source import find
from fairlead_runtime.protocol.types import DATATYPES, Array
from fairlead_runtime.workbench.errors import ToolError
from fairlead_runtime.workbench.opening import needs, open_model

OPSET = 18
BATCH_AXIS = "batch_size"
BATCH_SIZES = (1, 2, 7, 32)
_TRACE_ROWS = 3  # one row would be taken for an axis that is always 1
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An input of the module.

    Attributes:
        name: Its name in the file.
        shape: The shape of one row, without the batch axis.
        datatype: In the words of the Open Inference Protocol v2.
    """

    name: str
    shape: tuple[int, ...]
    datatype: str = "FP32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was exported.

    Attributes:
        model: The file.
        size_bytes: Its size, weights beside it included.
        opset: Of the standard operators.
        inputs: Names of the inputs.
        outputs: Names of the outputs.
        parity: The comparison with the PyTorch module, for each batch size.
    """

    model: Path
    size_bytes: int
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parity: tuple[Parity, ...]


def export(
    source: Any,  # noqa: ANN401 - a torch.nn.Module: torch is imported lazily
    target: str | os.PathLike[str],
    *,
    inputs: Sequence[Input] | Sequence[int],
    entry: str | Callable[[], Any] | None = None,
    output_names: Sequence[str] | None = None,
    batch_axis: str = BATCH_AXIS,
    opset: int = OPSET,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    absolute: float = 1e-4,
    relative: float = 1e-3,
    rows: Mapping[str, Array] | None = None,
    trust_pickle: bool = False,
    progress: Progress = lambda _: None,
) -> Exported:
    """Export a PyTorch model; the target is written only where both models answer the same.

    Args:
        source: A `torch.nn.Module`, a callable or `package.module:callable` that returns one, or
            a file: TorchScript, a `torch.export` archive, a checkpoint.
        target: Where the ONNX file goes.
        inputs: Each input; or the shape of a row of the only one, which is then named `input`.
        entry: A callable or `package.module:callable` that returns the module into which a
            checkpoint's weights are loaded.
        output_names: Names of the outputs; None takes `output`, or `output_0`, `output_1`...
        batch_axis: Name of the first axis, which stays free.
        opset: Version of the standard operators.
        batch_sizes: Sizes at which the two models are compared.
        absolute: Most that a float may be off.
        relative: Most that a float may be off, as a share of the value; added to `absolute`.
        rows: Rows to trace and compare with; None makes some up.
        trust_pickle: Whether a checkpoint may hold pickled objects, which can run any code.
        progress: Told what is done.

    Raises:
        ToolError: A package or file is missing, or (blaming the model) it cannot be exported or
            answers otherwise than the module.
    """
    needs("torch", install=EXTRA, task="export")
    needs("onnx", install=EXTRA, task="export")
    goal = Path(target)
    if not goal.absolute().parent.is_dir():
        raise ToolError("FileNotFound", f"there is no folder {goal.absolute().parent}: create it")
    wanted = _inputs(inputs)
    progress("loading the module")
    module = find(source, entry=entry, trust=trust_pickle)
    feed = _Feed(wanted, rows)
    answer = _answerer(module)
    names = _output_names(answer(feed.batch(_TRACE_ROWS)), output_names)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=goal.absolute().parent) as scratch:
        made = Path(scratch) / goal.name
        progress("exporting")
        _write(module, made, feed.batch(_TRACE_ROWS), wanted, names, batch_axis, opset)
        progress("checking the file")
        size = _finish(made, wanted, names, batch_axis)
        engine = open_model(made)
        found = []
        for size_now in batch_sizes:
            progress(f"comparing at batch size {size_now}")
            batch = feed.batch(size_now)
            found.append(
                parity(answer(batch), engine, batch, names, absolute=absolute, relative=relative)
            )
        place(made, goal)
    return Exported(
        model=goal,
        size_bytes=size,
        opset=opset,
        inputs=tuple(each.name for each in wanted),
        outputs=names,
        parity=tuple(found),
    )


class _Feed:
    """Rows for the inputs, given or made up; the same for the same number of rows."""

    def __init__(self, inputs: Sequence[Input], rows: Mapping[str, Array] | None) -> None:
        self._inputs, self._rows = inputs, rows
        missing = [each.name for each in inputs if rows is not None and each.name not in rows]
        if missing:
            raise ToolError("DataDoesNotFit", f"the given rows have no input {missing[0]!r}")

    def batch(self, rows: int) -> dict[str, Array]:
        """Return that many rows."""
        random = np.random.default_rng(rows)
        return {each.name: self._values(each, rows, random) for each in self._inputs}

    def _values(self, each: Input, rows: int, random: np.random.Generator) -> Array:
        dtype = DATATYPES[each.datatype]
        if self._rows is not None:
            array = self._rows[each.name].astype(dtype)
            if array.shape[1:] != each.shape:
                have, want = list(array.shape[1:]), list(each.shape)
                message = f"the given rows of {each.name} have shape {have}, not {want}"
                raise ToolError("DataDoesNotFit", message)
            return np.asarray(np.take(array, np.arange(rows), axis=0, mode="wrap"))
        shape = (rows, *each.shape)
        if dtype.kind == "f":
            return np.asarray(random.standard_normal(shape)).astype(dtype)
        return np.asarray(random.integers(0, 2, shape)).astype(dtype)


def _inputs(given: Sequence[Input] | Sequence[int]) -> tuple[Input, ...]:
    named = tuple(each for each in given if isinstance(each, Input))
    sizes = tuple(each for each in given if not isinstance(each, Input))
    if named and sizes:
        raise ToolError("InvalidInputs", "give inputs, or the shape of the only one, not both")
    return named or (Input(name="input", shape=sizes),)


def _answerer(module: Any) -> Callable[[Mapping[str, Array]], list[tuple[str, Array]]]:  # noqa: ANN401
    """Return a function that asks the PyTorch model, its outputs flat and in order."""
    import torch

    if isinstance(module, torch.nn.Module):
        module.eval()  # dropout and batch norms would answer at random

    runnable = module.module() if isinstance(module, torch.export.ExportedProgram) else module

    def ask(batch: Mapping[str, Array]) -> list[tuple[str, Array]]:
        tensors = [torch.from_numpy(np.ascontiguousarray(each)) for each in batch.values()]
        try:
            with torch.no_grad(), quiet():
                answer = runnable(*tensors)
        except Exception as error:  # the user's own module
            shapes = ", ".join(str(list(each.shape)) for each in batch.values())
            message = f"the module fails on inputs of shape {shapes}: {error}"[:400]
            raise ToolError("ModuleFailed", message) from error
        flat = answer.items() if isinstance(answer, dict) else _numbered(answer)
        found = []
        for name, value in flat:
            if not isinstance(value, torch.Tensor):
                message = f"the module returns a {type(value).__name__}: return tensors, in a tuple"
                raise ToolError("UnsupportedOutput", f"{message}, list or dict")
            found.append((name, value.numpy()))
        return found

    return ask


def _numbered(answer: Any) -> list[tuple[str, Any]]:  # noqa: ANN401
    if not isinstance(answer, tuple | list):
        return [("output", answer)]
    if len(answer) == 1:
        return [("output", answer[0])]
    return [(f"output_{index}", value) for index, value in enumerate(answer)]


def _output_names(
    answer: Sequence[tuple[str, Array]], given: Sequence[str] | None
) -> tuple[str, ...]:
    if not given:
        return tuple(name for name, _ in answer)
    if len(given) != len(answer):
        message = f"the module has {len(answer)} outputs, but {len(given)} names were given"
        raise ToolError("OutputNames", message)
    return tuple(given)


def _write(
    module: Any,  # noqa: ANN401
    path: Path,
    batch: Mapping[str, Array],
    inputs: Sequence[Input],
    outputs: Sequence[str],
    batch_axis: str,
    opset: int,
) -> None:
    import torch

    script = isinstance(module, torch.jit.ScriptModule)
    options: dict[str, Any] = {"dynamo": not script}
    if script:  # the new exporter does not take TorchScript
        axes = [*(each.name for each in inputs), *outputs]
        options["dynamic_axes"] = {name: {0: batch_axis} for name in axes}
    elif isinstance(module, torch.nn.Module):
        free = {0: torch.export.Dim(batch_axis)}
        options["dynamic_shapes"] = tuple(free for _ in inputs)
    if not script:
        exported = isinstance(module, torch.export.ExportedProgram)
        values = (module.state_dict if exported else module.state_dict()).values()
        large = sum(value.numel() * value.element_size() for value in values)
        options["external_data"] = large > ONE_FILE_BYTES
    try:
        with quiet():
            torch.onnx.export(
                module,
                tuple(torch.from_numpy(np.ascontiguousarray(each)) for each in batch.values()),
                str(path),
                input_names=[each.name for each in inputs],
                output_names=list(outputs),
                opset_version=opset,
                verbose=False,
                **options,
            )
    except Exception as error:  # torch has a tree of errors for each of its exporters
        message = f"torch cannot export it: {_cause(error)}"
        raise ToolError("CannotExport", message, blames_model=True) from error


def _finish(path: Path, inputs: Sequence[Input], outputs: Sequence[str], batch_axis: str) -> int:
    """Name the batch axis, drop the exporter's notes, check; return the size in all."""
    import onnx

    weights = path.with_name(path.name + ".data")
    model = onnx.load(str(path), load_external_data=False)
    graph = model.graph
    for each in inputs:
        found = next((value for value in graph.input if value.name == each.name), None)
        axes = found.type.tensor_type.shape.dim if found else ()
        if not axes or axes[0].HasField("dim_value"):
            size = axes[0].dim_value if axes else "no size"
            message = (
                f"the batch axis of {each.name} is fixed at {size}: the module's code uses the "
                "number of rows as a constant (look for reshape or view with a number)"
            )
            raise ToolError("BatchSizeFixed", message, blames_model=True)
        _rename(graph, axes[0].dim_param, batch_axis)
    strip(model)
    # Only what it declares; the weights stay where they are.
    onnx.save(model, str(path))
    try:
        onnx.checker.check_model(str(path), full_check=True)
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except Exception as error:  # a ValidationError or an InferenceError, which share no base
        message = f"the exported file is not valid: {error}"[:400]
        raise ToolError("InvalidModel", message, blames_model=True) from error
    have = tuple(value.name for value in inferred.graph.output)
    if have != tuple(outputs):
        message = f"the file has outputs {', '.join(have)}, not {', '.join(outputs)}"
        raise ToolError("OutputNames", message, blames_model=True)
    return path.stat().st_size + (weights.stat().st_size if weights.is_file() else 0)


def strip(model: Any) -> None:  # noqa: ANN401 - a protobuf message
    """Remove what the exporter noted about its own machine: stack traces, paths, descriptions."""
    graph = model.graph
    noted = [model, graph, *graph.node, *graph.initializer]
    noted += [*graph.input, *graph.output, *graph.value_info]
    for function in model.functions:
        noted += [function, *function.node]
    for each in noted:
        each.ClearField("doc_string")
        each.ClearField("metadata_props")


def _rename(graph: Any, old: str, new: str) -> None:  # noqa: ANN401 - a protobuf message
    for value in (*graph.input, *graph.output, *graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.HasField("dim_param") and axis.dim_param == old:
                axis.dim_param = new


def _cause(error: BaseException) -> str:
    """The first line that says something: torch wraps the cause in pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]

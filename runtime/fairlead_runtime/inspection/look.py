"""Collects what a model's file says about it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead_runtime.inspection.graph import Graph, read_graph
from fairlead_runtime.inspection.session import Loaded, Tensor, load
from fairlead_runtime.repository.fetch import digest_of
from fairlead_runtime.workbench.errors import ToolError
from fairlead_runtime.workbench.opening import model_file

NO_ONNX = (
    "operators, parameters, opset and external files are not shown: they need the package onnx "
    "(pip install onnx)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What is in a model file.

    Attributes:
        path: The file.
        digest: `sha256:` and 64 hex digits, of the file.
        size_bytes: Of the file.
        inputs: What it takes; free axes by their name, or -1 where they have none.
        outputs: What it gives.
        metadata: Keys and values that its maker put in.
        producer: The program that wrote it.
        graph: Operators and more; None without the package onnx.
        load_error: Why onnxruntime cannot load it; None where it can.
        notes: What is not shown, and why.
    """

    path: Path
    digest: str
    size_bytes: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    metadata: Mapping[str, str]
    producer: str
    graph: Graph | None
    load_error: str | None
    notes: tuple[str, ...]


def inspect(model: str | os.PathLike[str]) -> Inspection:
    """Look into a model.

    Args:
        model: File, or folder with `model.onnx`.

    Raises:
        ToolError: There is no such file, or (blaming the model) it is no ONNX file at all.
    """
    path = model_file(model)
    loaded: Loaded | None
    try:
        loaded, load_error = load(path), None
    except ToolError as error:
        if not error.blames_model:
            raise
        loaded, load_error = None, str(error)
    graph: Graph | None = None
    notes: tuple[str, ...] = ()
    if importlib.util.find_spec("onnx"):
        graph = read_graph(path)
    else:
        notes = (NO_ONNX,)
    if loaded is None and graph is None:
        raise ToolError("InvalidModel", load_error or "it has no graph", blames_model=True)
    return Inspection(
        path=path,
        digest=digest_of(path),
        size_bytes=path.stat().st_size,
        inputs=loaded.inputs if loaded else (),
        outputs=loaded.outputs if loaded else (),
        metadata=loaded.metadata if loaded else {},
        producer=loaded.producer if loaded else "",
        graph=graph,
        load_error=load_error,
        notes=notes,
    )

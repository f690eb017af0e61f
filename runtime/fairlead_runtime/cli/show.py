"""`inspect`: what is in a model file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead_runtime.cli import console, tools

if TYPE_CHECKING:
    from fairlead_runtime.inspection.look import Inspection


def register(commands: tools.Commands) -> None:
    """Add the command."""
    parser = tools.command(
        commands,
        "inspect",
        _inspect,
        text="say what is in a model file",
        description=(
            "Show a model's signature, operator sets, operators with their counts, parameters,\n"
            "size, metadata and digest. Operators, parameters and operator sets need the package\n"
            "onnx; where it is missing, the output says so. The JSON can be given to\n"
            "`validate --signature`."
        ),
    )
    parser.add_argument(
        "model", metavar="MODEL", type=Path, help=".onnx file, or folder with model.onnx"
    )
    tools.common(parser)


def _inspect(args: argparse.Namespace) -> int:
    from fairlead_runtime.tools import inspect

    found = inspect(args.model)
    tools.show(args, found, _text(found))
    return 2 if found.load_error else 0


def _text(found: Inspection) -> str:
    values = {
        "file": str(found.path),
        "size": f"{console.size(found.size_bytes)} ({found.size_bytes} bytes)",
        "digest": found.digest,
        "producer": found.producer or "unknown",
    }
    graph = found.graph
    if graph:
        values["opset"] = ", ".join(f"{name} {version}" for name, version in graph.opset.items())
        values["IR version"] = str(graph.ir_version)
        values["parameters"] = str(graph.parameters)
    text = console.pairs(values)
    rows = [
        (kind, each.name, each.datatype, "[" + ", ".join(str(axis) for axis in each.shape) + "]")
        for kind, side in (("input", found.inputs), ("output", found.outputs))
        for each in side
    ]
    if rows:
        text += "\n" + console.table(("", "NAME", "DATATYPE", "SHAPE"), rows)
    if graph:
        counts = [(name, str(count)) for name, count in graph.operators.items()]
        text += "\n" + console.table(("OPERATOR", "COUNT"), counts)
        for name, count in graph.external.items():
            said = "is missing" if count is None else console.size(count)
            text += f"\nweights in {name}: {said}\n"
    if found.metadata:
        text += "\nmetadata\n" + console.pairs(
            {f"  {name}": value for name, value in found.metadata.items()}
        )
    for note in found.notes:
        text += f"\nnote: {note}\n"
    if found.load_error:
        text += f"\nonnxruntime cannot load it: {found.load_error}\n"
    return text

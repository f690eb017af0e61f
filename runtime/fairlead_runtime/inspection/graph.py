"""What only the file itself says: operators, parameters, opset. Needs the package onnx."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead_runtime.workbench.errors import ToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """What the file says about its graph.

    Attributes:
        ir_version: Version of the file format.
        opset: Version of each operator set, by domain; `ai.onnx` is the standard one.
        operators: How often each operator occurs, bodies of loops and branches included.
        parameters: Numbers in the weights.
        external: Files beside the model that hold weights, with their size; None where one is
            missing.
    """

    ir_version: int
    opset: Mapping[str, int]
    operators: Mapping[str, int]
    parameters: int
    external: Mapping[str, int | None]


def read_graph(path: Path) -> Graph | None:
    """Read the file without its external weights; None where it is no ONNX file."""
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise ToolError("ModelNotFound", f"{path} cannot be read: {error}") from error
    except Exception:  # noqa: BLE001 - protobuf's DecodeError, by whichever implementation
        return None
    if not model.graph.node and not model.opset_import:
        return None  # protobuf takes many a text for an empty message
    graphs = [*_graphs(model.graph)]
    nodes = [node for graph in graphs for node in graph.node]
    nodes += [node for function in model.functions for node in function.node]
    weights = [weight for graph in graphs for weight in graph.initializer]
    counted = Counter(f"{n.domain}.{n.op_type}" if n.domain else n.op_type for n in nodes)
    files = sorted(
        {pair.value for each in weights for pair in each.external_data if pair.key == "location"}
    )
    return Graph(
        ir_version=model.ir_version,
        opset={each.domain or "ai.onnx": each.version for each in model.opset_import},
        operators=dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))),
        parameters=sum(math.prod(weight.dims) for weight in weights),
        external={name: _size(path.parent / name) for name in files},
    )


def _graphs(graph: Any) -> Iterator[Any]:  # noqa: ANN401 - a protobuf message
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                if body.node:
                    yield from _graphs(body)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None

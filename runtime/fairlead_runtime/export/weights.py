"""The files of a model: a large one keeps its weights beside it, under whatever names it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def weights_beside(model: Path) -> list[Path]:
    """Return the files with weights that a model names, each once, whether they are there or not.

    Needs the package onnx.
    """
    import onnx

    loaded = onnx.load(str(model), load_external_data=False)
    graphs = [loaded.graph, *loaded.functions]
    places = {
        pair.value
        for tensor in (tensor for graph in graphs for tensor in _tensors(graph))
        for pair in tensor.external_data
        if pair.key == "location" and tensor.data_location == onnx.TensorProto.EXTERNAL
    }
    return [model.parent / place for place in sorted(places)]


def size_in_all(model: Path) -> int:
    """Return the size of a model's file and of the files with its weights. Needs onnx."""
    beside = sum(each.stat().st_size for each in weights_beside(model) if each.is_file())
    return model.stat().st_size + beside


def _tensors(graph: Any) -> Iterator[Any]:  # noqa: ANN401 - a protobuf message, graph or function
    yield from getattr(graph, "initializer", ())
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for body in (attribute.g, *attribute.graphs):
                yield from _tensors(body)

"""The models that are served: a small tabular one and a medium one."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

SMALL = (20, 64, 32, 1)
MEDIUM = (768, 2048, 2048, 768)


def mlp(path: Path, sizes: tuple[int, ...]) -> Path:
    """Write a multilayer perceptron with ReLU between its layers: `x` of [n, first] to `y`."""
    random = np.random.default_rng(0)
    nodes, weights, value = [], [], "x"
    for layer, (wide, narrow) in enumerate(itertools.pairwise(sizes)):
        matrix = (random.normal(size=(wide, narrow)) / wide**0.5).astype(np.float32)
        weights.append(
            helper.make_tensor(f"w{layer}", TensorProto.FLOAT, matrix.shape, matrix.ravel())
        )
        last = layer == len(sizes) - 2
        product = "y" if last else f"z{layer}"
        nodes.append(helper.make_node("MatMul", [value, f"w{layer}"], [product]))
        if not last:
            nodes.append(helper.make_node("Relu", [product], [f"a{layer}"]))
            value = f"a{layer}"
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch_size", sizes[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch_size", sizes[-1]])],
        weights,
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    return path

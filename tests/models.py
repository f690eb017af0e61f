"""Small ONNX models for tests, made without a training framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

IR_VERSION = 8
OPSET = 17
WEIGHTS = (np.arange(6, dtype=np.float32).reshape(3, 2) - 2) / 7


def _save(graph: onnx.GraphProto, path: Path) -> Path:
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def classifier(path: Path, *, scale: float = 1.0) -> Path:
    """Write a classifier of three features and two classes: `label` and `probabilities`."""
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["z"]),
            helper.make_node("Softmax", ["z"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
        ],
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 2]),
        ],
        [helper.make_tensor("w", TensorProto.FLOAT, [3, 2], WEIGHTS * np.float32(scale))],
    )
    return _save(graph, path)


def identity(path: Path, datatype: int, shape: list[str | int]) -> Path:
    """Write a model that gives back its one input, `x` to `y`."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [helper.make_tensor_value_info("x", datatype, shape)],
        [helper.make_tensor_value_info("y", datatype, shape)],
    )
    return _save(graph, path)


def slow(path: Path, *, rounds: int = 4_000, size: int = 256) -> Path:
    """Write a model that multiplies matrices for a while: `x` of shape [n, size] to `y`."""
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["state", "w"], ["product"]),
            helper.make_node("Tanh", ["product"], ["next"]),
            helper.make_node("Identity", ["condition_in"], ["condition_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("condition_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, ["n", size]),
        ],
        [
            helper.make_tensor_value_info("condition_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, ["n", size]),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["rounds", "go", "x"], ["y"], body=body)],
        "slow",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", size])],
        [
            helper.make_tensor("w", TensorProto.FLOAT, [size, size], np.eye(size).ravel()),
            helper.make_tensor("rounds", TensorProto.INT64, [], [rounds]),
            helper.make_tensor("go", TensorProto.BOOL, [], [True]),
        ],
    )
    return _save(graph, path)


def root(path: Path) -> Path:
    """Write a model of two features whose answers are square roots: NaN for what is negative."""
    graph = helper.make_graph(
        [helper.make_node("Sqrt", ["x"], ["y"])],
        "root",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
    )
    return _save(graph, path)


def fragile(path: Path) -> Path:
    """Write a classifier that is lost in 8 bits.

    The first feature has weights of 1,000 that cancel out, and the two classes differ by weights
    of 1: on a scale of 8 bits those are zero.
    """
    weights = np.array([[1000, 1000], [1, -1], [-1, 1]], dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["scores"]),
            helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
        ],
        "fragile",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])],
        [helper.make_tensor("w", TensorProto.FLOAT, [3, 2], weights)],
    )
    return _save(graph, path)


def wide(path: Path, *, size: int = 64) -> Path:
    """Write a model with weights worth storing elsewhere: `x` of shape [n, size] to `y`."""
    weights = np.random.default_rng(1).standard_normal((size, size)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "wide",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", size])],
        [numpy_helper.from_array(weights, "w")],
    )
    return _save(graph, path)


def outside(path: Path) -> Path:
    """Write a model whose weights lie in `<name>.data` beside it."""
    wide(path)
    model = onnx.load(str(path))
    onnx.save(
        model,
        str(path),
        save_as_external_data=True,
        location=path.name + ".data",
        size_threshold=0,
    )
    return path


def scattered(path: Path, places: Sequence[str], *, size: int = 64) -> Path:
    """Write a model like `wide` with a weight of 4 * size * size bytes in each of some files."""
    random, names = np.random.default_rng(1), [f"w{number}" for number in range(len(places))]
    weights = []
    for name, place in zip(names, places, strict=True):
        values = random.standard_normal((size, size)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, name))
        onnx.external_data_helper.set_external_data(weights[-1], place)
        (path.parent / place).parent.mkdir(parents=True, exist_ok=True)
    steps = ["x", *(f"h{number}" for number in range(1, len(places))), "y"]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", [steps[number], name], [steps[number + 1]])
            for number, name in enumerate(names)
        ],
        "scattered",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", size])],
        weights,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    onnx.save(model, str(path))
    return path


def pairs(path: Path) -> Path:
    """Write a model that says it takes any number of rows, and fails on an odd one."""
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        "pairs",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["m", 6])],
        [numpy_helper.from_array(np.array([-1, 6], dtype=np.int64), "shape")],
    )
    return _save(graph, path)


def echo(
    path: Path, types: Mapping[str, int], *, width: int = 2, casts: Mapping[str, int] | None = None
) -> Path:
    """Write a model that gives back each input `NAME` of shape [n, width] as `NAME_out`.

    Some may come back as another type, see `casts`.
    """
    given = {**types, **(casts or {})}

    def tensors(suffix: str, kinds: Mapping[str, int]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name + suffix, datatype, ["n", width])
            for name, datatype in kinds.items()
        ]

    nodes = [
        helper.make_node("Identity", [name], [f"{name}_out"])
        if given[name] == types[name]
        else helper.make_node("Cast", [name], [f"{name}_out"], to=given[name])
        for name in types
    ]
    graph = helper.make_graph(nodes, "echo", tensors("", types), tensors("_out", given))
    return _save(graph, path)


def pick(path: Path) -> Path:
    """Write a model that picks elements of five by their index: `index` to `picked`."""
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "index"], ["picked"])],
        "pick",
        [helper.make_tensor_value_info("index", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("picked", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor("table", TensorProto.FLOAT, [5], [0.0, 0.1, 0.2, 0.3, 0.4])],
    )
    return _save(graph, path)


def threshold(path: Path, limit: float) -> Path:
    """Write a classifier of one feature: `label` is 1 where it is greater than a limit."""
    graph = helper.make_graph(
        [
            helper.make_node("Greater", ["x", "limit"], ["is"]),
            helper.make_node("Cast", ["is"], ["label"], to=TensorProto.INT64),
        ],
        "threshold",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor_value_info("label", TensorProto.INT64, ["n", 1])],
        [helper.make_tensor("limit", TensorProto.FLOAT, [1], [limit])],
    )
    return _save(graph, path)


def counting(path: Path) -> Path:
    """Write a model that counts to the largest number that it is given: `x` of [n] to `y`.

    A million takes about a second, and so the time of a run is the client's choice.
    """
    body = helper.make_graph(
        [
            helper.make_node("Add", ["state", "one"], ["next"]),
            helper.make_node("Identity", ["condition_in"], ["condition_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("condition_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.INT64, []),
        ],
        [
            helper.make_tensor_value_info("condition_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.INT64, []),
        ],
    )
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
            helper.make_node("Loop", ["most", "go", "zero"], ["count"], body=body),
            helper.make_node("Mul", ["x", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "count"], ["y"]),
        ],
        "counting",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, ["n"])],
        [
            helper.make_tensor("go", TensorProto.BOOL, [], [True]),
            helper.make_tensor("zero", TensorProto.INT64, [], [0]),
            helper.make_tensor("one", TensorProto.INT64, [], [1]),
        ],
    )
    return _save(graph, path)


def filling(path: Path) -> Path:
    """Write a model that makes a tensor of as many numbers as it is told: `x` of [1] to `y`."""
    graph = helper.make_graph(
        [
            helper.make_node("ConstantOfShape", ["x"], ["much"]),
            helper.make_node("ReduceSum", ["much"], ["y"], keepdims=0),
        ],
        "filling",
        [helper.make_tensor_value_info("x", TensorProto.INT64, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
    )
    return _save(graph, path)


def weights_at(path: Path, location: str) -> Path:
    """Write a model that says that its weights, 64 by 64, are at some other place."""
    weights = TensorProto(
        name="w", data_type=TensorProto.FLOAT, dims=[64, 64], data_location=TensorProto.EXTERNAL
    )
    for key, value in (("location", location), ("offset", "0"), ("length", str(4 * 64 * 64))):
        weights.external_data.add(key=key, value=value)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "elsewhere",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 64])],
        [weights],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())  # the checker would look for the file
    return path


def table(
    path: Path,
    *,
    shift: float = 0.0,
    bytes_above: int = 0,
    holes: Sequence[int] = (),
    fatal: int | None = None,
) -> Path:
    """Write a model that looks indices up in a table of five, `index` to `picked`.

    Args:
        path: Where it goes.
        shift: What is added to each of 0.0, 0.1, ... 0.4.
        bytes_above: Memory that it takes for an index of 2, twice that for 3, and so on; more than
            there is makes the request fail, or the kernel end the process. Some of it takes time.
        holes: Indices whose number is NaN.
        fatal: An index that ends the process: it divides the least integer by -1 for it, which
            no processor can.
    """
    values = np.arange(5, dtype=np.float32) / 10 + np.float32(shift)
    values[list(holes)] = np.nan
    nodes = [helper.make_node("Gather", ["table", "index"], ["found"])]
    constants: dict[str, npt.NDArray[Any]] = {"table": values}
    added = []
    if bytes_above:
        constants |= {"one": _whole(1), "zero": _whole(0), "room": _whole(bytes_above // 4)}
        nodes += [
            helper.make_node("ReduceMax", ["index"], ["top"], axes=[0], keepdims=1),
            helper.make_node("Sub", ["top", "one"], ["above"]),
            helper.make_node("Max", ["above", "zero"], ["some"]),
            helper.make_node("Mul", ["some", "room"], ["many"]),
            helper.make_node("Max", ["many", "one"], ["length"]),
            helper.make_node("ConstantOfShape", ["length"], ["filled"]),
            helper.make_node("Cos", ["filled"], ["touched"]),
            helper.make_node("ReduceMin", ["touched"], ["least"], keepdims=0),
            helper.make_node("Sub", ["least", "least"], ["naught"]),
        ]
        added.append("naught")
    if fatal is not None:
        constants |= {"fatal": _whole(fatal), "minus": _whole(-1), "plus": _whole(1)}
        constants |= {"lowest": _whole(-(2**63)), "nothing": np.zeros(1, dtype=np.float32)}
        nodes += [
            helper.make_node("Equal", ["index", "fatal"], ["is_fatal"]),
            helper.make_node("Where", ["is_fatal", "minus", "plus"], ["divisor"]),
            helper.make_node("Div", ["lowest", "divisor"], ["quotient"]),
            helper.make_node("Cast", ["quotient"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["float", "nothing"], ["survived"]),
        ]
        added.append("survived")
    last = "found"
    for number, name in enumerate(added):
        nodes.append(helper.make_node("Add", [last, name], [f"sum_{number}"]))
        last = f"sum_{number}"
    nodes.append(helper.make_node("Identity", [last], ["picked"]))
    graph = helper.make_graph(
        nodes,
        "table",
        [helper.make_tensor_value_info("index", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("picked", TensorProto.FLOAT, ["n"])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return _save(graph, path)


def _whole(number: int) -> npt.NDArray[np.int64]:
    return np.array([number], dtype=np.int64)

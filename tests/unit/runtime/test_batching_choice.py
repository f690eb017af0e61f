"""What is found out about a model, and what follows from it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fairlead_runtime.batching.probe import RELATIVE_TOLERANCE, Profile, profile, same
from fairlead_runtime.batching.settings import Choice, Mode, Settings, choose
from fairlead_runtime.engine.padded import PaddedEngine, fixed_batch
from fairlead_runtime.engine.session import OnnxEngine
from fairlead_runtime.protocol.errors import InferenceError
from fairlead_runtime.protocol.types import Array
from tests import models


def single_node(path: Path, operator: str, shape: list[str | int], axis: int | None = None) -> Path:
    """Write a model of one node, `x` to `y` of the same shape."""
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"], axis=axis)],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    opset = [helper.make_opsetid("", models.OPSET)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=models.IR_VERSION), path)
    return path


def engine(path: Path) -> OnnxEngine:
    return OnnxEngine(path, threads=1)


def test_rows_of_an_ordinary_model_merge(tmp_path: Path) -> None:
    found = profile(engine(models.classifier(tmp_path / "m.onnx")), max_rows=32)
    assert found.merges
    assert (found.batch_rows, found.row_elements) == (32, 3)
    assert 0 < found.single_s < math.inf


def test_what_a_batch_gains_is_the_rows_a_second_over_those_of_single_ones() -> None:
    assert FAST.gain == pytest.approx(6.4)
    assert Profile(merges=True, single_s=0.1, batch_s=0.1, batch_rows=1).gain == 1
    assert Profile(merges=False).gain == 1


class Counting:
    """An engine that counts the rows it is tried with, and can be slow."""

    def __init__(self, engine: OnnxEngine, delay_s: float) -> None:
        self.engine, self.delay_s, self.signature = engine, delay_s, engine.signature
        self.rows: list[int] = []

    def run(
        self, inputs: Mapping[str, Array], outputs: tuple[str, ...] | None
    ) -> dict[str, Array | list[Any]]:
        self.rows.append(len(inputs["x"]))
        time.sleep(self.delay_s)
        return self.engine.run(inputs, outputs)


def test_a_slow_model_is_not_tried_with_a_full_batch(tmp_path: Path) -> None:
    slow = Counting(engine(models.classifier(tmp_path / "m.onnx")), 0.06)
    found = profile(slow, max_rows=64)
    assert found.merges
    assert slow.rows == [1, 2, 1]
    assert not choose(Settings(), found, room=None).inline
    fast = Counting(engine(models.classifier(tmp_path / "m.onnx")), 0.0)
    assert profile(fast, max_rows=64).merges
    assert max(fast.rows) >= 8


def test_a_model_that_mixes_its_rows_is_found_out(tmp_path: Path) -> None:
    path = single_node(tmp_path / "m.onnx", "Softmax", ["n", 3], axis=0)
    found = profile(engine(path), max_rows=32)
    assert not found.merges
    assert found.reason == "output y of a row depends on the rows beside it"


def test_a_fixed_first_axis_is_no_room_for_others(tmp_path: Path) -> None:
    found = profile(
        engine(models.identity(tmp_path / "m.onnx", TensorProto.FLOAT, [1, 3])), max_rows=8
    )
    assert not found.merges
    assert found.reason == "the first axis of input x is fixed"
    assert found.single_s < math.inf


def test_open_axes_beside_the_first_are_tried_too(tmp_path: Path) -> None:
    path = models.identity(tmp_path / "m.onnx", TensorProto.STRING, ["n", "length"])
    assert profile(engine(path), max_rows=4).merges


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 8, 11])
def test_a_fixed_batch_is_filled_up_and_cut_again(tmp_path: Path, rows: int) -> None:
    fixed = engine(single_node(tmp_path / "m.onnx", "Softmax", [4, 3], axis=1))
    assert fixed_batch(fixed.signature) == 4
    padded = PaddedEngine(fixed, 4)
    assert padded.signature.inputs[0].shape == (-1, 3)
    data = np.random.default_rng(rows).normal(size=(rows, 3)).astype(np.float32)
    exp = np.exp(data)
    got = padded.run({"x": data}, None)["y"]
    np.testing.assert_allclose(np.asarray(got), exp / exp.sum(1, keepdims=True), rtol=1e-5)


def test_a_fixed_batch_of_no_rows_is_refused(tmp_path: Path) -> None:
    padded = PaddedEngine(engine(single_node(tmp_path / "m.onnx", "Relu", [4, 3])), 4)
    with pytest.raises(InferenceError, match="at least one"):
        padded.run({"x": np.zeros((0, 3), np.float32)}, None)


def test_a_fixed_batch_that_mixes_its_rows_is_found_out(tmp_path: Path) -> None:
    fixed = engine(single_node(tmp_path / "m.onnx", "Softmax", [4, 3], axis=0))
    assert not profile(PaddedEngine(fixed, 4), max_rows=32).merges


def test_a_batch_size_of_one_is_not_taken_for_a_batch(tmp_path: Path) -> None:
    assert (
        fixed_batch(
            engine(models.identity(tmp_path / "m.onnx", TensorProto.FLOAT, [1, 3])).signature
        )
        is None
    )


FAST = Profile(merges=True, single_s=1e-5, batch_s=1e-4, batch_rows=64)
SLOW = Profile(merges=True, single_s=1e-3, batch_s=0.01, batch_rows=64)
MIXES = Profile(merges=False, reason="mixes", single_s=1e-5, batch_s=1e-5)


@pytest.mark.parametrize(
    ("mode", "found", "room", "merge", "inline"),
    [
        pytest.param(Mode.AUTO, FAST, None, True, True, id="fast"),
        pytest.param(Mode.AUTO, SLOW, None, True, False, id="slow"),
        pytest.param(Mode.AUTO, MIXES, None, False, True, id="mixes"),
        pytest.param(Mode.INLINE, SLOW, None, True, True, id="inline by wish"),
        pytest.param(Mode.WORKER, FAST, None, True, False, id="worker by wish"),
        pytest.param(Mode.WORKER, MIXES, None, True, False, id="wish against evidence"),
        pytest.param(Mode.WORKER, MIXES, "fixed", False, False, id="wish without room"),
        pytest.param(Mode.OFF, FAST, None, False, True, id="off, fast"),
        pytest.param(Mode.OFF, SLOW, None, False, True, id="off, one row is fast"),
    ],
)
def test_the_choice_follows_measurement_and_wish(
    mode: Mode, found: Profile, room: str | None, merge: bool, inline: bool
) -> None:
    chosen = choose(Settings(mode=mode), found, room=room)
    assert chosen == Choice(merge=merge, inline=inline, why=chosen.why)


def test_batches_of_one_row_do_not_merge() -> None:
    assert not choose(Settings(max_rows=1), FAST, room=None).merge


def test_sameness_is_relative_to_the_size_of_the_output() -> None:
    value = np.array([[1000.0, 0.0, np.nan]], np.float32)
    assert same(value, value + np.float32(500 * RELATIVE_TOLERANCE))
    assert not same(value, value * np.float32(1 + 5 * RELATIVE_TOLERANCE))
    assert not same(value, value[:, :2])
    assert not same(np.array([1, 2]), np.array([1, 3]))
    assert same([{"a": 0.1}], [{"a": np.float32(0.1)}])
    assert not same([{"a": 0.1}], [{"b": 0.1}])
    assert not same([{"a": 0.1}], [{"a": 0.2}])


def test_answers_in_a_batch_equal_those_alone_within_the_tolerance(tmp_path: Path) -> None:
    tried = engine(models.slow(tmp_path / "m.onnx", rounds=20, size=64))
    data = np.random.default_rng(3).normal(size=(33, 64)).astype(np.float32)
    together = np.asarray(tried.run({"x": data}, None)["y"])
    for row in range(33):
        alone = np.asarray(tried.run({"x": data[row : row + 1]}, None)["y"])
        assert same(together[row : row + 1], alone)

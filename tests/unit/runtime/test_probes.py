"""Inputs are made up from a signature, and batches taken from given rows."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead_runtime.export.accuracy import predictions
from fairlead_runtime.protocol.types import DATATYPES, Array, Signature, TensorSpec
from fairlead_runtime.workbench.errors import ToolError
from fairlead_runtime.workbench.probes import fixed_batch, made_up, take


def f32(values: object) -> Array:
    return np.array(values, dtype=np.float32)


def i64(values: object) -> Array:
    return np.array(values, dtype=np.int64)


def signature(*shapes: tuple[int, ...], datatype: str = "FP32") -> Signature:
    inputs = (
        TensorSpec(name=f"x{index}", datatype=datatype, shape=shape)
        for index, shape in enumerate(shapes)
    )
    return Signature(inputs=tuple(inputs), outputs=())


@pytest.mark.parametrize("datatype", DATATYPES)
def test_each_datatype_can_be_made_up(datatype: str) -> None:
    found = made_up(signature((-1, 3, -1), datatype=datatype), rows=5)["x0"]
    assert found.shape == (5, 3, 1)
    assert found.dtype == DATATYPES[datatype]


def test_the_same_seed_gives_the_same_rows() -> None:
    first, second = (made_up(signature((-1, 3)), rows=4)["x0"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, made_up(signature((-1, 3)), rows=4, seed=1)["x0"])


@pytest.mark.parametrize(
    ("shapes", "wanted"),
    [(((-1, 3),), None), (((4, 3),), 4), (((-1,), (2,)), 2), (((),), 1), ((), 1)],
    ids=["free", "fixed", "one of two", "scalar", "no input"],
)
def test_the_batch_size_may_be_fixed(shapes: tuple[tuple[int, ...], ...], wanted: int) -> None:
    assert fixed_batch(signature(*shapes)) == wanted


def test_another_size_than_the_fixed_one_is_refused_with_the_right_one() -> None:
    with pytest.raises(ToolError, match="batches of 4 only, not of 8: use batch size 4"):
        made_up(signature((4, 3)), rows=8)


def test_a_huge_batch_is_refused_before_it_is_made() -> None:
    with pytest.raises(ToolError, match="use fewer rows"):
        made_up(signature((-1, 1 << 20)), rows=1 << 20)


def test_rows_begin_again_when_they_run_out() -> None:
    rows = {"x": np.arange(3)}
    assert take(rows, rows=5)["x"].tolist() == [0, 1, 2, 0, 1]
    assert take(rows, rows=2, start=2)["x"].tolist() == [2, 0]


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        (i64([2, 0]), [2, 0]),
        (np.array(["a", "b"], dtype=object), ["a", "b"]),
        (f32([[0.1, 0.7, 0.2], [0.9, 0.05, 0.05]]), [1, 0]),
        (f32([[0.6], [0.4]]), [1, 0]),
        (f32([3.0, -1.0, 0.2]), [1, 0, 1]),
    ],
    ids=["labels", "texts", "scores", "probability", "logit"],
)
def test_a_prediction_is_read_from_what_the_model_gives(
    output: Array, wanted: list[object]
) -> None:
    assert predictions(output).tolist() == wanted


def test_what_is_no_classifier_has_no_accuracy() -> None:
    with pytest.raises(ToolError, match="needs a classifier"):
        predictions(np.zeros((2, 3, 4), dtype=np.float32))

"""JSON data becomes arrays, or an error that names the element."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fairlead_runtime.protocol.arrays import to_array
from fairlead_runtime.protocol.errors import InvalidRequestError
from fairlead_runtime.protocol.types import DATATYPES

_NUMERIC = [name for name in DATATYPES if name not in ("BYTES", "FP16")]


@given(st.sampled_from(_NUMERIC), st.data())
def test_every_array_survives_json(datatype: str, data: st.DataObject) -> None:
    dtype = DATATYPES[datatype]
    finite: dict[str, Any] = {"allow_nan": False, "allow_infinity": False}
    elements = hnp.from_dtype(dtype, **(finite if dtype.kind == "f" else {}))
    shape = hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)
    array = data.draw(hnp.arrays(dtype, shape, elements=elements))
    back = to_array(json.loads(json.dumps(array.tolist())), datatype, "data")
    np.testing.assert_array_equal(back, array)
    assert back.dtype == dtype


@pytest.mark.parametrize(
    ("data", "datatype", "message"),
    [
        ([1, "a"], "FP32", "data[1]: must be numbers, not 'a'"),
        ([[1, 2], [3, None]], "FP32", "data[1][1]: must be numbers, not null"),
        ([1.5], "INT64", "data[0]: must be integers, not 1.5"),
        ([True, "x"], "BOOL", "data[1]: must be true or false, not 'x'"),
        ([1, 0], "BOOL", "data[0]: must be true or false, not 1"),
        (["a", 1], "BYTES", "data[1]: must be a string, not 1"),
        ([[1, 2], [3]], "FP32", "data: its rows must all have the same length"),
        ([300], "UINT8", "data: UINT8 holds 0 to 255"),
        ([-1], "UINT64", "data: UINT64 holds 0 to"),
        ([1e300], "FP32", "data: a number is too large for FP32"),
        ([{"a": 1}], "FP32", "data[0]: must be numbers, not an object"),
        ([True], "FP32", "data[0]: must be numbers, not true"),
        ([10**400], "FP64", "data: a number is too large for FP64"),
        ([[1], 2], "FP32", "data: its rows must all have the same length"),
        ([[[1]], [[1, 2]]], "INT8", "data: its rows must all have the same length"),
        (None, "BYTES", "data: must be a string, not null"),
    ],
)
def test_wrong_data_is_refused_by_name(data: object, datatype: str, message: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        to_array(data, datatype, "data")
    assert str(refused.value).startswith(message)


def test_one_long_string_among_numbers_costs_no_memory() -> None:
    data: list[Any] = [0] * 100_000
    data[-1] = "x" * 1_000_000  # numpy would make a hundred thousand strings of this length
    with pytest.raises(InvalidRequestError) as refused:
        to_array(data, "FP32", "data")
    assert refused.value.field == "data[99999]"


@pytest.mark.parametrize("datatype", ["FP32", "BYTES"])
def test_data_nested_too_deep_is_refused(datatype: str) -> None:
    data: Any = 1.0
    for _ in range(900):
        data = [data]
    with pytest.raises(InvalidRequestError, match="must be"):
        to_array(data, datatype, "data")


def test_strings_keep_their_zero_bytes() -> None:
    assert to_array(["a\0", "b"], "BYTES", "data").tolist() == ["a\0", "b"]


def test_whole_floats_are_integers() -> None:
    assert to_array([1.0, 2], "INT64", "data").tolist() == [1, 2]
    assert to_array([[255.0]], "UINT8", "data").dtype == np.uint8
    for data, datatype in ([256.0], "UINT8"), ([2.0**63], "INT64"), ([-1.0], "UINT64"):
        with pytest.raises(InvalidRequestError, match=f"{datatype} holds"):
            to_array(data, datatype, "data")


@pytest.mark.parametrize("datatype", ["INT32", "FP32"])
def test_a_boolean_anywhere_among_numbers_is_refused(datatype: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        to_array([[1, 2], [3, True]], datatype, "data")
    assert refused.value.field == "data[1][1]"

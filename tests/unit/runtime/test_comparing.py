"""Golden examples are compared row by row; NaN and infinities are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairlead_runtime.protocol.types import Array
from fairlead_runtime.validation.compare import compare, non_finite


def f32(values: object) -> Array:
    return np.array(values, dtype=np.float32)


def i64(values: object) -> Array:
    return np.array(values, dtype=np.int64)


NAN, INF = float("nan"), float("inf")
CASES = [
    ("equal", [1.0, 2.0], [1.0, 2.0], 0),
    ("within one thousandth of one", [0.5], [0.5009], 0),
    ("beyond it", [0.5], [0.5011], 1),
    ("within one thousandth of a large value", [2000.0], [2001.9], 0),
    ("beyond that", [2000.0], [2002.1], 1),
    ("NaN is NaN", [NAN], [NAN], 0),
    ("NaN is no number", [1.0], [NAN], 1),
    ("a number is not NaN", [NAN], [1.0], 1),
    ("an infinity is itself", [INF], [INF], 0),
    ("not the other", [INF], [-INF], 1),
    ("and no number is close to it", [INF], [1.0], 1),
    ("integers are equal", i64([7]), i64([7]), 0),
    ("or not, however large", i64([10_000]), i64([10_001]), 1),
    ("texts", np.array(["a", "b"], dtype=object), np.array(["a", "c"], dtype=object), 1),
]


@pytest.mark.parametrize(
    ("wanted", "got", "wrong"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_row_is_wrong_when_it_differs_by_more_than_the_tolerance(
    wanted: Any, got: Any, wrong: int
) -> None:
    found = compare("y", np.asarray(wanted), np.asarray(got), tolerance_milli=1)
    assert found.wrong_rows == wrong
    assert bool(found.first) == bool(wrong)


def test_the_first_wrong_value_is_told_with_its_place() -> None:
    wanted = np.zeros((3, 2), dtype=np.float32)
    got = wanted.copy()
    got[1, 1], got[2, 0] = 0.25, 1
    found = compare("y", wanted, got, tolerance_milli=10)
    assert (found.rows, found.wrong_rows) == (3, 2)
    assert found.first == "[1, 1] is 0.25, wanted 0 within 10 thousandths"


@pytest.mark.parametrize("got", [np.zeros((2, 3)), [{0: 0.1}]], ids=["shape", "no tensor"])
def test_another_shape_makes_every_row_wrong(got: object) -> None:
    found = compare("y", np.zeros((2, 2)), got, tolerance_milli=1000)
    assert found.wrong_rows == 2
    assert "wanted [2, 2]" in found.first


def test_rows_that_are_not_finite_are_counted_once() -> None:
    outputs = {
        "a": f32([[1, NAN], [1, 1], [1, 1]]),
        "b": f32([INF, 0, 0]),
        "c": i64([1, 2, 3]),
        "d": [{0: 0.5}, {0: 0.5}, {0: NAN}],
        "e": np.array(["x", "y", "z"], dtype=object),
    }
    rows, names = non_finite(outputs, 3)
    assert rows.tolist() == [True, False, True]
    assert names == ("a", "b", "d")


def test_an_output_that_is_not_by_row_marks_all_rows() -> None:
    rows, _ = non_finite({"total": np.array(NAN)}, 4)
    assert rows.all()

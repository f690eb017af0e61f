"""Columns of .parquet and .csv files as a model sees them, or one line that says what to do."""

from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from fairlead_runtime.profiling.tables import open_table
from fairlead_runtime.protocol.types import Array
from fairlead_runtime.workbench.errors import ToolError

DAY = dt.date(2026, 3, 1)
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
NAN = float("nan")


def stored(folder: Path, *columns: Any, names: tuple[str, ...] = ("a",)) -> Path:
    path = folder / "rows.parquet"
    parquet.write_table(pa.Table.from_arrays(list(columns), names=list(names)), path)
    return path


def read(path: Path, *wanted: str, text: bool = False) -> list[Array]:
    names = list(wanted or ("a",))
    parts = [found for found, _ in open_table(path).read(names, set(names) if text else set(), 2)]
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, None, 3]), [1, NAN, 3]),
        (pa.array([1.5, None, NAN]), [1.5, NAN, NAN]),
        (pa.array([True, None, False]), [1, NAN, 0]),
        (pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("2.25")]), [1.5, NAN, 2.25]),
        (pa.array(["1.5", "", None]), [1.5, NAN, NAN]),
        (pa.array([b"1.5", b"NA", b"2"]), [1.5, NAN, 2]),
        (pa.array(["7", "8", "7"]).dictionary_encode(), [7, 8, 7]),
        (pa.array([7, None, 8]).dictionary_encode(), [7, NAN, 8]),
        (pa.nulls(3), [NAN, NAN, NAN]),
        (pa.array([[1, 2], [3, None], [5, 6]]), [[1, 2], [3, NAN], [5, 6]]),
        (pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.int8(), 2)), [[1, 2], [3, 4], [5, 6]]),
        (pa.array([[[1], [2]], [[3], [4]], [[5], [6]]]), [[[1], [2]], [[3], [4]], [[5], [6]]]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_numbers(tmp_path: Path, column: Any, expected: list[Any]) -> None:
    (found,) = read(stored(tmp_path, column))
    np.testing.assert_array_equal(found.astype(np.float64), np.array(expected, dtype=np.float64))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["Bonn", None, ""]), ["Bonn", "", ""]),
        (pa.array([b"Calw", None, "Köln".encode()]), ["Calw", "", "Köln"]),
        (pa.array([7, None, 2**53 + 1]), ["7", "", str(2**53 + 1)]),
        (pa.array([1.5, None, 2.0]), ["1.5", "", "2.0"]),
        (pa.array([True, None, False]), ["True", "", "False"]),
        (pa.array([DAY, None, DAY]), ["2026-03-01", "", "2026-03-01"]),
        (pa.array(["x", None, "y"]).dictionary_encode(), ["x", "", "y"]),
        (pa.nulls(3), ["", "", ""]),
        (pa.array([["a", "b"], ["c", None], ["e", "f"]]), [["a", "b"], ["c", ""], ["e", "f"]]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_texts(tmp_path: Path, column: Any, expected: list[Any]) -> None:
    (found,) = read(stored(tmp_path, column), text=True)
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        (pa.array([DAY]), False, "column 'a' is of type date32[day]: make numbers of it"),
        (pa.array([None, DAY]), False, "is of type date32[day]: make numbers of it"),
        (pa.array([NOON]), False, "is of type timestamp[us, tz=UTC]: make numbers of it"),
        (pa.array([dt.time(1)]), False, "is of type time64[us]: make numbers of it"),
        (pa.array([dt.timedelta(1)]), False, "is of type duration[us]: make numbers of it"),
        (pa.array([dt.timedelta(1)]), True, "is of type duration[us]: make texts of it"),
        (pa.array([{"b": 1}]), False, "is of type struct<b: int64>: make numbers of it"),
        (pa.array([{"b": 1}]), True, "is of type struct<b: int64>: make texts of it"),
        (pa.array([[DAY]]), False, "is of type date32[day]: make numbers of it"),
        (pa.array(["x"]), False, "column 'a': could not convert string to float: 'x'"),
        (pa.array([b"\xff"]), True, "cannot be read: Invalid UTF8"),
        (pa.array([[1], None]), False, "column 'a' has rows without a list: fill or drop them"),
        (pa.array([[1], [1, 2]]), False, "column 'a' has lists of different length: [1, 2]"),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_what_a_model_cannot_take_is_said(
    tmp_path: Path, column: Any, text: bool, message: str
) -> None:
    path = stored(tmp_path, column)
    with pytest.raises(ToolError) as caught:
        read(path, text=text)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path} cannot be read: ")


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_two_columns_of_one_name_are_not_taken_for_one_another(tmp_path: Path, kind: str) -> None:
    if kind == "csv":
        path = tmp_path / "rows.csv"
        path.write_text("a,a,b\n1,2,3\n")
    else:
        path = stored(tmp_path, *(pa.array([float(n)]) for n in (1, 2, 3)), names=("a", "a", "b"))
    (found,) = read(path, "b")
    assert found.tolist() == [3.0]
    with pytest.raises(ToolError, match="several columns are called 'a': rename them"):
        read(path, "a", "b")

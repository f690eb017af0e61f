"""Columns of Arrow as numpy has them, or a word about why they are nothing for a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from fairlead_runtime.protocol.types import Array
from fairlead_runtime.workbench.opening import needs

_NUMBERS = ("is_integer", "is_floating", "is_boolean", "is_decimal", "is_null")
_STRINGS = ("is_string", "is_large_string", "is_string_view")
_BYTES = ("is_binary", "is_large_binary", "is_binary_view", "is_fixed_size_binary")
_INSTANTS = ("is_date", "is_timestamp", "is_time")
_LISTS = ("is_list", "is_large_list", "is_fixed_size_list")


def as_numpy(column: Any, *, text: bool, name: str) -> Array:  # noqa: ANN401 - pyarrow has no types
    """Return a column: nulls are NaN, or empty texts; lists are the rows of a matrix.

    Raises:
        ValueError: It is of a type that makes no numbers, or no texts; its lists differ in length.
    """
    if _is(column.type, ("is_dictionary",)):
        column = column.dictionary_decode()
    if _is(column.type, _LISTS):
        return _matrix(column, text=text, name=name)
    if _is(column.type, _BYTES):  # so some writers leave texts
        column = column.cast("string")
    if text and _is(column.type, (*_NUMBERS, *_STRINGS, *_INSTANTS)):
        return _texts(column)
    if not text and _is(column.type, _NUMBERS):
        return _numbers(column)
    if not text and _is(column.type, _STRINGS):
        return parsed(["" if each is None else each for each in column.to_pylist()], name=name)
    what = "texts" if text else "numbers"
    raise ValueError(f"column {name!r} is of type {column.type}: make {what} of it, or drop it")


def parsed(cells: list[str], *, name: str) -> Array:
    """Return texts as numbers; what stands for a missing value is NaN.

    Raises:
        ValueError: One is no number.
    """
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        try:
            return np.array([number(cell) for cell in cells])
        except ValueError as error:
            raise ValueError(f"column {name!r}: {error}") from None


def number(cell: str) -> float:
    """Return the number in a cell; NaN where the value is missing.

    Raises:
        ValueError: There is another text.
    """
    return np.nan if cell.strip().lower() in _MISSING else float(cell)


_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})


def _is(type_: Any, names: tuple[str, ...]) -> bool:  # noqa: ANN401
    types = needs("pyarrow.types", install="fairlead[export]", task="reading a .parquet file")
    # An older pyarrow knows fewer types.
    return any(getattr(types, name)(type_) for name in names if hasattr(types, name))


def _matrix(column: Any, *, text: bool, name: str) -> Array:  # noqa: ANN401
    if column.null_count:
        raise ValueError(f"column {name!r} has rows without a list: fill or drop them")
    values = as_numpy(column.flatten(), text=text, name=name)
    if _is(column.type, ("is_fixed_size_list",)):
        widths = {column.type.list_size}
    else:
        widths = set(column.value_lengths().to_pylist())
    if len(widths) > 1:
        raise ValueError(f"column {name!r} has lists of different length: {sorted(widths)}")
    return values.reshape(len(column), *widths, *values.shape[1:])


def _numbers(column: Any) -> Array:  # noqa: ANN401
    values = column.to_numpy(zero_copy_only=False)
    if values.dtype != object:
        return np.asarray(values)
    return np.array([np.nan if each is None else float(each) for each in values])


def _texts(column: Any) -> Array:  # noqa: ANN401
    # In numpy a null would make floats of integers, and "7.0" of 7.
    whole = _is(column.type, ("is_integer",))
    values = column.to_pylist() if whole else column.to_numpy(zero_copy_only=False)
    missing = column.is_null().to_pylist()
    texts = ["" if gone else str(each) for each, gone in zip(values, missing, strict=True)]
    return np.array(texts, dtype=object)

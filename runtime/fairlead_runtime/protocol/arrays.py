"""From JSON numbers and strings to an array of the dtype and shape that a model wants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fairlead_runtime.protocol.errors import InvalidRequestError
from fairlead_runtime.protocol.types import DATATYPES, Array, TensorSpec

_WORDS = {"b": "true or false", "i": "integers", "u": "integers of 0 or more", "f": "numbers"}
_ACCEPTED = {"b": "b", "i": "iu", "u": "iu", "f": "iuf", "O": "U"}


def to_array(data: object, datatype: str, field: str) -> Array:
    """Return JSON data, nested or flat, as an array of this datatype.

    Raises:
        InvalidRequestError: A value is missing, of another type or too large; the message names
            the first such element.
    """
    dtype = DATATYPES[datatype]
    if isinstance(data, list) and not data:
        return np.empty((0,), dtype=dtype)
    try:
        array = np.asarray(data)
    except (ValueError, OverflowError):
        raise _first_wrong(data, dtype, field) from None
    if array.dtype.kind not in _ACCEPTED[dtype.kind] or not _pure(array, data):
        if dtype.kind == "O" or _find(data, dtype, field) is not None:
            raise _first_wrong(data, dtype, field)
        array = _converted(data, datatype, field)
    if dtype.kind == "O":
        return array.astype(object)
    if dtype.kind in "iu" and array.size:
        limits = np.iinfo(dtype)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            message = f"{datatype} holds {limits.min} to {limits.max}"
            raise InvalidRequestError(field, message)
    with np.errstate(over="ignore"):
        converted = array.astype(dtype)
    if dtype.kind == "f" and not np.isfinite(converted).all():
        # JSON has no infinity: it can only be a number that is too large for the datatype.
        raise InvalidRequestError(field, f"a number is too large for {datatype}")
    return converted


def checked_shape(array: Array, spec: TensorSpec, field: str) -> Array:
    """Return the array where its shape is one that the model takes.

    Raises:
        InvalidRequestError: It is not.
    """
    fits = len(array.shape) == len(spec.shape) and all(
        want in (-1, have) for want, have in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        message = f"shape {list(array.shape)} does not fit {shape_text(spec)} of input {spec.name}"
        raise InvalidRequestError(field, message)
    return array


def shape_text(spec: TensorSpec) -> str:
    """Return a shape as people write it; `*` stands for any size."""
    return "[" + ", ".join("*" if size < 0 else str(size) for size in spec.shape) + "]"


def size_of(shape: Sequence[int]) -> int:
    """Return how many elements a shape has."""
    return math.prod(shape)


def _converted(data: object, datatype: str, field: str) -> Array:
    # numpy guesses floats or objects for integers beyond 64 signed bits: say what is wanted.
    try:
        return np.asarray(data, dtype=DATATYPES[datatype])
    except OverflowError:
        raise InvalidRequestError(field, f"a number is too large for {datatype}") from None
    except ValueError:
        raise _first_wrong(data, DATATYPES[datatype], field) from None


def _pure(array: Array, data: object) -> bool:
    # numpy turns [1, "a"] into two strings; only a look at each element tells.
    return array.dtype.kind != "U" or _all_strings(data)


def _all_strings(data: object) -> bool:
    if isinstance(data, list):
        return all(_all_strings(item) for item in data)
    return isinstance(data, str)


def _first_wrong(data: object, dtype: np.dtype[Any], field: str) -> InvalidRequestError:
    found = _find(data, dtype, field)
    if found is not None:
        where, value = found
        wanted = "a string" if dtype.kind == "O" else _WORDS[dtype.kind]
        return InvalidRequestError(where, f"must be {wanted}, not {_shown(value)}")
    return InvalidRequestError(field, "its rows must all have the same length")


def _find(data: object, dtype: np.dtype[Any], field: str) -> tuple[str, object] | None:
    if isinstance(data, list):
        for index, item in enumerate(data):
            found = _find(item, dtype, f"{field}[{index}]")
            if found is not None:
                return found
        return None
    kind = dtype.kind
    fine = (
        (kind == "O" and isinstance(data, str))
        or (kind == "b" and isinstance(data, bool))
        or (kind in "iu" and isinstance(data, int) and not isinstance(data, bool))
        or (kind == "f" and isinstance(data, int | float) and not isinstance(data, bool))
    )
    return None if fine else (field, data)


def _shown(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "an object"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."

"""From JSON numbers and strings to an array of the dtype and shape that a model wants."""

from __future__ import annotations

import math
from array import array as packed
from collections.abc import Sequence
from typing import Any

import numpy as np

from fairlead_runtime.protocol.errors import Code, InvalidRequestError
from fairlead_runtime.protocol.types import DATATYPES, Array, TensorSpec

# `array.array` packs a list at C speed and, unlike numpy, refuses what is no number: numpy would
# turn a million numbers and one long string into a million long strings.
_PACKED = {
    "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q",
    "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q",
    "FP16": "d", "BF16": "f", "FP32": "f", "FP64": "d",
}  # fmt: skip
_DTYPES = {code: np.dtype(code) for code in set(_PACKED.values())}
_WORDS = {
    "b": "true or false",
    "i": "integers",
    "u": "integers of 0 or more",
    "f": "numbers",
    "O": "a string",
}
_MAX_DEPTH = 32
_MOST_ELEMENTS = 1 << 40
_FEW = 48
_FP32 = DATATYPES["FP32"]


class _WrongTypeError(Exception):
    """An element is not of the wanted type, or rows differ in length."""


def to_array(data: object, datatype: str, field: str, *, booleans: bool = True) -> Array:
    """Return JSON data, nested or flat, as an array of this datatype.

    Args:
        data: What JSON held.
        datatype: The datatype that is wanted.
        field: Its name in errors.
        booleans: Whether there may be true or false in it; looking for them takes time.

    Raises:
        InvalidRequestError: A value is missing, of another type or too large; the error names
            the first such element.
    """
    dtype = DATATYPES[datatype]
    try:
        code = _PACKED.get(datatype)
        if code is None:
            return _objects(data, dtype)
        flat = packed(code)
        shape = _pack(data if type(data) is list else [data], flat, 0)
    except OverflowError:
        raise _too_large(data, datatype, field) from None
    except (_WrongTypeError, TypeError):
        if dtype.kind in "iu":
            return _whole(data, datatype, field)
        raise _first_wrong(data, datatype, field) from None
    if booleans and _find(data, dtype, field, 0) is not None:
        raise _first_wrong(data, datatype, field)
    numbers: Array = np.frombuffer(flat, dtype=_DTYPES[code]) if flat else np.empty(0, dtype=dtype)
    if dtype.kind == "f":
        if numbers.dtype != dtype:
            with np.errstate(over="ignore"):
                numbers = numbers.astype(dtype)
        # JSON has no infinity: it can only be a number that is too large for the datatype.
        # Few numbers are summed up in a third of the time that it takes numpy to look at them, and
        # counting takes it half of the time of `all`.
        few = len(flat) <= _FEW and code != "d"
        if not (few and math.isfinite(sum(flat))) and (
            np.count_nonzero(np.isfinite(numbers)) != numbers.size
        ):
            raise _too_large(data, datatype, field)
    return numbers.reshape(shape if type(data) is list else ())


def to_row(data: object, width: int) -> Array | None:
    """Return a list of numbers as FP32 of shape [1, width], at a third of what `to_array` costs.

    Args:
        data: What JSON held, without true and false.
        width: How many numbers there must be; -1 for any number.

    Returns:
        None where it is not quite that; `to_array` and `check_shape` know more, and say why.
    """
    if type(data) is not list or (width >= 0 and len(data) != width):
        return None
    flat = packed("f")
    try:
        flat.fromlist(data)
    except (TypeError, OverflowError):
        return None
    if not 0 < len(flat) <= _FEW or not math.isfinite(sum(flat)):
        return None
    return np.ndarray((1, len(flat)), _FP32, flat)  # a third of what frombuffer and reshape cost


def _pack(data: list[Any], flat: packed[Any], depth: int) -> tuple[int, ...]:
    """Append all numbers of nested lists to `flat` and return their shape."""
    first = data[0] if data else None
    if type(first) is not list:
        flat.fromlist(data)
        return (len(data),)
    if depth >= _MAX_DEPTH:
        raise _WrongTypeError
    inner: tuple[int, ...] | None = None
    for item in data:
        if type(item) is not list:
            raise _WrongTypeError
        shape = _pack(item, flat, depth + 1)
        if inner is None:
            inner = shape
        elif inner != shape:
            raise _WrongTypeError
    return (len(data), *(inner or ()))


def _whole(data: object, datatype: str, field: str) -> Array:
    """Return numbers as integers where all of them are whole: to JSON, 1.0 is an integer too."""
    if _find(data, DATATYPES[datatype], field, 0) is None:
        numbers = to_array(data, "FP64", field)
        limits = np.iinfo(DATATYPES[datatype])
        # Beyond 2^53 a float may stand for its neighbours as well, and so for a number too large.
        exact = 1 << 53
        most, least = min(limits.max, exact), max(limits.min, -exact)
        if ((numbers >= least) & (numbers <= most)).all():
            return numbers.astype(DATATYPES[datatype])
        raise _out_of_range(datatype, field)
    raise _first_wrong(data, datatype, field)


def _objects(data: object, dtype: np.dtype[Any]) -> Array:
    """Return strings or booleans as an array."""
    wanted = str if dtype.kind == "O" else bool
    flat: list[Any] = []
    shape = _flatten(data, flat, 0)
    if any(type(item) is not wanted for item in flat):
        raise _WrongTypeError
    array = np.empty(len(flat), dtype=dtype)
    array[:] = flat
    return array.reshape(shape)


def _flatten(data: object, flat: list[Any], depth: int) -> tuple[int, ...]:
    if type(data) is not list:
        flat.append(data)
        return ()
    if depth >= _MAX_DEPTH:
        raise _WrongTypeError
    shapes = {_flatten(item, flat, depth + 1) for item in data}
    if len(shapes) > 1:
        raise _WrongTypeError
    return (len(data), *(shapes.pop() if shapes else ()))


def check_shape(shape: tuple[int, ...], spec: TensorSpec, field: str) -> None:
    """Raise InvalidRequestError unless the model takes this shape."""
    fits, elements = len(shape) == len(spec.shape), 1
    for want, have in zip(spec.shape, shape, strict=False):
        fits = fits and want in (-1, have)
        elements *= have or 1
    if not fits:
        message = f"shape {list(shape)} does not fit {shape_text(spec)} of input {spec.name}"
        raise wrong_tensor(field, message, shape_text(spec))
    if elements > _MOST_ELEMENTS:
        raise wrong_tensor(field, f"shape {list(shape)} is too large", shape_text(spec))


def wrong_tensor(field: str, message: str, expected: str = "") -> InvalidRequestError:
    """Return the error of a tensor that does not fit the model."""
    return InvalidRequestError(field, message, expected=expected, code=Code.INVALID_TENSOR)


def shape_text(spec: TensorSpec) -> str:
    """Return a shape as people write it; `*` stands for any size."""
    return "[" + ", ".join("*" if size < 0 else str(size) for size in spec.shape) + "]"


def size_of(shape: Sequence[int]) -> int:
    """Return how many elements a shape has."""
    return math.prod(shape)


def _too_large(data: object, datatype: str, field: str) -> InvalidRequestError:
    dtype = DATATYPES[datatype]
    if dtype.kind == "f":
        return wrong_tensor(field, f"a number is too large for {datatype}", f"{datatype} numbers")
    if _find(data, dtype, field, 0) is not None:
        return _first_wrong(data, datatype, field)
    return _out_of_range(datatype, field)


def _out_of_range(datatype: str, field: str) -> InvalidRequestError:
    limits = np.iinfo(DATATYPES[datatype])
    span = f"{limits.min} to {limits.max}"
    return wrong_tensor(field, f"{datatype} holds {span}", span)


def _first_wrong(data: object, datatype: str, field: str) -> InvalidRequestError:
    dtype = DATATYPES[datatype]
    found = _find(data, dtype, field, 0)
    if found is not None:
        where, value = found
        wanted = _WORDS[dtype.kind]
        return wrong_tensor(where, f"must be {wanted}, not {_shown(value)}", wanted)
    expected = "rows of one length"
    return wrong_tensor(field, "its rows must all have the same length", expected)


def _find(data: object, dtype: np.dtype[Any], field: str, depth: int) -> tuple[str, object] | None:
    if isinstance(data, list):
        if depth >= _MAX_DEPTH:
            return field, data
        for index, item in enumerate(data):
            found = _find(item, dtype, f"{field}[{index}]", depth + 1)
            if found is not None:
                return found
        return None
    kind = dtype.kind
    if isinstance(data, bool):
        fine = kind == "b"
    elif isinstance(data, int | float):
        fine = kind == "f" or (kind in "iu" and data % 1 == 0)
    else:
        fine = kind == "O" and isinstance(data, str)
    return None if fine else (field, data)


def _shown(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list so deep"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."

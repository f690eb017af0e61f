"""Compares outputs row by row: golden examples, and values that are no numbers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead_runtime.protocol.types import Array
from fairlead_runtime.validation.facts import Compared


def compare(name: str, wanted: Array, got: object, *, tolerance_milli: int) -> Compared:
    """Compare one output with what it must be.

    A float may differ by `tolerance_milli` thousandths of 1, or of the wanted value where that is
    larger. NaN equals NaN. Integers, booleans and texts must be equal.
    """
    rows = len(wanted) if wanted.ndim else 1
    if not isinstance(got, np.ndarray) or got.shape != wanted.shape:
        shape = list(got.shape) if isinstance(got, np.ndarray) else "no tensor"
        first = f"its shape is {shape}, wanted {list(wanted.shape)}"
        return Compared(name=name, rows=rows, wrong_rows=rows, first=first)
    wrong = _wrong(wanted, got, tolerance_milli)
    by_row = wrong.reshape(rows, -1).any(axis=1) if wrong.size else np.zeros(rows, dtype=bool)
    if not by_row.any():
        return Compared(name=name, rows=rows, wrong_rows=0)
    place = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    where = "[" + ", ".join(str(int(index)) for index in place) + "]"
    first = f"{where} is {_shown(got[place])}, wanted {_shown(wanted[place])}"
    if wanted.dtype.kind == "f":
        first += f" within {tolerance_milli} thousandths"
    return Compared(name=name, rows=rows, wrong_rows=int(by_row.sum()), first=first)


def non_finite(outputs: Mapping[str, Any], rows: int) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Say of each row whether it holds NaN or an infinity, and name the outputs that do."""
    bad = np.zeros(rows, dtype=bool)
    names: list[str] = []
    for name, value in outputs.items():
        found = _non_finite(value, rows)
        if found.any():
            names.append(name)
            bad |= found
    return bad, tuple(names)


def _wrong(wanted: Array, got: Array, tolerance_milli: int) -> NDArray[np.bool_]:
    if wanted.dtype.kind != "f":
        return np.asarray(wanted != got, dtype=bool)
    have, want = got.astype(np.float64), wanted.astype(np.float64)
    same = (have == want) | (np.isnan(have) & np.isnan(want))  # infinities of one sign are equal
    with np.errstate(invalid="ignore"):
        close = np.abs(have - want) <= tolerance_milli / 1000 * np.maximum(1, np.abs(want))
    close &= np.isfinite(want)  # else every number is within an infinite tolerance
    return np.asarray(~(same | close), dtype=bool)


def _non_finite(value: Any, rows: int) -> NDArray[np.bool_]:  # noqa: ANN401 - any output
    if isinstance(value, list):  # a map from class to probability for each row
        value = np.asarray([_numeric(row) and _broken(row) for row in value], dtype=bool)
    elif isinstance(value, np.ndarray) and value.dtype.kind == "f":
        value = ~np.isfinite(value)
    else:
        return np.zeros(rows, dtype=bool)
    if value.ndim and len(value) == rows:
        return np.asarray(value.reshape(rows, -1).any(axis=1), dtype=bool)
    return np.full(rows, bool(value.any()))


def _numeric(row: object) -> bool:
    return isinstance(row, dict) and all(isinstance(each, float) for each in row.values())


def _broken(row: Mapping[Any, float]) -> bool:
    return not np.isfinite(list(row.values())).all()


def _shown(value: Any) -> str:  # noqa: ANN401 - one element of any array
    return f"{float(value):.6g}" if np.asarray(value).dtype.kind == "f" else str(value)[:40]

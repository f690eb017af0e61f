"""From tensors to one column for each feature of a profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead_runtime.contract.drift_profile import Feature
from fairlead_runtime.protocol.types import Array

Tensors = Mapping[str, Array | list[Any]]
Columns = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Group:
    """Features of one tensor that are cut out of it in one go.

    Attributes:
        role: input or output.
        tensor: Its name.
        places: Where the features stand in the profile.
        features: The features, all of one kind, elements or summaries.
    """

    role: str
    tensor: str
    places: NDArray[np.int64]
    features: tuple[Feature, ...]


def groups(features: Sequence[Feature]) -> list[Group]:
    """Return a profile's features by tensor and kind, in the profile's order."""
    found: dict[tuple[str, str, str, bool], list[int]] = {}
    for place, feature in enumerate(features):
        key = (feature.role, feature.tensor, feature.kind, bool(feature.summary))
        found.setdefault(key, []).append(place)
    return [
        Group(role, tensor, np.array(places), tuple(features[place] for place in places))
        for (role, tensor, _, _), places in found.items()
    ]


def rows_of(value: Array | list[Any]) -> int:
    """Return how many rows a tensor has; one where it has no axes."""
    return len(value) if isinstance(value, list) or value.ndim else 1


def numbers(group: Group, value: Array | list[Any]) -> Columns:
    """Return float64 columns of shape [feature, row]; NaN where a row has no value."""
    count = rows_of(value)
    if group.features[0].summary:
        return _summaries(group, flat(value))
    if isinstance(value, list):
        return np.array(
            [[_of_map(row, each.element) for row in value] for each in group.features],
            dtype=np.float64,
        ).reshape(len(group.features), count)
    return _picked(group, flat(value), np.float64).astype(np.float64)


def values(group: Group, value: Array | list[Any]) -> Array:
    """Return the columns of categories as they are, of shape [feature, row]."""
    if isinstance(value, list):
        return np.array(value, dtype=object).reshape(1, -1)
    return _picked(group, flat(value), object)


def flat(value: Array | list[Any]) -> Array:
    """Return one row of elements for each row."""
    array = np.asarray(value)
    return array.reshape(rows_of(array), -1)


def _picked(group: Group, rows: Array, dtype: type) -> Array:
    """Return the features' elements; NaN, or None, where the rows are too short for one."""
    wanted = [each.element if isinstance(each.element, int) else 0 for each in group.features]
    width = rows.shape[1]
    if wanted == list(range(width)):
        return np.ascontiguousarray(rows.T)
    if max(wanted) < width:
        return np.ascontiguousarray(rows[:, wanted].T)
    columns: Array = np.full(
        (len(wanted), len(rows)), np.nan if dtype is np.float64 else None, dtype
    )
    for index, element in enumerate(wanted):
        if element < width:
            columns[index] = rows[:, element]
    return columns


def _summaries(group: Group, rows: Array) -> Columns:
    if rows.dtype.kind not in "fiub" or rows.shape[1] == 0:
        return np.full((len(group.features), len(rows)), np.nan)
    wide = rows.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        found = {
            "mean": lambda: wide.mean(axis=1),
            "norm": lambda: np.sqrt(np.einsum("ij,ij->i", wide, wide)),
        }
        return np.stack([found[each.summary]() for each in group.features])


def _of_map(row: object, key: object) -> float:
    value = row.get(key, np.nan) if isinstance(row, Mapping) else np.nan
    return float(value) if isinstance(value, int | float | np.number) else np.nan

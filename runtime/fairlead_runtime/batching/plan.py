"""Which requests run together and how they are joined and parted again; no clock, no loop."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from fairlead_runtime.protocol.types import Array, InferRequest

T = TypeVar("T")
Output = Array | list[Any]


class SplitError(Exception):
    """The model's outputs have not one entry for each row that went in."""


def shape_key(request: InferRequest, order: Sequence[str]) -> tuple[Hashable, int] | None:
    """Return what a request has in common with those it can run with, and its rows.

    Args:
        request: The request.
        order: The names of the model's inputs; the same for each call.

    Returns:
        None where its inputs differ in their number of rows: it can only run alone.
    """
    inputs = request.inputs
    if len(order) == 1:  # the common case, at a third of the cost
        shape = inputs[order[0]].shape
        return ((request.outputs, shape[1:]), shape[0]) if shape else None
    shapes = [inputs[name].shape for name in order]
    if not all(shapes) or len({shape[0] for shape in shapes}) != 1:
        return None
    return (request.outputs, tuple(shape[1:] for shape in shapes)), shapes[0][0]


def merge(inputs: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Return the rows of all, in order, as one input."""
    return {name: np.concatenate([each[name] for each in inputs]) for name in inputs[0]}


def split(outputs: Mapping[str, Output], counts: Sequence[int]) -> list[dict[str, Output]]:
    """Return each request's part of the outputs, as views.

    Args:
        outputs: What the model gave for merged inputs.
        counts: The rows of each request, in the order of the merge.

    Raises:
        SplitError: An output has not as many entries as there were rows.
    """
    total = sum(counts)
    parts: list[dict[str, Output]] = [{} for _ in counts]
    for name, value in outputs.items():
        have = len(value) if isinstance(value, list) or value.ndim else -1
        if have != total:
            raise SplitError(f"output {name} has {have} entries for {total} rows")
        start = 0
        for part, count in zip(parts, counts, strict=True):
            part[name] = value[start : start + count]
            start += count
    return parts


class Lanes(Generic[T]):
    """Waiting items, a first-in-first-out lane for each key; the oldest item's lane is next."""

    def __init__(self) -> None:
        self._lanes: dict[Hashable, deque[tuple[int, int, T]]] = {}
        self._rows: dict[Hashable, int] = {}
        # One entry for each lane: its first item's number. Numbers grow and are unique, so the
        # smallest is the oldest, and keys are never compared.
        self._heads: list[tuple[int, Hashable]] = []
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def __iter__(self) -> Iterator[T]:
        return (item for lane in self._lanes.values() for _, _, item in lane)

    def push(self, key: Hashable | None, rows: int, item: T) -> int:
        """Add an item and return the rows of its lane; without a key it shares that with nobody."""
        number = self._count
        self._count += 1
        if key is None:
            key = ("alone", number)
        lane = self._lanes.get(key)
        if lane is None:
            self._lanes[key] = deque([(number, rows, item)])
            self._rows[key] = rows
            heapq.heappush(self._heads, (number, key))
            return rows
        lane.append((number, rows, item))
        rows += self._rows[key]
        self._rows[key] = rows
        return rows

    def alone(self, key: Hashable) -> int:
        """Return the rows of this key's lane where there is no other; else -1."""
        if not self._lanes:
            return 0
        return self._rows.get(key, -1) if len(self._lanes) == 1 else -1

    def oldest(self) -> T | None:
        """Return the item that has waited longest."""
        return self._lanes[self._heads[0][1]][0][2] if self._heads else None

    def full(self, limit: int) -> bool:
        """Whether some lane has a batch of this many rows."""
        return any(rows >= limit for rows in self._rows.values())

    def pop(self, limit: int) -> list[T]:
        """Take the oldest item and those of its lane that fit with it into `limit` rows.

        An item of more rows than that comes alone. Where nothing waits the list is empty.
        """
        if not self._heads:
            return []
        key = heapq.heappop(self._heads)[1]
        lane = self._lanes[key]
        _, taken, item = lane.popleft()
        batch = [item]
        while lane and taken + lane[0][1] <= limit:
            _, rows, item = lane.popleft()
            taken += rows
            batch.append(item)
        if lane:
            self._rows[key] -= taken
            heapq.heappush(self._heads, (lane[0][0], key))
        else:
            del self._lanes[key], self._rows[key]
        return batch

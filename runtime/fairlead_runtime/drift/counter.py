"""Counts rows into a profile's bins, many at a time: the one place where a value finds its bin.

A profile's own counts are made here as well, so that reference and window cannot differ in how
they treat an edge, a missing value or an infinite one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead_runtime.contract.drift_counts import MOMENT_BITS, MOMENT_LIMIT, FeatureCounts, Window
from fairlead_runtime.contract.drift_profile import Profile
from fairlead_runtime.drift.values import Group, Tensors, groups, numbers, rows_of, values
from fairlead_runtime.protocol.types import Array

_MOST_ROWS = 1 << 16  # at once: the columns of more would not stay in the CPU's cache
_LOW_BITS = 32
_LOW_MASK = (1 << _LOW_BITS) - 1
Whole = NDArray[np.int64]


class Layout:
    """Where each feature's bins stand in one long row of counts; its missing values come last."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        sizes = np.array([len(each.counts) + 1 for each in profile.features])
        self.starts: Whole = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        self.missing: Whole = self.starts + sizes - 1
        self.size = int(sizes.sum())

    def window(self, tally: Tally, start_s: float, end_s: float, *, coarse: bool = False) -> Window:
        """Return a tally as the counts that are merged and judged."""
        features = []
        high, low = tally.high.tolist(), tally.low.tolist()
        for place, feature in enumerate(self.profile.features):
            start, end = int(self.starts[place]), int(self.missing[place])
            bins = tally.counts[start:end].astype(np.int64)
            features.append(
                FeatureCounts(
                    bins=tuple((feature.grouped(bins) if coarse else bins).tolist()),
                    missing=int(tally.counts[end]),
                    total=(high[place] << _LOW_BITS) + low[place],
                )
            )
        return Window(
            profile=self.profile.digest,
            start_s=start_s,
            end_s=end_s,
            rows=tally.rows,
            features=tuple(features),
        )


class Tally:
    """Counts of all bins, and the sums of all features in two halves that do not overflow."""

    __slots__ = ("counts", "high", "low", "rows")

    def __init__(self, layout: Layout) -> None:
        features = len(layout.profile.features)
        self.rows = 0
        self.counts: NDArray[Any] = np.zeros(layout.size, np.int64)
        self.high: Whole = np.zeros(features, np.int64)
        self.low: Whole = np.zeros(features, np.int64)

    def add(self, other: Tally) -> None:
        """Add another tally of the same layout."""
        self.rows += other.rows
        self.counts = self.counts.astype(np.int64) + other.counts
        self.high += other.high
        self.add_totals(slice(None), other.low)

    def add_totals(self, places: Whole | slice, totals: Whole) -> None:
        """Add sums; what the low half cannot hold is carried."""
        low = self.low[places] + totals
        self.high[places] += low >> _LOW_BITS
        self.low[places] = low & _LOW_MASK

    def shrink(self) -> None:
        """Take half of the memory, once nothing is added any more."""
        if self.rows <= np.iinfo(np.uint32).max:
            self.counts = self.counts.astype(np.uint32)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return int(self.counts.nbytes + self.high.nbytes + self.low.nbytes)


class Counter:
    """Counts rows of one profile's model."""

    def __init__(self, profile: Profile) -> None:
        self.layout = Layout(profile)
        self._groups = [self._counting(group) for group in groups(profile.features)]

    def _counting(self, group: Group) -> _Numbers | _Categories:
        if group.features[0].kind == "number":
            return _Numbers(group, self.layout)
        return _Categories(group, self.layout)

    def count(self, inputs: Tensors, outputs: Tensors, tally: Tally) -> None:
        """Add rows to a tally.

        Nothing is raised for values: NaN is missing, infinite ones fall into the tails. A tensor
        that is not there, because the client did not ask for it, is not counted.

        Args:
            inputs: Tensors by name, rows first.
            outputs: The same.
            tally: Where they are added.
        """
        given = {"input": inputs, "output": outputs}
        for counting in self._groups:
            value = given[counting.group.role].get(counting.group.tensor)
            if value is None:
                continue
            for start in range(0, rows_of(value), _MOST_ROWS):
                part = value if rows_of(value) <= _MOST_ROWS else value[start : start + _MOST_ROWS]
                counting.add(part, tally)
        tally.rows += max((rows_of(value) for value in inputs.values()), default=1)


class _Numbers:
    """Features that are numbers, of one tensor."""

    def __init__(self, group: Group, layout: Layout) -> None:
        self.group, self._layout = group, layout
        self._edges = [np.array(each.edges) for each in group.features]
        self._starts = layout.starts[group.places][:, None]
        self._missing = layout.missing[group.places]
        self._means = np.array([[each.mean] for each in group.features])
        self._scales = np.array(
            [[(1 << MOMENT_BITS) / (each.deviation or 1.0)] for each in group.features]
        )

    def add(self, value: Array | list[Any], tally: Tally) -> None:
        columns = numbers(self.group, value)
        places = np.empty(columns.shape, np.int64)
        for row, (edges, column) in enumerate(zip(self._edges, columns, strict=True)):
            places[row] = edges.searchsorted(column, side="right")
        places += self._starts
        with np.errstate(over="ignore", invalid="ignore"):
            steps = (columns - self._means) * self._scales
            missing = np.isnan(columns)
            if missing.any():
                places[missing] = np.broadcast_to(self._missing[:, None], places.shape)[missing]
                steps[missing] = 0.0
            limit = MOMENT_LIMIT * (1 << MOMENT_BITS)
            whole = np.rint(np.clip(steps, -limit, limit)).astype(np.int64)
        tally.counts += np.bincount(places.ravel(), minlength=self._layout.size)
        tally.add_totals(self.group.places, whole.sum(axis=1))


class _Categories:
    """Features that are categories, of one tensor."""

    def __init__(self, group: Group, layout: Layout) -> None:
        self.group, self._layout = group, layout
        self._known = [
            {category: place for place, category in enumerate(feature.categories)}
            for feature in group.features
        ]

    def add(self, value: Array | list[Any], tally: Tally) -> None:
        for place, known, feature, column in zip(
            self.group.places, self._known, self.group.features, values(self.group, value),
            strict=True,
        ):  # fmt: skip
            start, missing = self._layout.starts[place], self._layout.missing[place]
            for category, count in _tallied(column):
                if category is None or category != category:  # noqa: PLR0124 - NaN
                    tally.counts[missing] += count
                else:
                    tally.counts[start + known.get(category, len(feature.categories))] += count


def _tallied(column: Array) -> list[tuple[Any, int]]:
    """Return the distinct values as Python's own, and how often each is there."""
    if column.dtype.kind == "b":
        column = column.astype(np.uint8)
    if column.dtype.kind == "O":
        found: dict[Any, int] = {}
        for value in column.tolist():
            found[value] = found.get(value, 0) + 1
        return list(found.items())
    distinct, counts = np.unique(column, return_counts=True)
    return list(zip(distinct.tolist(), counts.tolist(), strict=True))

"""Makes a profile from rows, in two passes: first what the bins are, then what falls into them.

Counts are always exact, because the second pass counts every row with the code that serving uses.
Edges are exact quantiles while the rows fit into memory; beyond that they come from a sketch, and
a fine bin holds about, not exactly, a hundredth of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fairlead_runtime.contract.drift_profile import (
    MAX_FEATURES,
    SUMMARIES,
    Feature,
    Profile,
    Role,
)
from fairlead_runtime.drift.columns import CodeColumns, NumberColumns, TextColumns
from fairlead_runtime.drift.counter import Counter, Tally
from fairlead_runtime.drift.values import Group, Tensors, groups, numbers, values
from fairlead_runtime.protocol.types import Signature, TensorSpec

COARSE_BINS = 10
MEMORY_BYTES = 512 << 20
"""Bytes of values that are kept for exact quantiles."""


class Draft:
    """A profile in the making: `add` every row, then `count` every row again, then `finish`."""

    def __init__(
        self,
        signature: Signature,
        *,
        names: Mapping[str, Sequence[str]] | None = None,
        bins: Profile | None = None,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        """Begin.

        Args:
            signature: What the model takes and gives.
            names: What the columns of an input are called.
            bins: Another profile, whose bins are taken for the features of the same name and kind.
            memory_bytes: What may be kept for exact quantiles.
        """
        self._signature, self._names = signature, names or {}
        self._bins = {(each.role, each.name): each for each in bins.features} if bins else {}
        self._memory_bytes = memory_bytes
        self._parts: list[_Part] | None = None
        self._order: list[str] = []
        self._counter: Counter | None = None
        self._tally: Tally | None = None

    def add(self, inputs: Tensors, outputs: Tensors) -> None:
        """First pass: learn from rows what the bins are."""
        if self._parts is None:
            self._parts = [_Part(group) for group in groups(self._features(inputs, outputs))]
        for part in self._parts:
            value = (inputs if part.group.role == "input" else outputs).get(part.group.tensor)
            if value is not None:
                part.add(value)
        if sum(part.nbytes for part in self._parts) > self._memory_bytes:
            for part in self._parts:
                part.sketch()

    def count(self, inputs: Tensors, outputs: Tensors) -> None:
        """Second pass: count rows into the bins."""
        if self._counter is None or self._tally is None:
            found = [
                _rebinned(feature, self._bins.get((feature.role, feature.name)))
                for part in self._parts or ()
                for feature in part.features()
            ]
            order = {name: place for place, name in enumerate(self._order)}
            found.sort(key=lambda feature: order[feature.name])
            empty = Profile(model_digest="", rows=0, exact=True, features=tuple(found))
            self._counter = Counter(empty)
            self._tally = Tally(self._counter.layout)
        self._counter.count(inputs, outputs, self._tally)

    def finish(self, model_digest: str) -> Profile:
        """Return the profile.

        Raises:
            ValueError: No row was counted.
        """
        if self._counter is None or self._tally is None or not self._tally.rows:
            raise ValueError("no row was counted")
        layout = self._counter.layout
        window = layout.window(self._tally, 0.0, 0.0)
        return Profile(
            model_digest=model_digest,
            rows=window.rows,
            exact=all(part.exact for part in self._parts or ()),
            features=tuple(
                replace(
                    feature,
                    counts=counted.bins,
                    coarse=self._coarse(feature, counted.bins),
                    missing=counted.missing,
                )
                for feature, counted in zip(layout.profile.features, window.features, strict=True)
            ),
        )

    def _coarse(self, feature: Feature, counts: Sequence[int]) -> tuple[int, ...]:
        given = self._bins.get((feature.role, feature.name))
        if given is not None and (given.edges, given.categories) == (
            feature.edges,
            feature.categories,
        ):
            return given.coarse
        return coarse(feature, counts)

    def _features(self, inputs: Tensors, outputs: Tensors) -> list[Feature]:
        found: list[Feature] = []
        roles: tuple[tuple[Role, Tensors, tuple[TensorSpec, ...]], ...] = (
            ("input", inputs, self._signature.inputs),
            ("output", outputs, self._signature.outputs),
        )
        for role, tensors, specs in roles:
            for spec in specs:
                if spec.name in tensors:
                    room = MAX_FEATURES - len(found)
                    found += _of_tensor(role, spec, tensors[spec.name], self._names, room)
        taken: set[str] = set()
        unique = []
        for feature in found:
            name = feature.name
            while name in taken:
                name = f"{feature.role}:{name}" if name == feature.name else f"{name}'"
            taken.add(name)
            unique.append(replace(feature, name=name))
        self._order = [feature.name for feature in unique]
        return unique


def _rebinned(feature: Feature, given: Feature | None) -> Feature:
    """Return a feature with the bins of another one of its kind."""
    if given is None or given.kind != feature.kind:
        return feature
    return replace(
        feature,
        edges=given.edges,
        categories=given.categories,
        counts=(0,) * len(given.counts),
    )


def _of_tensor(
    role: Role,
    spec: TensorSpec,
    value: Any,  # noqa: ANN401 - an array, or a list of maps
    names: Mapping[str, Sequence[str]],
    room: int,
) -> list[Feature]:
    """Return a tensor's features, without bins."""

    def feature(name: str, element: int | str | None, kind: str, summary: str = "") -> Feature:
        return Feature(
            name=name, role=role, tensor=spec.name, element=element, summary=summary,
            kind="number" if kind == "number" else "category", counts=(0,), coarse=(0,),
        )  # fmt: skip

    if isinstance(value, list):
        keys = sorted({key for row in value if isinstance(row, Mapping) for key in row}, key=str)
        if keys:
            return [feature(f"{spec.name}[{key}]", key, "number") for key in keys[:room]]
        return [feature(spec.name, None, "category")]
    width = int(np.prod(value.shape[1:], dtype=np.int64))
    kind = "category" if value.dtype.kind in "OUSb" else "number"
    # A width that the model leaves open is taken from the data where a row is a plain list.
    fixed = value.ndim <= 2 or all(size > 0 for size in spec.shape[1:])
    if fixed and width == 1 and spec.name not in names:
        return [feature(spec.name, None if value.ndim < 2 else 0, kind)]
    if fixed and width <= room:
        own = names.get(spec.name, ())
        called = own if len(own) == width else [f"{spec.name}[{i}]" for i in range(width)]
        return [feature(name, index, kind) for index, name in enumerate(called)]
    if kind == "category":
        return []  # nothing short can be said of many texts
    return [feature(f"{spec.name}:{each}", None, "number", each) for each in SUMMARIES]


class _Part:
    """One tensor's features of one kind."""

    def __init__(self, group: Group) -> None:
        self.group = group
        count = len(group.features)
        self._text = group.features[0].kind == "category"
        self._numbers, self._texts = NumberColumns(count), TextColumns(count)
        self._codes: CodeColumns | None = None
        self._first = True

    @property
    def nbytes(self) -> int:
        return self._numbers.nbytes

    @property
    def exact(self) -> bool:
        return self._numbers.exact and self._texts.exact

    def sketch(self) -> None:
        if self._numbers.exact:
            self._numbers.sketch()

    def add(self, value: Any) -> None:  # noqa: ANN401 - an array, or a list of maps
        kind = "" if isinstance(value, list) else value.dtype.kind
        whole = kind in "iub" and kind and not self.group.features[0].summary
        if self._first:
            self._codes = CodeColumns(len(self.group.features)) if whole else None
            self._first = False
        if self._codes is not None:
            self._codes.add(values(self.group, value))
        if self._text and self._codes is None:
            self._texts.add([column.tolist() for column in values(self.group, value)])
        else:
            self._numbers.add(numbers(self.group, value))

    def features(self) -> list[Feature]:
        """Return the features with their bins, not counted yet."""
        return [self._feature(index, each) for index, each in enumerate(self.group.features)]

    def _feature(self, index: int, feature: Feature) -> Feature:
        categories: tuple[str | int, ...] | None = None
        if self._codes is not None:
            categories = self._codes.categories(index)
        elif self._text:
            categories = self._texts.categories(index)
        if categories is not None:
            bins = len(categories) + 1
            return replace(feature, kind="category", categories=categories, counts=(0,) * bins)
        edges = self._numbers.edges(index)
        present = int(self._numbers.present[index])
        return replace(
            feature,
            kind="number",
            edges=edges,
            counts=(0,) * (len(edges) + 1),
            mean=float(self._numbers.mean[index]) if present else 0.0,
            deviation=self._numbers.deviation(index),
            minimum=float(self._numbers.minimum[index]) if present else 0.0,
            maximum=float(self._numbers.maximum[index]) if present else 0.0,
        )


def coarse(feature: Feature, counts: Sequence[int]) -> tuple[int, ...]:
    """Return where the coarse bins begin.

    Of a number: about ten of equal counts, the tails with the outer ones; where fewer than three
    would be left, as with a constant, every bin. Of categories: the nine most frequent (ten, where
    there are no more), the rest together, and those that training never saw.
    """
    if feature.kind == "category":
        known = len(counts) - 1
        if known <= COARSE_BINS:
            return tuple(range(len(counts)))
        return (*range(COARSE_BINS), known)
    reached = np.cumsum(counts)
    wanted = np.arange(1, COARSE_BINS) * reached[-1] / COARSE_BINS
    # The boundary after bin i lies at reached[i]; the two tails are never alone.
    inner = reached[1:-2] if len(counts) > 3 else reached[:0]
    nearest = {int(np.argmin(np.abs(inner - each))) + 2 for each in wanted} if len(inner) else set()
    starts = (0, *sorted(nearest))
    return starts if len(starts) >= 3 else tuple(range(len(counts)))

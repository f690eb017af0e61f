"""Counts answers that hold NaN or infinities: a model that is broken without failing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from fairlead_runtime.dataplane.aside import Seen
from fairlead_runtime.protocol.types import Array, InferResponse

MOST = 32
"""Answers of a batch that are looked at. At a high rate that is a sample: every n-th."""


class Counter(Protocol):
    """Who keeps the counts."""

    def checked(self, *, answers: int, non_finite: int) -> None:
        """Count answers that were looked at, and those of them that hold NaN or infinities."""


class FiniteCheck:
    """A sink that looks for NaN and infinities in the outputs."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def take(self, batch: Sequence[Seen]) -> None:
        """Count a sample of the batch."""
        sample = batch[:: -(-len(batch) // MOST)]
        bad = sum(not is_finite(seen.response) for seen in sample)
        self._counter.checked(answers=len(sample), non_finite=bad)


def is_finite(response: InferResponse) -> bool:
    """Whether no output holds NaN or an infinity."""
    return all(_finite(value) for value in response.outputs.values())


def _finite(value: Array | list[Any]) -> bool:
    if isinstance(value, list):  # maps from class to probability
        return all(
            bool(np.isfinite(list(item.values())).all())
            for item in value
            if isinstance(item, dict)
            and all(isinstance(each, (int, float, np.number)) for each in item.values())
        )
    return value.dtype.kind != "f" or bool(np.isfinite(value).all())

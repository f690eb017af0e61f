"""Counts answers that hold NaN or infinities: a model that is broken without failing.

Whole batches are looked at, by one call for each output, where they come out of the model: handing
answers to a thread would cost each of them more than the look does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from fairlead_runtime.batching.run import Ran
from fairlead_runtime.drift.allowance import Allowance
from fairlead_runtime.protocol.types import Array, InferResponse

Output = Array | list[Any]
SHARE = 0.01
"""Of the time, at most so much goes into looking; at a high rate the rest is not looked at."""
RESERVE_S = 0.1
"""Time that may be taken at once, after a pause: two thousand answers that come one by one."""


class Counter(Protocol):
    """Who keeps the counts."""

    def checked(self, *, answers: int, non_finite: int) -> None:
        """Count answers that were looked at, and those of them that hold NaN or infinities."""


class FiniteCheck:
    """Looks for NaN and infinities in what comes out of a model; called by the event loop."""

    def __init__(self, counter: Counter, clock: Callable[[], float] = time.perf_counter) -> None:
        self._counter, self._clock = counter, clock
        self._allowance = Allowance(SHARE, RESERVE_S, clock)

    def look(self, ran: Ran) -> None:
        """Count the answers of a batch, unless the looks of late have taken too long."""
        if not self._allowance.left:
            return
        started = self._clock()
        answers = [each for each in ran.results if isinstance(each, InferResponse)]
        bad = 0
        if ran.whole is None or not _all_finite(ran.whole):
            bad = sum(not is_finite(each) for each in answers)
        self._counter.checked(answers=len(answers), non_finite=bad)
        self._allowance.spend(self._clock() - started)


def is_finite(response: InferResponse) -> bool:
    """Whether no output holds NaN or an infinity."""
    return _all_finite(response.outputs)


def _all_finite(outputs: Mapping[str, Output]) -> bool:
    return all(_finite(value) for value in outputs.values())


def _finite(value: Output) -> bool:
    if isinstance(value, list):  # maps from class to probability
        return all(
            bool(np.isfinite(list(item.values())).all())
            for item in value
            if isinstance(item, dict)
            and all(isinstance(each, (int, float, np.number)) for each in item.values())
        )
    return value.dtype.kind != "f" or bool(np.isfinite(value).all())

"""Counts answered predictions beside the serving: bounded in memory, and in its share of the CPU.

It is a sink of the data plane's `Aside`: one background thread hands it answers in batches. What
the thread works is work that the model does not get, so counting takes a small share of one core,
with a reserve for bursts: a window needs a thousand rows, not every row. While the share is used up
a sample is gathered, and of that some is skipped and counted as skipped.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from fairlead_runtime.contract.drift_counts import Window
from fairlead_runtime.contract.drift_profile import Profile
from fairlead_runtime.contract.drift_report import Report, references
from fairlead_runtime.drift.allowance import Allowance
from fairlead_runtime.drift.counter import Counter
from fairlead_runtime.drift.values import Tensors, rows_of
from fairlead_runtime.drift.window import Sliding
from fairlead_runtime.protocol.types import Array, InferRequest, InferResponse

CPU_SHARE = 0.003
"""Of one core; the rest of the answers is skipped."""
RESERVE_S = 0.25
"""CPU time that may be taken at once, after a long pause."""
# What keeping an answer costs the event loop, which looks like its own work: memory that is not at
# once there for the next request has to be found, and is in no cache. 100 us for 64 rows of 20.
_GATHERED_S, _GATHERED_BYTE_S = 25e-6, 7.5e-9


class Answered(Protocol):
    """An answered prediction, as the data plane hands it over."""

    @property
    def request(self) -> InferRequest:
        """What was asked."""

    @property
    def response(self) -> InferResponse:
        """What the model answered."""


class Monitor:
    """The counts of one model's traffic. `take` has one caller; the others may come any time."""

    def __init__(
        self,
        profile: Profile,
        *,
        version: str,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        cpu_share: float = CPU_SHARE,
    ) -> None:
        self.profile = profile
        self._version, self._wall = version, wall
        self._counter = Counter(profile)
        self._window = Sliding(self._counter.layout, wall())
        self._allowance = Allowance(cpu_share, RESERVE_S, clock)
        self._lock = threading.Lock()
        self._references = references(profile)
        self.instance = uuid.uuid4().hex
        self.rows = 0
        self.skipped = 0

    @property
    def sated(self) -> bool:
        """Whether the CPU's share is used up, so that a sample of the answers is enough."""
        return not self._allowance.left

    def take(self, batch: Sequence[Answered]) -> None:
        """Count some answers, or skip them where the CPU's share is used up."""
        self._allowance.spend(sum(map(_gathered_s, batch)))
        if not self._allowance.left:
            self.skipped += sum(_rows(seen.request.inputs) for seen in batch)
            return
        started = time.thread_time()
        try:
            for inputs, outputs in _joined(batch):
                self.count(inputs, outputs)
        finally:
            self._allowance.spend(time.thread_time() - started)

    def count(self, inputs: Tensors, outputs: Tensors) -> None:
        """Count rows, whatever the CPU's share."""
        with self._lock:
            tally = self._window.current(self._wall())
            before = tally.rows
            self._counter.count(inputs, outputs, tally)
            self.rows += tally.rows - before

    def whole(self) -> Window:
        """Return the window's counts, by fine bin."""
        with self._lock:
            now = self._wall()
            self._window.roll(now)
            return self._window.whole(now)

    def report(self) -> Report:
        """Return what the operator reads."""
        with self._lock:
            now = self._wall()
            self._window.roll(now)
            return Report(
                instance=self.instance,
                version=self._version,
                model=self.profile.model_digest,
                profile=self.profile.digest,
                rows=self.rows,
                skipped=self.skipped,
                features=self._references,
                counted=self._window.ever(now, coarse=True),
                windows=self._window.closed(coarse=True),
                current=self._window.open(now, coarse=True),
            )

    @property
    def nbytes(self) -> int:
        """Bytes of all counts."""
        return self._window.nbytes


def _gathered_s(seen: Answered) -> float:
    size = sum(value.nbytes for value in seen.request.inputs.values())
    return _GATHERED_S + size * _GATHERED_BYTE_S


def _rows(inputs: Mapping[str, Array]) -> int:
    return max((rows_of(value) for value in inputs.values()), default=1)


Shapes = tuple[Any, ...]


def _joined(batch: Iterable[Answered]) -> Iterable[tuple[Tensors, Tensors]]:
    """Join the answers whose tensors have the same names and shapes but for the rows."""
    alike: dict[Shapes, list[Answered]] = {}
    for seen in batch:
        alike.setdefault(_shapes(seen), []).append(seen)
    for group in alike.values():
        if len(group) == 1:
            yield group[0].request.inputs, group[0].response.outputs
        else:
            yield (
                _stacked([seen.request.inputs for seen in group]),
                _stacked([seen.response.outputs for seen in group]),
            )


def _shapes(seen: Answered) -> Shapes:
    both = (*seen.request.inputs.items(), *seen.response.outputs.items())
    return tuple(
        (name, None if isinstance(value, list) else (value.shape[1:], value.ndim, value.dtype.kind))
        for name, value in both
    )


def _stacked(all_of_them: Sequence[Tensors]) -> dict[str, Array | list[Any]]:
    found: dict[str, Array | list[Any]] = {}
    for name, first in all_of_them[0].items():
        values = [tensors[name] for tensors in all_of_them]
        if isinstance(first, list):
            found[name] = [row for value in values for row in value]
        else:
            found[name] = np.concatenate([np.atleast_1d(value) for value in values])
    return found

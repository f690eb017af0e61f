"""What is recorded, as data. Times are integers: microseconds since 1970, UTC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fairlead_runtime.contract.assignment import Run, Table

MICROSECONDS = 1_000_000
SCALE = 1_000_000
"""Values are kept as integers, in millionths, so that their sums are exact in any order."""
MAX_VALUE = 1_000_000_000
"""The largest absolute value of an outcome."""
CLOCK_SKEW = 5 * MICROSECONDS
"""An outcome may be this much older than the exposure that led to it: two clocks tell the times."""

MetricType = Literal["binary", "mean", "ratio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric of an experiment.

    Attributes:
        name: Its name.
        type: `binary`: the unit did it or not. `mean`: the sum of the unit's values. `ratio`: the
            sum of one mean over all units, divided by that of another.
        goal: `increase` or `decrease`, for display.
        numerator: Of a ratio: the metric that is divided.
        denominator: Of a ratio: the metric that it is divided by.
    """

    name: str
    type: MetricType
    goal: str = "increase"
    numerator: str = ""
    denominator: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A version of the slot table.

    Attributes:
        number: From 1, growing.
        started: When it began.
        table: Which variant each slot had.
    """

    number: int
    started: int
    table: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What the recorder needs to know of an experiment.

    Attributes:
        uid: UID of the resource: a new resource of the same name starts empty.
        namespace: Its namespace.
        name: Its name.
        salt: What the router puts before the user in the unit header.
        variants: Names, the control first.
        metrics: The first decides.
        window: How long after its exposure a unit's outcomes count, in microseconds.
        epochs: All of them so far.
        analysis: What only the page needs: settings of the analysis, by name.
    """

    uid: str
    namespace: str
    name: str
    salt: str
    variants: tuple[str, ...]
    metrics: tuple[Metric, ...]
    window: int
    epochs: tuple[Epoch, ...] = ()
    analysis: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Exposure:
    """A unit was answered by a variant.

    Attributes:
        unit: The user, without the salt.
        variant: Whose pod answered.
        epoch: The table that the router had.
        at: When the request began.
    """

    unit: str
    variant: str
    epoch: int
    at: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Something that a unit did.

    Attributes:
        key: Tells repetitions; of the metric's own.
        unit: The user.
        metric: The metric's name.
        value: In millionths; of a binary metric 0 or `SCALE`.
        at: When it happened.
    """

    key: str
    unit: str
    metric: str
    value: int
    at: int


def arm_at(table: Table, slot: int) -> str | None:
    """Return the variant of a slot, None beyond the table."""
    end = 0
    for run in table:
        end += run.slots
        if slot < end:
            return run.arm
    return None


def slots_that_stayed(epochs: Sequence[Epoch]) -> list[dict[str, int]]:
    """Return for each epoch the slots by variant that kept their variant in all later ones.

    These are the weights of a ratio check: units whose slot moved have left the analysis.
    """
    found: list[dict[str, int]] = []
    for index, epoch in enumerate(epochs):
        kept: Table = epoch.table
        for later in epochs[index + 1 :]:
            kept = _common(kept, later.table)
        counts: dict[str, int] = {}
        for run in kept:
            if run.arm:
                counts[run.arm] = counts.get(run.arm, 0) + run.slots
        found.append(counts)
    return found


def _common(first: Table, second: Table) -> Table:
    """Return the first table with nobody in the slots where the second has another variant."""
    made = []
    for (low, high), one, two in _aligned(first, second):
        made.append(Run(one if one == two else "", high - low))
    return tuple(made)


def moved(first: Table, second: Table) -> list[tuple[int, int, str]]:
    """Return the ranges of slots that changed as (low, high, variant in the second table)."""
    return [(low, high, two) for (low, high), one, two in _aligned(first, second) if one != two]


def _aligned(first: Table, second: Table) -> list[tuple[tuple[int, int], str, str]]:
    """Return ranges in which neither table changes its variant."""
    ends = sorted({*_ends(first), *_ends(second)})
    made, low = [], 0
    for high in ends:
        made.append(((low, high), arm_at(first, low) or "", arm_at(second, low) or ""))
        low = high
    return made


def _ends(table: Table) -> list[int]:
    ends, end = [], 0
    for run in table:
        end += run.slots
        ends.append(end)
    return ends

"""What an experiment counted, as the statistics take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairlead_operator.stats.aggregates import Binary, Moments
from fairlead_operator.stats.quotients import Quotient
from fairlead_recorder.store import departures, gaps
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.events import Definition, Metric, MetricType, slots_that_stayed
from fairlead_recorder.store.experiments import Experiment

if TYPE_CHECKING:
    from fairlead_operator.stats import ratio

COUNTERS = (
    "exposures", "fallbacks", "refused", "lost", "outcomes", "counted", "unexposed", "early",
    "late", "duplicates", "conflicts", "forgotten",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A variant in an epoch.

    Attributes:
        units: Units whose first exposure was here and whose slot has not moved since.
        departed: Those whose slot has.
        crossed: Those that were seen on another variant later.
        sums: By metric, over `units`: sum and sum of squares of the units' own sums, in millionths
            and millionths of millionths; of a binary metric the units that did it, twice.
    """

    units: int = 0
    departed: int = 0
    crossed: int = 0
    sums: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochSummary:
    """One version of the table.

    Attributes:
        number: Its number.
        started: When it began; None where it was not registered.
        slots: Slots by variant.
        staying: Those that have the same variant in all later epochs: the ratio check's weights.
        arms: By variant, in the order of the variants.
    """

    number: int
    started: int | None
    slots: Mapping[str, int]
    staying: Mapping[str, int]
    arms: Mapping[str, Arm]

    def ratio(self) -> ratio.Epoch | None:
        """Return what the ratio check takes, None where no slot has stayed."""
        weights = tuple(float(self.staying.get(name, 0)) for name in self.arms)
        if not sum(weights):
            return None
        from fairlead_operator.stats import ratio

        return ratio.Epoch(counts=tuple(arm.units for arm in self.arms.values()), weights=weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """An experiment at one moment.

    Attributes:
        definition: What it is.
        types: Type of each metric, also of those that were dropped.
        registered: When the recorder knew of it first.
        ended: When it ended, None while it goes on.
        at: When this was read.
        epochs: By number.
        counters: See `COUNTERS`.
        gaps: Times in which exposures were lost.
        settling: Whether units whose slot moved still have to leave: wait before deciding.
    """

    definition: Definition
    types: Mapping[str, MetricType]
    registered: int
    ended: int | None
    at: int
    epochs: tuple[EpochSummary, ...]
    counters: Mapping[str, int]
    gaps: gaps.Gaps
    settling: bool

    def aggregates(self, metric: str, variant: str) -> list[Binary | Moments | Quotient]:
        """Return a metric's aggregates of a variant by epoch, as `stats.epochs.stratify` takes."""
        known = {each.name: each for each in self.definition.metrics}
        found = known.get(metric) or Metric(name=metric, type=self.types[metric])
        return aggregates(self.epochs, found, variant)


def aggregates(
    epochs: Sequence[EpochSummary], metric: Metric, variant: str
) -> list[Binary | Moments | Quotient]:
    """Return a metric's aggregates of a variant by epoch; those of means are in millionths."""
    return [_aggregate(epoch.arms[variant], metric) for epoch in epochs]


def _aggregate(arm: Arm, metric: Metric) -> Binary | Moments | Quotient:
    if metric.type == "binary":
        return Binary(arm.units, arm.sums.get(metric.name, (0, 0))[0])
    names: tuple[str, ...] = (metric.name,)
    if metric.type == "ratio":
        names = (metric.numerator, metric.denominator, metric.name)
    found = [Moments(arm.units, *arm.sums.get(name, (0, 0))) for name in names]
    return found[0] if metric.type == "mean" else Quotient(*found)


def read(session: Session, experiment: Experiment, now: int) -> Summary:
    """Return an experiment's summary, in a transaction of the caller's."""
    definition = experiment.definition
    names = {position: name for name, (position, _) in experiment.kept.items()}
    variants = definition.variants
    sums: dict[tuple[int, int], dict[str, tuple[int, int]]] = {}
    for epoch, variant, metric, total, squares in session.rows(
        "SELECT epoch, variant, metric, total, squares FROM tally WHERE experiment = ?",
        (experiment.id,),
    ):
        sums.setdefault((epoch, variant), {})[names[metric]] = (int(total), int(squares))
    arms: dict[int, dict[str, Arm]] = {}
    for epoch, variant, units, departed, crossed in session.rows(
        "SELECT epoch, variant, units, departed, crossed FROM population WHERE experiment = ?",
        (experiment.id,),
    ):
        arms.setdefault(epoch, {})[variants[variant]] = Arm(
            units=units, departed=departed, crossed=crossed, sums=sums.get((epoch, variant), {})
        )
    found: dict[str, int] = dict(
        session.rows("SELECT name, value FROM counter WHERE experiment = ?", (experiment.id,))
    )
    return Summary(
        definition=definition,
        types={name: kind for name, (_, kind) in experiment.kept.items()},
        registered=experiment.registered,
        ended=experiment.ended,
        at=now,
        epochs=_epochs(definition, arms),
        counters={name: int(found.get(name, 0)) for name in COUNTERS},
        gaps=gaps.between(session, experiment.registered, experiment.ended or now),
        settling=departures.pending(session, experiment.id),
    )


def _epochs(
    definition: Definition, arms: Mapping[int, Mapping[str, Arm]]
) -> tuple[EpochSummary, ...]:
    known = {epoch.number: epoch for epoch in definition.epochs}
    stayed = dict(zip(known, slots_that_stayed(definition.epochs), strict=True))
    made = []
    for number in sorted({*known, *arms}):
        slots: dict[str, int] = {}
        for run in known[number].table if number in known else ():
            slots[run.arm] = slots.get(run.arm, 0) + run.slots
        here = arms.get(number, {})
        made.append(
            EpochSummary(
                number=number,
                started=known[number].started if number in known else None,
                slots=slots,
                staying=stayed.get(number, {}),
                arms={name: here.get(name, Arm(sums={})) for name in definition.variants},
            )
        )
    return tuple(made)

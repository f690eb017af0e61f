"""Exposures: the first one fixes a unit's variant and epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fairlead_recorder.store import outcomes, sums
from fairlead_recorder.store.database import Column, Session, units_source
from fairlead_recorder.store.events import Exposure, arm_at
from fairlead_recorder.store.experiments import Experiment
from fairlead_recorder.store.sums import Deltas
from fairlead_runtime.contract import assignment

_UNIT: dict[str, Column] = {
    "unit": "text", "slot": "int", "variant": "int", "epoch": "int", "first": "int",
    "departed": "int", "sums": "bytes",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What became of a batch.

    Attributes:
        new: Units seen for the first time.
        again: Exposures of units that were known.
        crossed: Units seen on another variant than their own for the first time.
    """

    new: int
    again: int
    crossed: int


def record(session: Session, experiment: Experiment, exposures: Sequence[Exposure]) -> Seen:
    """Keep each unit's first exposure, and count units that are seen on another variant later.

    Outcomes that came before their exposure are counted now.

    Args:
        session: In a transaction.
        experiment: Whose exposures they are.
        exposures: In the order in which they came; their variants exist.
    """
    firsts: dict[str, Exposure] = {}
    for one in exposures:
        firsts.setdefault(one.unit, one)
    source, params = units_source(session, "asked", experiment.id, firsts)
    known = {
        unit: (variant, epoch, crossed)
        for unit, variant, epoch, crossed in session.rows(
            "SELECT u.unit, u.variant, u.epoch, u.crossed"
            f" FROM {source} CROSS JOIN unit u"
            " WHERE u.experiment = asked.experiment AND u.unit = asked.unit",
            params,
        )
    }
    deltas = Deltas(experiment.id)
    new = [one for unit, one in firsts.items() if unit not in known]
    if new:
        _insert(session, experiment, new, deltas)
    crossed = _cross(session, experiment, exposures, known | _as_known(experiment, new), deltas)
    deltas.counters["exposures"] += len(exposures)
    deltas.write(session)
    return Seen(new=len(new), again=len(exposures) - len(new), crossed=crossed)


def slot_of(experiment: Experiment, unit: str) -> int:
    """Return a unit's slot."""
    return assignment.slot(experiment.definition.salt, unit)


def has_departed(experiment: Experiment, epoch: int, variant: str, slot: int) -> bool:
    """Return whether a slot went to another variant after an epoch."""
    return any(
        arm_at(later.table, slot) != variant
        for later in experiment.definition.epochs
        if later.number > epoch
    )


def _as_known(experiment: Experiment, new: Sequence[Exposure]) -> dict[str, tuple[int, int, int]]:
    return {one.unit: (experiment.variants[one.variant], one.epoch, 0) for one in new}


def _insert(
    session: Session, experiment: Experiment, new: Sequence[Exposure], deltas: Deltas
) -> None:
    """Add units, with the outcomes that were waiting for them."""
    source, params = units_source(session, "asked", experiment.id, (one.unit for one in new))
    waiting: dict[str, list[tuple[int, int, int]]] = {}
    for unit, metric, value, happened in session.rows(
        "SELECT o.unit, o.metric, o.value, o.happened"
        f" FROM {source} CROSS JOIN outcome o"
        " WHERE o.experiment = asked.experiment AND o.unit = asked.unit",
        params,
    ):
        waiting.setdefault(unit, []).append((metric, value, happened))
    rows = []
    for one in new:
        variant = experiment.variants[one.variant]
        slot = slot_of(experiment, one.unit)
        departed = has_departed(experiment, one.epoch, one.variant, slot)
        events = waiting.get(one.unit, [])
        after = outcomes.apply(experiment, (), events, one.at, deltas)
        deltas.counters["unexposed"] -= len(events)
        deltas.unit(one.epoch, variant, units=int(not departed), departed=int(departed))
        if not departed:
            deltas.sums(one.epoch, variant, (), after)
        rows.append((one.unit, slot, variant, one.epoch, one.at, int(departed), sums.pack(after)))
    source, params = session.source("fresh", _UNIT, rows)
    session.run(
        "INSERT INTO unit (experiment, unit, slot, variant, epoch, first, departed, crossed, sums)"
        " SELECT CAST(? AS BIGINT), unit, slot, variant, epoch, first, departed, 0, sums"
        f" FROM {source}",
        (experiment.id, *params),
    )


def _cross(
    session: Session,
    experiment: Experiment,
    exposures: Sequence[Exposure],
    known: dict[str, tuple[int, int, int]],
    deltas: Deltas,
) -> int:
    """Mark units that were seen on another variant than their own."""
    found: set[str] = set()
    for one in exposures:
        variant, epoch, crossed = known[one.unit]
        if crossed or one.unit in found or experiment.variants[one.variant] == variant:
            continue
        found.add(one.unit)
        deltas.unit(epoch, variant, crossed=1)
    if found:
        source, params = units_source(session, "strays", experiment.id, found)
        session.run(
            f"UPDATE unit SET crossed = 1 FROM {source}"
            " WHERE unit.experiment = strays.experiment AND unit.unit = strays.unit",
            params,
        )
    return len(found)

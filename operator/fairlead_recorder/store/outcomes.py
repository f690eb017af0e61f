"""Outcomes: each key once, and the sums of the units that were exposed before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from fairlead_recorder.store import sums
from fairlead_recorder.store.database import Column, Session, units_source
from fairlead_recorder.store.events import CLOCK_SKEW, Outcome
from fairlead_recorder.store.experiments import Experiment
from fairlead_recorder.store.sums import Deltas

_COLUMNS: dict[str, Column] = {
    "experiment": "int",
    "metric": "int",
    "key": "text",
    "unit": "text",
    "value": "int",
    "happened": "int",
}
_SUMS: dict[str, Column] = {"experiment": "int", "unit": "text", "sums": "bytes"}
MOST_CONFLICTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of a batch.

    Attributes:
        accepted: How many are new.
        duplicates: How many were there already, and are not counted again.
        conflicts: Keys of those duplicates that say something else than what is kept: (metric,
            key), at most `MOST_CONFLICTS`.
    """

    accepted: int
    duplicates: int
    conflicts: list[tuple[str, str]] = field(default_factory=list)


def judged(first: int, happened: int, window: int) -> Literal["counted", "early", "late"]:
    """Return whether an outcome of a unit counts, by the time of its first exposure."""
    if happened < first - CLOCK_SKEW:
        return "early"
    return "counted" if happened <= first + window else "late"


def record(
    session: Session, experiment: Experiment, outcomes: Sequence[Outcome], now: int
) -> Taken:
    """Keep outcomes and add them to the sums.

    Args:
        session: In a transaction.
        experiment: Whose outcomes they are.
        outcomes: Their metrics exist and their values fit.
        now: When they came.
    """
    firsts: dict[tuple[int, str], tuple[str, int, int]] = {}
    repeated: list[tuple[int, str, str, int]] = []
    for one in outcomes:
        position = experiment.positions[one.metric]
        known = firsts.setdefault((position, one.key), (one.unit, one.value, one.at))
        if known[:2] != (one.unit, one.value):
            repeated.append((position, one.key, one.unit, one.value))
    staged = [(experiment.id, metric, key, *rest) for (metric, key), rest in firsts.items()]
    source, params = session.source("given", _COLUMNS, staged)
    new = session.rows(
        "INSERT INTO outcome (experiment, metric, key, unit, value, happened, received)"
        " SELECT experiment, metric, key, unit, value, happened, CAST(? AS BIGINT)"
        f" FROM {source} WHERE true ON CONFLICT DO NOTHING"
        " RETURNING metric, unit, value, happened",
        (now, *params),
    )
    conflicts = [(metric, key) for metric, key, _, _ in repeated]
    if len(new) < len(staged):
        conflicts += _conflicts(session, source, params)
    deltas = Deltas(experiment.id)
    if new:
        _add(session, experiment, new, deltas)
    deltas.counters["outcomes"] += len(new)
    deltas.counters["duplicates"] += len(outcomes) - len(new)
    deltas.counters["conflicts"] += len(conflicts)
    deltas.write(session)
    names = {position: name for name, position in experiment.positions.items()}
    return Taken(
        accepted=len(new),
        duplicates=len(outcomes) - len(new),
        conflicts=[(names[metric], key) for metric, key in conflicts[:MOST_CONFLICTS]],
    )


def _conflicts(session: Session, source: str, params: list[object]) -> list[tuple[int, str]]:
    return [
        (metric, key)
        for metric, key in session.rows(
            f"SELECT o.metric, o.key FROM {source} CROSS JOIN outcome o"
            " WHERE o.experiment = given.experiment AND o.metric = given.metric"
            " AND o.key = given.key"
            " AND (o.unit <> given.unit OR o.value <> given.value)",
            params,
        )
    ]


def _add(
    session: Session,
    experiment: Experiment,
    new: Sequence[tuple[int, str, int, int]],
    deltas: Deltas,
) -> None:
    """Add new outcomes to the sums of their units, where those were exposed."""
    by_unit: dict[str, list[tuple[int, int, int]]] = {}
    for metric, unit, value, happened in new:
        by_unit.setdefault(unit, []).append((metric, value, happened))
    source, params = units_source(session, "asked", experiment.id, by_unit)
    exposed = session.rows(
        "SELECT u.unit, u.variant, u.epoch, u.first, u.departed, u.sums"
        f" FROM {source} CROSS JOIN unit u"
        " WHERE u.experiment = asked.experiment AND u.unit = asked.unit",
        params,
    )
    changed: list[tuple[int, str, bytes]] = []
    counted = len(new)
    for unit, variant, epoch, first, departed, packed in exposed:
        old = sums.unpack(packed)
        after = apply(experiment, old, by_unit[unit], first, deltas)
        counted -= len(by_unit[unit])
        if after != old:
            changed.append((experiment.id, unit, sums.pack(after)))
            if not departed:
                deltas.sums(epoch, variant, old, after)
    deltas.counters["unexposed"] += counted
    if changed:
        source, params = session.source("changed", _SUMS, changed)
        session.run(
            f"UPDATE unit SET sums = changed.sums FROM {source}"
            " WHERE unit.experiment = changed.experiment AND unit.unit = changed.unit",
            params,
        )


def apply(
    experiment: Experiment,
    old: Sequence[int],
    outcomes: Sequence[tuple[int, int, int]],
    first: int,
    deltas: Deltas,
) -> list[int]:
    """Return a unit's sums with outcomes added, and count which of them did not count.

    Args:
        experiment: The experiment.
        old: The unit's sums.
        outcomes: Metric's position, value and time of each.
        first: When the unit was exposed first.
        deltas: Gets the counts.
    """
    after = list(old)
    binary = experiment.binary
    for position, value, happened in outcomes:
        verdict = judged(first, happened, experiment.definition.window)
        deltas.counters[verdict] += 1
        if verdict == "counted":
            sums.added(after, position, value, binary=position in binary)
            for ratio in experiment.together.get(position, ()):
                sums.added(after, ratio, value, binary=False)
    return after

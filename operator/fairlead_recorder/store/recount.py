"""Counting again from the events, and comparing with the sums that were kept by increments."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from fairlead_recorder.store import exposures, outcomes, sums
from fairlead_recorder.store.database import Session, units_source
from fairlead_recorder.store.experiments import Experiment
from fairlead_recorder.store.sums import Deltas

_AT_ONCE = 5_000
_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Recount:
    """What was counted again.

    Attributes:
        units: Units that were read.
        outcomes: Outcomes that were read.
        differences: What does not agree, in words; empty where all does.
    """

    units: int
    outcomes: int
    differences: tuple[str, ...]


def recount(session: Session, experiment: Experiment) -> Recount:
    """Count an experiment's events again, in the caller's transaction, a few thousand at a time."""
    counting = _Counting(experiment)
    last = ""
    while True:
        rows = session.rows(
            "SELECT unit, slot, variant, epoch, first, departed, crossed, sums FROM unit"
            " WHERE experiment = ? AND unit > ? ORDER BY unit LIMIT ?",
            (experiment.id, last, _AT_ONCE),
        )
        if not rows:
            break
        last = rows[-1][0]
        source, params = units_source(session, "asked", experiment.id, (row[0] for row in rows))
        events: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for unit, metric, value, happened in session.rows(
            "SELECT o.unit, o.metric, o.value, o.happened"
            f" FROM {source} CROSS JOIN outcome o"
            " WHERE o.experiment = asked.experiment AND o.unit = asked.unit",
            params,
        ):
            events[unit].append((metric, value, happened))
        for row in rows:
            counting.unit(row, events.get(row[0], []))
    [(every,)] = session.rows("SELECT count(*) FROM outcome WHERE experiment = ?", (experiment.id,))
    counting.counters["outcomes"] = every
    counting.counters["unexposed"] = every - counting.attached
    return Recount(
        units=counting.units, outcomes=every, differences=tuple(counting.compared(session)[:_MOST])
    )


class _Counting:
    """Sums that are made anew."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self.units = 0
        self.attached = 0
        self.counters: Counter[str] = Counter()
        self._tally: defaultdict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0, 0])
        self._population: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
        self._wrong: list[str] = []

    def unit(self, row: Sequence[object], events: Sequence[tuple[int, int, int]]) -> None:
        """Count one unit."""
        unit, slot, variant, epoch, first, departed, crossed, packed = row
        assert isinstance(unit, str)  # noqa: S101 - what the columns are
        assert isinstance(variant, int)  # noqa: S101
        assert isinstance(epoch, int)  # noqa: S101
        assert isinstance(first, int)  # noqa: S101
        assert isinstance(packed, bytes)  # noqa: S101
        deltas = Deltas(self._experiment.id)
        after = outcomes.apply(self._experiment, (), events, first, deltas)
        self.counters.update(deltas.counters)
        self.units += 1
        self.attached += len(events)
        if after != sums.unpack(packed):
            self._wrong.append(f"sums of a unit: kept {sums.unpack(packed)}, counted {after}")
        if slot != exposures.slot_of(self._experiment, unit):
            self._wrong.append(f"a unit is in slot {slot}, which is not its own")
        cell = self._population[epoch, variant]
        cell[1 if departed else 0] += 1
        cell[2] += 1 if crossed else 0
        for position, value in enumerate(() if departed else after):
            if value:
                self._tally[epoch, variant, position][0] += value
                self._tally[epoch, variant, position][1] += value * value

    def compared(self, session: Session) -> list[str]:
        """Return in words what the database says differently."""
        mine = (self._experiment.id,)
        wrong = list(self._wrong)
        population = {
            (row[0], row[1]): list(row[2:])
            for row in session.rows(
                "SELECT epoch, variant, units, departed, crossed FROM population"
                " WHERE experiment = ?",
                mine,
            )
        }
        tally = {
            (row[0], row[1], row[2]): [int(row[3]), int(row[4])]
            for row in session.rows(
                "SELECT epoch, variant, metric, total, squares FROM tally WHERE experiment = ?",
                mine,
            )
        }
        kept: dict[str, int] = dict(
            session.rows("SELECT name, value FROM counter WHERE experiment = ?", mine)
        )
        for place in sorted({*population, *self._population}):
            ours, theirs = self._population.get(place, [0] * 3), population.get(place, [0] * 3)
            if ours != theirs:
                wrong.append(f"units of epoch and variant {place}: kept {theirs}, counted {ours}")
        for cell in sorted({*tally, *self._tally}):
            ours, theirs = self._tally.get(cell, [0, 0]), tally.get(cell, [0, 0])
            if ours != theirs:
                wrong.append(f"sums of epoch, variant and metric {cell}: {theirs}, not {ours}")
        return wrong + [
            f"{name}: kept {kept.get(name, 0)}, counted {self.counters[name]}"
            for name in ("outcomes", "unexposed", "counted", "early", "late")
            if self.counters[name] != kept.get(name, 0)
        ]

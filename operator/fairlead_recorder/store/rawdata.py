"""The raw events of an experiment, row by row, a few thousand at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

from fairlead_recorder.store.database import Session, units_source
from fairlead_recorder.store.events import SCALE
from fairlead_recorder.store.experiments import Experiment
from fairlead_recorder.store.outcomes import judged

Table = Literal["units", "outcomes"]
Kind = Literal["text", "int", "bool", "time", "decimal"]
Cell = str | int | bool | datetime | Decimal | None
COLUMNS: dict[Table, dict[str, Kind]] = {
    "units": {
        "unit": "text", "slot": "int", "variant": "text", "epoch": "int",
        "first_exposure": "time", "departed": "bool", "crossed": "bool",
    },
    "outcomes": {
        "metric": "text", "key": "text", "unit": "text", "value": "decimal", "happened": "time",
        "received": "time", "verdict": "text", "variant": "text", "epoch": "int",
        "departed": "bool",
    },
}  # fmt: skip
"""What a row of each has. `verdict` is counted, early, late or unexposed; an unexposed outcome has
no variant, epoch and departed. Of a unit that has departed nothing is in the sums."""
_AT_ONCE = 5_000
_START = datetime(1970, 1, 1, tzinfo=UTC)


def read(
    session: Session, experiment: Experiment, table: Table
) -> Iterator[list[tuple[Cell, ...]]]:
    """Yield all rows in chunks, in the caller's transaction; their order says nothing."""
    return _units(session, experiment) if table == "units" else _outcomes(session, experiment)


def _units(session: Session, experiment: Experiment) -> Iterator[list[tuple[Cell, ...]]]:
    names, last = experiment.definition.variants, ""
    while True:
        rows = session.rows(
            "SELECT unit, slot, variant, epoch, first, departed, crossed FROM unit"
            " WHERE experiment = ? AND unit > ? ORDER BY unit LIMIT ?",
            (experiment.id, last, _AT_ONCE),
        )
        if not rows:
            return
        last = rows[-1][0]
        yield [
            (unit, slot, names[variant], epoch, _time(first), bool(departed), bool(crossed))
            for unit, slot, variant, epoch, first, departed, crossed in rows
        ]


def _outcomes(session: Session, experiment: Experiment) -> Iterator[list[tuple[Cell, ...]]]:
    metrics = {position: name for name, (position, _) in experiment.kept.items()}
    for position, name in sorted(metrics.items()):
        last = ""
        while True:
            rows = session.rows(
                "SELECT key, unit, value, happened, received FROM outcome"
                " WHERE experiment = ? AND metric = ? AND key > ? ORDER BY key LIMIT ?",
                (experiment.id, position, last, _AT_ONCE),
            )
            if not rows:
                break
            last = rows[-1][0]
            units = _exposed(session, experiment, {row[1] for row in rows})
            yield [
                (
                    name, key, unit, Decimal(value) / SCALE, _time(happened), _time(received),
                    *_verdict(experiment, happened, units.get(unit)),
                )
                for key, unit, value, happened, received in rows
            ]  # fmt: skip


def _exposed(
    session: Session, experiment: Experiment, units: set[str]
) -> dict[str, tuple[int, int, int, int]]:
    source, params = units_source(session, "asked", experiment.id, units)
    return {
        unit: (variant, epoch, first, departed)
        for unit, variant, epoch, first, departed in session.rows(
            "SELECT u.unit, u.variant, u.epoch, u.first, u.departed"
            f" FROM {source} CROSS JOIN unit u"
            " WHERE u.experiment = asked.experiment AND u.unit = asked.unit",
            params,
        )
    }


def _verdict(
    experiment: Experiment, happened: int, unit: tuple[int, int, int, int] | None
) -> tuple[Cell, ...]:
    if unit is None:
        return "unexposed", None, None, None
    variant, epoch, first, departed = unit
    definition = experiment.definition
    verdict = judged(first, happened, definition.window)
    return verdict, definition.variants[variant], epoch, bool(departed)


def _time(at: int) -> datetime:
    return _START + timedelta(microseconds=at)

"""Removing data: of one unit on its wish, of experiments that ended long ago."""

from __future__ import annotations

from fairlead_recorder.store import experiments, gaps, outcomes, sums
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.experiments import Experiment
from fairlead_recorder.store.sums import Deltas

_AT_ONCE = 5_000
_TABLES = {
    "unit": "unit", "outcome": "key", "population": "epoch", "tally": "epoch",
    "counter": "name", "departure": "id", "snapshot": "at",
}  # fmt: skip


def forget(session: Session, experiment: Experiment, unit: str) -> int:
    """Remove a unit from an experiment: its events, and its part of the sums.

    Returns:
        How many rows were removed. Should the unit come again, it is a new one.
    """
    found = session.rows(
        "SELECT variant, epoch, first, departed, crossed, sums FROM unit"
        " WHERE experiment = ? AND unit = ?",
        (experiment.id, unit),
    )
    events = session.rows(
        "SELECT metric, value, happened FROM outcome WHERE experiment = ? AND unit = ?",
        (experiment.id, unit),
    )
    deltas = Deltas(experiment.id)
    for variant, epoch, first, departed, crossed, packed in found:
        for _, _, happened in events:
            deltas.counters[outcomes.judged(first, happened, experiment.definition.window)] -= 1
        deltas.unit(epoch, variant, units=departed - 1, departed=-departed, crossed=-crossed)
        if not departed:
            deltas.sums(epoch, variant, sums.unpack(packed), ())
    if not found:
        deltas.counters["unexposed"] -= len(events)
    deltas.counters["outcomes"] -= len(events)
    deltas.counters["forgotten"] += 1 if found or events else 0
    deltas.write(session)
    for table in ("unit", "outcome"):
        session.run(f"DELETE FROM {table} WHERE experiment = ? AND unit = ?", (experiment.id, unit))
    return len(found) + len(events)


def expire(session: Session, ended_before: int, at_once: int = _AT_ONCE) -> bool:
    """Remove some data of experiments that ended before a time; return whether to go on."""
    experiment = experiments.expired(session, ended_before)
    if experiment is None:
        gaps.remove(session, ended_before)
        return False
    for table, column in _TABLES.items():
        removed = session.run(
            f"DELETE FROM {table} WHERE experiment = ? AND {column} IN"
            f" (SELECT {column} FROM {table} WHERE experiment = ? LIMIT ?)",
            (experiment, experiment, at_once),
        )
        if removed:
            return True
    session.run("DELETE FROM experiment WHERE id = ?", (experiment,))
    return True

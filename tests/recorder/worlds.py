"""Experiments and events of tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from fairlead_operator.stats.aggregates import Binary, Moments
from fairlead_recorder.store import experiments as registry
from fairlead_recorder.store import exposures, outcomes, recount, summary
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.events import (
    MICROSECONDS,
    SCALE,
    Definition,
    Epoch,
    Exposure,
    Metric,
    Outcome,
)
from fairlead_recorder.store.experiments import Experiment
from fairlead_recorder.store.summary import Summary
from fairlead_runtime.contract import assignment
from fairlead_runtime.contract.assignment import Run, Table

START = 1_700_000_000 * MICROSECONDS
SECOND = MICROSECONDS
HOUR = 3_600 * SECOND
HALVES = (Run("control", 5_000), Run("bigger", 5_000))
RAMPED = (Run("control", 2_000), Run("bigger", 8_000))
UID = "7f3c1b9e-2d64-4f0a-9a51-6b1f0e8f2c11"


def a_definition(*tables: Table, uid: str = UID, window: int = HOUR) -> Definition:
    """Return an experiment with an epoch for each table, an hour apart."""
    return Definition(
        uid=uid,
        namespace="shop",
        name="checkout",
        salt="pepper",
        variants=("control", "bigger"),
        metrics=(Metric(name="conversion", type="binary"), Metric(name="revenue", type="mean")),
        window=window,
        epochs=tuple(
            Epoch(number=index + 1, started=START + index * HOUR, table=table)
            for index, table in enumerate(tables or (HALVES,))
        ),
    )


def register(session: Session, definition: Definition, now: int = START) -> Experiment:
    """Register an experiment and return it."""
    registry.register(session, definition, now)
    return registry.of_name(session, definition.namespace, definition.name)


def arm_of(unit: str, table: Table = HALVES) -> str:
    """Return the variant that the router gives a unit."""
    return assignment.arm(table, "pepper", unit)


def expose(
    session: Session,
    experiment: Experiment,
    units: Sequence[str],
    *,
    at: int = START,
    table: Table = HALVES,
    epoch: int = 1,
) -> exposures.Seen:
    """Record that units were answered by the variant that the table gives them."""
    events = [Exposure(unit, arm_of(unit, table), epoch, at) for unit in units]
    return exposures.record(session, experiment, events)


def converted(unit: str, key: str = "", *, at: int = START + SECOND, value: int = 1) -> Outcome:
    """Return a conversion."""
    return Outcome(key or f"c-{unit}", unit, "conversion", value * SCALE, at)


def paid(unit: str, amount: float, key: str = "", *, at: int = START + SECOND) -> Outcome:
    """Return a payment."""
    return Outcome(key or f"p-{unit}", unit, "revenue", round(amount * SCALE), at)


def record(session: Session, experiment: Experiment, *events: Outcome) -> outcomes.Taken:
    """Record outcomes."""
    return outcomes.record(session, experiment, events, START + 2 * SECOND)


def read(session: Session, experiment: Experiment, now: int = START + HOUR) -> Summary:
    """Return the summary, after making sure that it agrees with a recount."""
    done = recount.recount(session, experiment)
    assert done.differences == ()
    return summary.read(session, experiment, now)


def binary(found: Summary, variant: str, epoch: int = 1) -> Binary:
    """Return conversions of an arm."""
    aggregate = found.aggregates("conversion", variant)[epoch - 1]
    assert isinstance(aggregate, Binary)
    return aggregate


def moments(found: Summary, variant: str, epoch: int = 1) -> Moments:
    """Return revenue of an arm, in millionths."""
    aggregate = found.aggregates("revenue", variant)[epoch - 1]
    assert isinstance(aggregate, Moments)
    return aggregate


def with_epoch(definition: Definition, table: Table) -> Definition:
    """Return a definition with one more epoch."""
    number = len(definition.epochs) + 1
    fresh = Epoch(number=number, started=START + number * HOUR, table=table)
    return dataclasses.replace(definition, epochs=(*definition.epochs, fresh))

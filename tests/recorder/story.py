"""Nine days of an experiment with three arms, for its page: a ramp, a winner, a gap."""

from __future__ import annotations

import dataclasses
import random

import orjson

from fairlead_recorder.store import (
    departures,
    experiments,
    exposures,
    gaps,
    outcomes,
    snapshots,
    summary,
)
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.events import SCALE, Definition, Epoch, Exposure, Metric, Outcome
from fairlead_recorder.store.experiments import Experiment
from fairlead_runtime.contract import assignment
from fairlead_runtime.contract.assignment import Run, Table
from tests.recorder.worlds import HOUR, SECOND

RATES = {"control": 0.10, "bigger": 0.124, "cheaper": 0.101}
_FIRST: Table = (Run("control", 8_000), Run("bigger", 1_000), Run("cheaper", 1_000))
_SECOND: Table = (
    Run("control", 4_000), Run("bigger", 2_000), Run("cheaper", 2_000), Run("bigger", 1_000),
    Run("cheaper", 1_000),
)  # fmt: skip
_DAYS = 9


def _definition(start: int) -> Definition:
    return Definition(
        uid="story",
        namespace="shop",
        name="checkout-ranker",
        salt="story",
        variants=("control", "bigger", "cheaper"),
        metrics=(Metric(name="conversion", type="binary"), Metric(name="revenue", type="mean")),
        window=168 * HOUR,
        epochs=(Epoch(number=1, started=start, table=_FIRST),),
        analysis=(
            ("alpha_percent", 5), ("expected_units", 12_000), ("min_samples_per_variant", 500),
            ("planned_units", 45_000),
        ),
    )  # fmt: skip


def tell(session: Session, end: int) -> Experiment:
    """Record it, in the caller's transaction, so that it ends at a time."""
    chance = random.Random(4)
    start = end - _DAYS * 24 * HOUR
    definition = _definition(start)
    experiments.register(session, definition, start)
    table, epoch, users = _FIRST, 1, 0
    for hour in range(0, _DAYS * 24, 2):
        now = start + hour * HOUR
        if hour == 48:
            table, epoch = _SECOND, 2
            more = (*definition.epochs, Epoch(number=2, started=now, table=table))
            experiments.register(session, dataclasses.replace(definition, epochs=more), now)
            while departures.advance(session):
                pass
        found = experiments.of_name(session, "shop", "checkout-ranker")
        came = [f"u{users + i}" for i in range(480 if hour % 24 > 8 else 200)]
        users += len(came)
        arms = {user: assignment.arm(table, "story", user) for user in came}
        exposures.record(
            session, found, [Exposure(user, arm, epoch, now) for user, arm in arms.items()]
        )
        events = []
        for user, arm in arms.items():
            if chance.random() < RATES[arm]:
                amount = round(chance.lognormvariate(3, 0.6) * SCALE)
                events.append(Outcome(f"o-{user}", user, "conversion", SCALE, now + SECOND))
                events.append(Outcome(f"o-{user}", user, "revenue", amount, now + SECOND))
        events += [Outcome(f"x-{hour}-{i}", f"x{hour}-{i}", "revenue", 1, now) for i in range(3)]
        outcomes.record(session, found, events, now)
        _keep(session, found, now)
    gaps.note(session, gaps.Gap(start + 60 * HOUR, start + 60 * HOUR + 42 * SECOND, "down"))
    experiments.judge(session, found.id, orjson.dumps(_JUDGED).decode())
    return experiments.of_name(session, "shop", "checkout-ranker")


def _keep(session: Session, found: Experiment, now: int) -> None:
    snapshots.take(
        session, found, now, lambda: snapshots.encode(summary.read(session, found, now).epochs)
    )


_JUDGED = {
    "uid": "story",
    "phase": "Decided",
    "leader": "bigger",
    "message": "bigger converts more than control, at 5 % however often one looks.",
    "guardrails": [
        {"name": "latencyP99Ms, bigger", "verdict": "Holds", "value": "41", "limit": "80"},
        {"name": "error, bigger", "verdict": "Holds", "value": "0.12 %", "limit": "+10 %"},
    ],
}

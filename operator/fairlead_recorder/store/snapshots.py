"""A bounded series of summaries: what was known when."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson

from fairlead_recorder.store.database import Session
from fairlead_recorder.store.experiments import Experiment
from fairlead_recorder.store.summary import Arm, EpochSummary

_LEAST = 60_000_000
_PARTS = 100


def due(session: Session, experiment: Experiment, now: int) -> bool:
    """Return whether another one is due: at first each minute, then more and more rarely.

    The next is due after a hundredth of the age, so that their number grows with its logarithm: 560
    after two weeks.
    """
    [(last,)] = session.rows("SELECT max(at) FROM snapshot WHERE experiment = ?", (experiment.id,))
    return last is None or now - last >= max(_LEAST, (now - experiment.registered) // _PARTS)


def take(session: Session, experiment: Experiment, now: int, body: Callable[[], str]) -> bool:
    """Keep a summary where one is due and says something new; return whether it was kept."""
    if experiment.ended is not None or not due(session, experiment, now):
        return False
    text = body()
    last = session.rows(
        "SELECT body FROM snapshot WHERE experiment = ? ORDER BY at DESC LIMIT 1",
        (experiment.id,),
    )
    if last and last[0][0] == text:
        return False
    session.run("INSERT INTO snapshot VALUES (?, ?, ?)", (experiment.id, now, text))
    return True


def series(session: Session, experiment: int) -> list[tuple[int, str]]:
    """Return the snapshots, the oldest first."""
    return [
        (int(at), str(body))
        for at, body in session.rows(
            "SELECT at, body FROM snapshot WHERE experiment = ? ORDER BY at", (experiment,)
        )
    ]


def encode(epochs: Sequence[EpochSummary]) -> str:
    """Return what a snapshot keeps: the arms by epoch, sums as text because they may be large."""
    return orjson.dumps([
        {
            "number": epoch.number,
            "started": epoch.started,
            "slots": dict(epoch.slots),
            "staying": dict(epoch.staying),
            "arms": {
                name: {
                    "units": arm.units,
                    "departed": arm.departed,
                    "crossed": arm.crossed,
                    "sums": {metric: [str(a), str(b)] for metric, (a, b) in arm.sums.items()},
                }
                for name, arm in epoch.arms.items()
            },
        }
        for epoch in epochs
    ]).decode()  # fmt: skip


def decode(body: str) -> tuple[EpochSummary, ...]:
    """Return what was encoded."""
    return tuple(
        EpochSummary(
            number=epoch["number"],
            started=epoch["started"],
            slots=epoch["slots"],
            staying=epoch["staying"],
            arms={
                name: Arm(
                    units=arm["units"],
                    departed=arm["departed"],
                    crossed=arm["crossed"],
                    sums={metric: (int(a), int(b)) for metric, (a, b) in arm["sums"].items()},
                )
                for name, arm in epoch["arms"].items()
            },
        )
        for epoch in orjson.loads(body)
    )

"""A page out of a database."""

from __future__ import annotations

import orjson

from fairlead_recorder.page.analysis import View, view
from fairlead_recorder.store import snapshots, summary
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.experiments import Experiment

_MOST_POINTS = 250


def gather(session: Session, experiment: Experiment, now: int) -> View:
    """Return what the page of an experiment says, read in the caller's transaction."""
    kept = snapshots.series(session, experiment.id)
    step = max(1, -(-len(kept) // _MOST_POINTS))
    return view(
        summary.read(session, experiment, now),
        [(at, snapshots.decode(body)) for at, body in kept[::step]],
        orjson.loads(experiment.judged),
    )

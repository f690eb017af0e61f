"""Predictions and outcomes, joined by the request's id; each pair is counted once.

A pair counts in the window in which it became complete: what was counted for a window that is over
never changes, so whoever judges the windows in their order may do so again and again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from fairlead_recorder.store import models
from fairlead_recorder.store.database import Column, Row, Session
from fairlead_recorder.store.events import MICROSECONDS
from fairlead_recorder.store.models import Model

KEPT = 30 * 86_400 * MICROSECONDS
"""How long a prediction waits for its outcome, or the reverse; then, as a done pair, it goes."""
_AT_ONCE = 5_000
_COLUMNS: dict[str, Column] = {
    "model": "int", "request": "text", "item": "int", "revision": "text", "value": "text",
}  # fmt: skip
_COUNTS: dict[str, Column] = {
    "model": "int", "revision": "text", "began": "int", "outcomes": "int", "errors": "int",
    "distance": "text",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model answered for one row.

    Attributes:
        request: The request's id.
        item: The row within the request, from 0.
        revision: The revision that answered.
        value: The answer, as text.
    """

    request: str
    item: int
    revision: str
    value: str


@dataclass(frozen=True, slots=True)
class Truth:
    """What turned out to be true of one row.

    Attributes:
        request: The request's id.
        item: The row within the request, from 0.
        value: The truth, as text.
    """

    request: str
    item: int
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of a batch.

    Attributes:
        accepted: How many are new.
        joined: How many of them met their other half.
        duplicates: How many were there already; the first one stays.
    """

    accepted: int
    joined: int
    duplicates: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Counts of one revision in one window.

    Attributes:
        revision: The revision.
        began: When the window began, microseconds since 1970.
        outcomes: Pairs that became complete in it.
        errors: Those whose prediction was not right.
        distance: The sum of the absolute differences; 0 for labels.
    """

    revision: str
    began: int
    outcomes: int
    errors: int
    distance: float


def predicted(session: Session, model: Model, batch: Sequence[Prediction], now: int) -> Taken:
    """Keep predictions, and count those whose outcome is there already."""
    rows: dict[tuple[str, int], Row] = {}
    for one in batch:
        rows.setdefault(
            (one.request, one.item), (model.id, one.request, one.item, one.revision, one.value)
        )
    return _keep(session, model, "predicted", list(rows.values()), len(batch), now)


def turned_out(session: Session, model: Model, batch: Sequence[Truth], now: int) -> Taken:
    """Keep outcomes, and count those whose prediction is there already."""
    rows: dict[tuple[str, int], Row] = {}
    for one in batch:
        rows.setdefault((one.request, one.item), (model.id, one.request, one.item, "", one.value))
    return _keep(session, model, "actual", list(rows.values()), len(batch), now)


def windows(session: Session, model: Model, since: int) -> list[Window]:
    """Return the counts of all windows that began at or after a time, in their order."""
    return [
        Window(revision=revision, began=began, outcomes=outcomes, errors=errors, distance=distance)
        for revision, began, outcomes, errors, distance in session.rows(
            "SELECT revision, began, outcomes, errors, distance FROM accuracy"
            " WHERE model = ? AND began >= ? ORDER BY began, revision",
            (model.id, since),
        )
    ]


def expire(session: Session, now: int, seen_before: int, at_once: int = _AT_ONCE) -> bool:
    """Remove some pairs that are too old, and models that are gone; return whether to go on."""
    removed = session.run(
        "DELETE FROM pair WHERE (model, request, item) IN"
        " (SELECT model, request, item FROM pair WHERE came < ? LIMIT ?)",
        (now - KEPT, at_once),
    )
    if removed:
        return True
    gone = models.expired(session, seen_before)
    if gone is None:
        return False
    removed = session.run(
        "DELETE FROM pair WHERE model = ? AND (request, item) IN"
        " (SELECT request, item FROM pair WHERE model = ? LIMIT ?)",
        (gone, gone, at_once),
    )
    if not removed:
        session.run("DELETE FROM accuracy WHERE model = ?", (gone,))
        session.run("DELETE FROM model WHERE id = ?", (gone,))
    return True


def right(predicted: str, actual: str, tolerance: float | None) -> tuple[bool, float]:
    """Return whether a prediction is right, and how far it is off; 0 for labels.

    With a tolerance both are numbers; a prediction that is none, such as a text, is wrong by an
    unknown amount, which counts as 0.
    """
    if tolerance is None:
        return predicted == actual, 0.0
    try:
        off = abs(float(predicted) - float(actual))
    except ValueError:
        return False, 0.0
    if off != off or off == float("inf"):  # noqa: PLR0124 - NaN
        return False, 0.0
    return off <= tolerance, off


def _keep(
    session: Session, model: Model, column: str, rows: Sequence[Row], given: int, now: int
) -> Taken:
    source, params = session.source("paired", _COLUMNS, rows)
    also = ", revision = excluded.revision" if column == "predicted" else ""
    new = session.rows(
        f"INSERT INTO pair (model, request, item, revision, {column}, came)"
        f" SELECT model, request, item, revision, value, CAST(? AS BIGINT) FROM {source}"
        " WHERE true ON CONFLICT (model, request, item)"
        f" DO UPDATE SET {column} = excluded.{column}{also} WHERE pair.{column} IS NULL"
        " RETURNING revision, predicted, actual",
        (now, *params),
    )
    joined = [
        (revision, said, actual)
        for revision, said, actual in new
        if said is not None and actual is not None
    ]
    if joined:
        _count(session, model, joined, now)
    return Taken(accepted=len(new), joined=len(joined), duplicates=given - len(new))


def _count(
    session: Session, model: Model, joined: Sequence[tuple[str, str, str]], now: int
) -> None:
    began = now // model.watching.window * model.watching.window
    counts: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0.0])
    for revision, said, actual in joined:
        fine, off = right(said, actual, model.watching.tolerance)
        mine = counts[revision]
        mine[0] += 1
        mine[1] += not fine
        mine[2] += off
    rows = [
        (model.id, revision, began, int(outcomes), int(errors), repr(float(distance)))
        for revision, (outcomes, errors, distance) in sorted(counts.items())
    ]
    source, params = session.source("counted", _COUNTS, rows)
    session.run(
        "INSERT INTO accuracy (model, revision, began, outcomes, errors, distance)"
        " SELECT model, revision, began, outcomes, errors, CAST(distance AS DOUBLE PRECISION)"
        f" FROM {source} WHERE true ON CONFLICT (model, revision, began) DO UPDATE SET"
        " outcomes = accuracy.outcomes + excluded.outcomes,"
        " errors = accuracy.errors + excluded.errors,"
        " distance = accuracy.distance + excluded.distance",
        params,
    )

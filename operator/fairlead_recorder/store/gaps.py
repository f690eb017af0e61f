"""Times in which the recorder took nothing: what the routers sent then is lost, and is said so."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead_recorder.store.database import Session
from fairlead_recorder.store.events import MICROSECONDS

_LATEST = 20
_ALIVE = 10 * MICROSECONDS
"""So old the heartbeat of a replica that is at work is at most."""


@dataclass(frozen=True, slots=True)
class Gap:
    """One such time.

    Attributes:
        started: Its begin.
        ended: Its end.
        reason: `down`: the recorder was. `refused`: the database took nothing, or too much waited.
    """

    started: int
    ended: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """The gaps in a span of time.

    Attributes:
        count: How many.
        lasted: How long in all, within the span, in microseconds.
        latest: The last ones, the latest first.
    """

    count: int
    lasted: int
    latest: tuple[Gap, ...]


def started(session: Session, now: int, replica: int = 0) -> Gap | None:
    """Note that a recorder takes events from now on; return the gap since one last did.

    There is none where another replica has been at work meanwhile.
    """
    found: dict[int, int] = dict(session.rows("SELECT id, at FROM heartbeat"))
    beat(session, now, replica)
    mine = _row(replica)
    if not found or any(at > now - _ALIVE for row, at in found.items() if row != mine):
        return None
    last = max(found.values())
    if last >= now:
        return None
    gap = Gap(last, now, "down")
    note(session, gap)
    return gap


def beat(session: Session, now: int, replica: int = 0) -> None:
    """Note that a recorder is at work; a gap begins at the last time that this was noted."""
    session.run(
        "INSERT INTO heartbeat VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at",
        (_row(replica), now),
    )


def _row(replica: int) -> int:
    return replica + 1


def note(session: Session, gap: Gap) -> None:
    """Keep a gap."""
    session.run(
        "INSERT INTO gap (started, ended, reason) VALUES (?, ?, ?)",
        (gap.started, gap.ended, gap.reason),
    )


def between(session: Session, first: int, last: int) -> Gaps:
    """Return the gaps that reach into a span of time."""
    within = "FROM gap WHERE ended > ? AND started < ?"
    least, most = ("max", "min") if session.name == "sqlite" else ("greatest", "least")
    [(count, lasted)] = session.rows(
        f"SELECT count(*), coalesce(sum({most}(ended, ?) - {least}(started, ?)), 0) {within}",
        (last, first, first, last),
    )
    latest = session.rows(
        f"SELECT started, ended, reason {within} ORDER BY id DESC LIMIT ?", (first, last, _LATEST)
    )
    return Gaps(count=count, lasted=int(lasted), latest=tuple(Gap(*row) for row in latest))


def remove(session: Session, before: int) -> None:
    """Forget gaps that ended before a time."""
    session.run("DELETE FROM gap WHERE ended < ?", (before,))

"""Models whose answers are compared with the truth, once it is known; the operator names them."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from fairlead_recorder.store.database import Row, Session
from fairlead_recorder.store.errors import UnknownExperimentError
from fairlead_recorder.store.events import MICROSECONDS

_COLUMNS = "id, uid, namespace, name, definition"
_SEEN_EVERY = 3600 * MICROSECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """How a model's answers are compared.

    Attributes:
        output: The output that is compared; empty for the first.
        tolerance: How far a number may be off and still be right; None for labels, which are right
            where they are the same.
        window: How long the windows are, in microseconds.
    """

    output: str = ""
    tolerance: float | None = None
    window: int = 3600 * MICROSECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A registered model.

    Attributes:
        id: Its number in the database.
        uid: UID of the ModelDeployment.
        namespace: Its namespace.
        name: Its name.
        watching: How its answers are compared.
    """

    id: int
    uid: str
    namespace: str
    name: str
    watching: Watching


def register(
    session: Session, uid: str, namespace: str, name: str, watching: Watching, now: int
) -> bool:
    """Make a model known, as often as one likes; return whether anything changed.

    What was counted under another way to compare is removed: it answers another question.
    """
    text = orjson.dumps(watching).decode()
    found = session.rows("SELECT id, definition, seen FROM model WHERE uid = ?", (uid,))
    if not found:
        session.run(
            "INSERT INTO model (uid, namespace, name, definition, registered, seen)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (uid, namespace, name, text, now, now),
        )
        return True
    [(number, before, seen)] = found
    if before != text:
        for table in ("pair", "accuracy"):
            session.run(f"DELETE FROM {table} WHERE model = ?", (number,))
    if before != text or now - seen >= _SEEN_EVERY:
        session.run("UPDATE model SET definition = ?, seen = ? WHERE id = ?", (text, now, number))
    return bool(before != text)


def of_name(session: Session, namespace: str, name: str) -> Model:
    """Return the newest model of a name.

    Raises:
        UnknownExperimentError: There is none.
    """
    found = session.rows(
        f"SELECT {_COLUMNS} FROM model WHERE namespace = ? AND name = ? ORDER BY id DESC LIMIT 1",
        (namespace, name),
    )
    if not found:
        raise UnknownExperimentError(
            f"no model {namespace}/{name} is registered: the operator does that where its "
            "ModelDeployment has spec.performance"
        )
    return _loaded(found[0])


def expired(session: Session, seen_before: int) -> int | None:
    """Return the id of a model that the operator has not named since; None where there is none."""
    found = session.rows("SELECT id FROM model WHERE seen < ? ORDER BY id LIMIT 1", (seen_before,))
    return int(found[0][0]) if found else None


def _loaded(row: Row) -> Model:
    number, uid, namespace, name, text = row
    watching = Watching(**orjson.loads(text))
    return Model(id=number, uid=uid, namespace=namespace, name=name, watching=watching)

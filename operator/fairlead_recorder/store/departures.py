"""Units whose slot moved leave the analysis, whether they are seen again or not.

Those that are seen again are not a random subset; all units of a slot are.
"""

from __future__ import annotations

from fairlead_recorder.store import sums
from fairlead_recorder.store.database import Session, units_source
from fairlead_recorder.store.sums import Deltas

_AT_ONCE = 2_000


def advance(session: Session, at_once: int = _AT_ONCE) -> bool:
    """Take some units out; return whether there may be more.

    It goes on where it stopped, also after the process was killed.
    """
    found = session.rows(
        "SELECT id, experiment, low, high, variant, epoch FROM departure ORDER BY id LIMIT 1"
    )
    if not found:
        return False
    [(number, experiment, low, high, variant, epoch)] = found
    leaving = session.rows(
        "SELECT unit, variant, epoch, sums FROM unit WHERE experiment = ? AND slot >= ?"
        " AND slot < ? AND variant <> ? AND epoch < ? AND departed = 0 LIMIT ?",
        (experiment, low, high, variant, epoch, at_once),
    )
    deltas = Deltas(experiment)
    for _, its_variant, its_epoch, packed in leaving:
        deltas.unit(its_epoch, its_variant, units=-1, departed=1)
        deltas.sums(its_epoch, its_variant, sums.unpack(packed), ())
    if leaving:
        source, params = units_source(session, "leaving", experiment, (row[0] for row in leaving))
        session.run(
            f"UPDATE unit SET departed = 1 FROM {source}"
            " WHERE unit.experiment = leaving.experiment AND unit.unit = leaving.unit",
            params,
        )
    deltas.write(session)
    if len(leaving) < at_once:
        session.run("DELETE FROM departure WHERE id = ?", (number,))
    return True


def pending(session: Session, experiment: int) -> bool:
    """Return whether units of an experiment still have to leave."""
    return bool(session.rows("SELECT 1 FROM departure WHERE experiment = ? LIMIT 1", (experiment,)))

"""The tables, as migrations: each is applied once, in order, in a transaction."""

from __future__ import annotations

import time

from fairlead_recorder.store.database import Session
from fairlead_recorder.store.errors import UnavailableError

# {int}, {bytes}, {real}, {serial}, {clustered} and {roomy} differ between the databases.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE experiment (
            id {serial} PRIMARY KEY, uid TEXT NOT NULL UNIQUE, namespace TEXT NOT NULL,
            name TEXT NOT NULL, revision {int} NOT NULL, definition TEXT NOT NULL,
            judged TEXT NOT NULL, registered {int} NOT NULL, ended {int})""",
        "CREATE INDEX experiment_by_name ON experiment (namespace, name)",
        # sums: 16 bytes for each metric's position, signed; shorter where zeros would follow.
        """CREATE TABLE unit (
            experiment {int} NOT NULL, unit TEXT NOT NULL, slot {int} NOT NULL,
            variant {int} NOT NULL, epoch {int} NOT NULL, first {int} NOT NULL,
            departed {int} NOT NULL, crossed {int} NOT NULL, sums {bytes} NOT NULL,
            PRIMARY KEY (experiment, unit)){clustered}{roomy}""",
        "CREATE INDEX unit_by_slot ON unit (experiment, slot)",
        """CREATE TABLE outcome (
            experiment {int} NOT NULL, metric {int} NOT NULL, key TEXT NOT NULL,
            unit TEXT NOT NULL, value {int} NOT NULL, happened {int} NOT NULL,
            received {int} NOT NULL, PRIMARY KEY (experiment, metric, key)){clustered}""",
        "CREATE INDEX outcome_by_unit ON outcome (experiment, unit)",
        # What was counted, of units that have not departed. Sums outgrow 64 bits: as text.
        """CREATE TABLE population (
            experiment {int} NOT NULL, epoch {int} NOT NULL, variant {int} NOT NULL,
            units {int} NOT NULL, departed {int} NOT NULL, crossed {int} NOT NULL,
            PRIMARY KEY (experiment, epoch, variant))""",
        """CREATE TABLE tally (
            experiment {int} NOT NULL, epoch {int} NOT NULL, variant {int} NOT NULL,
            metric {int} NOT NULL, total TEXT NOT NULL, squares TEXT NOT NULL,
            PRIMARY KEY (experiment, epoch, variant, metric))""",
        """CREATE TABLE counter (
            experiment {int} NOT NULL, name TEXT NOT NULL, value {int} NOT NULL,
            PRIMARY KEY (experiment, name))""",
        # Slots that moved and whose units are still to be taken out.
        """CREATE TABLE departure (
            id {serial} PRIMARY KEY, experiment {int} NOT NULL, low {int} NOT NULL,
            high {int} NOT NULL, variant {int} NOT NULL, epoch {int} NOT NULL)""",
        """CREATE TABLE gap (
            id {serial} PRIMARY KEY, started {int} NOT NULL, ended {int} NOT NULL,
            reason TEXT NOT NULL)""",
        "CREATE TABLE heartbeat (id {int} PRIMARY KEY, at {int} NOT NULL)",
        """CREATE TABLE snapshot (
            experiment {int} NOT NULL, at {int} NOT NULL, body TEXT NOT NULL,
            PRIMARY KEY (experiment, at))""",
    ),
    (
        # Models whose predictions are compared with what turned out to be true.
        """CREATE TABLE model (
            id {serial} PRIMARY KEY, uid TEXT NOT NULL UNIQUE, namespace TEXT NOT NULL,
            name TEXT NOT NULL, definition TEXT NOT NULL, registered {int} NOT NULL,
            seen {int} NOT NULL)""",
        "CREATE INDEX model_by_name ON model (namespace, name)",
        # A prediction and its outcome, whichever came first; the other one is NULL until it comes,
        # and the revision is empty until the prediction does.
        """CREATE TABLE pair (
            model {int} NOT NULL, request TEXT NOT NULL, item {int} NOT NULL,
            revision TEXT NOT NULL, predicted TEXT, actual TEXT, came {int} NOT NULL,
            PRIMARY KEY (model, request, item)){clustered}""",
        "CREATE INDEX pair_by_age ON pair (came)",
        # Counts of pairs by the window in which they were complete; closed ones never change.
        """CREATE TABLE accuracy (
            model {int} NOT NULL, revision TEXT NOT NULL, began {int} NOT NULL,
            outcomes {int} NOT NULL, errors {int} NOT NULL, distance {real} NOT NULL,
            PRIMARY KEY (model, revision, began))""",
    ),
)

_STATISTICS = (
    # Table, index, and how many rows share the first, the first two, ... columns of it. Without
    # them SQLite takes it that ten rows have one experiment, and reads all outcomes of it.
    ("unit", "unit", "10000000 10000000 1"),
    ("unit", "unit_by_slot", "10000000 10000000 1000 1"),
    ("outcome", "outcome", "10000000 10000000 5000000 1"),
    ("outcome", "outcome_by_unit", "10000000 10000000 10 5 1"),
)


def migrate(session: Session) -> int:
    """Bring the tables up to date and return their version.

    Raises:
        UnavailableError: The database is of a newer version of this program.
    """
    kinds = (
        {
            "int": "INTEGER",
            "bytes": "BLOB",
            "real": "REAL",
            "serial": "INTEGER",
            "clustered": " WITHOUT ROWID",
            "roomy": "",
        }
        if session.name == "sqlite"
        else {
            "int": "BIGINT",
            "bytes": "BYTEA",
            "real": "DOUBLE PRECISION",
            "serial": "BIGINT GENERATED ALWAYS AS IDENTITY",
            "clustered": "",
            # Room in each page, so that a changed row stays in it and no index is written.
            "roomy": " WITH (fillfactor = 60)",
        }
    )
    session.begin()
    try:
        session.run(
            f"CREATE TABLE IF NOT EXISTS migration (version {kinds['int']} PRIMARY KEY, "
            f"at {kinds['int']} NOT NULL)"
        )
        [(version,)] = session.rows("SELECT coalesce(max(version), 0) FROM migration")
        _check(version)
        for number, statements in enumerate(_MIGRATIONS[version:], start=version + 1):
            for statement in statements:
                session.run(statement.format(**kinds))
            session.run("INSERT INTO migration VALUES (?, ?)", (number, int(time.time())))
        if session.name == "sqlite" and version < len(_MIGRATIONS):
            _tell_statistics(session)
        session.commit()
    except BaseException:
        session.rollback()
        raise
    return len(_MIGRATIONS)


def _check(version: int) -> None:
    if version > len(_MIGRATIONS):
        raise UnavailableError(
            f"the database has version {version} of the tables and this program knows "
            f"{len(_MIGRATIONS)}: use the newer program, or an older copy of the database"
        )


def _tell_statistics(session: Session) -> None:
    """Have SQLite plan for large tables from the start; ANALYZE of empty ones tells nothing."""
    session.run("ANALYZE")
    for row in _STATISTICS:
        session.run("DELETE FROM sqlite_stat1 WHERE tbl = ? AND idx = ?", row[:2])
        session.run("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", row)
    session.run("ANALYZE sqlite_schema")

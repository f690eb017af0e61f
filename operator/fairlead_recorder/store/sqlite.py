"""SQLite: one file, readers beside one writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead_recorder.store.database import Column, Params, Row
from fairlead_recorder.store.errors import UnavailableError

_TYPES = {"int": "INTEGER", "text": "TEXT", "bytes": "BLOB"}
_BUSY_MS = 30_000
_CACHE_KIB = 32_768


class Sqlite:
    """A connection to a file. Another process may write to it as well: they wait for each other."""

    name = "sqlite"

    def __init__(self, path: str) -> None:
        try:
            self._connection = sqlite3.connect(
                path, isolation_level=None, timeout=_BUSY_MS / 1000, check_same_thread=False
            )
            for setting in (
                "journal_mode = WAL",
                # With NORMAL the last transactions could be lost with the machine's power.
                "synchronous = FULL",
                "temp_store = MEMORY",
                f"cache_size = -{_CACHE_KIB}",
                "foreign_keys = OFF",
                # Few large checkpoints instead of many small ones; the log is at most twice this.
                "wal_autocheckpoint = 4000",
                "journal_size_limit = 67108864",
            ):
                self._connection.execute(f"PRAGMA {setting}").fetchall()
        except sqlite3.Error as error:
            raise UnavailableError(f"cannot open {path}: {error}") from error
        self._staged: set[str] = set()

    def begin(self, *, write: bool = True) -> None:
        """Open a transaction."""
        self._connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")

    def commit(self) -> None:
        """Make what was written durable: the log is synchronised to the disk."""
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        """Undo what was written."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        # A table made within the transaction is gone with it.
        self._staged.clear()

    def rows(self, sql: str, params: Params = ()) -> list[Row]:
        """Run a statement and return all its rows."""
        return self._connection.execute(sql, params).fetchall()

    def run(self, sql: str, params: Params = ()) -> int:
        """Run a statement and return how many rows it changed."""
        return self._connection.execute(sql, params).rowcount

    def source(
        self, name: str, columns: Mapping[str, Column], rows: Sequence[Row]
    ) -> tuple[str, list[Any]]:
        """Return rows as a table in memory that lasts as long as the connection."""
        listed = ", ".join(columns)
        if name not in self._staged:
            typed = ", ".join(f"{column} {_TYPES[kind]}" for column, kind in columns.items())
            self._connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS staged_{name} ({typed})")
            self._staged.add(name)
        self._connection.execute(f"DELETE FROM temp.staged_{name}")
        marks = ", ".join("?" * len(columns))
        self._connection.executemany(
            f"INSERT INTO temp.staged_{name} ({listed}) VALUES ({marks})", rows
        )
        return f"(SELECT {listed} FROM temp.staged_{name}) AS {name}", []

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

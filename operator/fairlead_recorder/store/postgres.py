"""PostgreSQL, for more writes or where a database is kept anyway."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg

from fairlead_recorder.store.database import Column, Params, Row
from fairlead_recorder.store.errors import UnavailableError

_TYPES = {"int": "bigint", "text": "text", "bytes": "bytea"}
_LOCK = 0x6661697265
"""Number of the advisory lock that writers hold for a transaction: several recorders, or a recorder
and a command, may write to one database."""


def _integers(values: Sequence[int]) -> str:
    return f"{{{','.join(map(str, values))}}}"


def _texts(values: Sequence[str]) -> str:
    if not values:
        return "{}"
    together = "\0".join(values)
    if together.count("\0") >= len(values):
        raise ValueError("a text with a zero byte cannot be kept")
    escaped = together.replace("\\", r"\\").replace('"', r"\"")
    return f"""{{"{escaped.replace(chr(0), '","')}"}}"""


def _bytes(values: Sequence[bytes]) -> str:
    return _texts([rf"\x{value.hex()}" for value in values])


_ARRAYS: dict[Column, Callable[[Sequence[Any]], str]] = {
    "int": _integers,
    "text": _texts,
    "bytes": _bytes,
}
"""Columns as PostgreSQL writes arrays. The library does it value by value in Python, which takes
longer than all else that is done here for a batch."""


class Postgres:
    """A connection to a server."""

    name = "postgresql"

    def __init__(self, url: str) -> None:
        try:
            self._connection = psycopg.connect(
                url,
                autocommit=True,
                connect_timeout=10,
                application_name="fairlead-recorder",
                prepare_threshold=None,
            )
            self.run("SET synchronous_commit = on")
            self.run("SET standard_conforming_strings = on")
            # Every large statement looks rows up by an index, one by one. A plan made while a table
            # was small, or before its first ANALYZE, would read all of it for each batch.
            for setting in ("seqscan", "hashjoin", "mergejoin", "material"):
                self.run(f"SET enable_{setting} = off")
            self.run("SET jit = off")
        except psycopg.Error as error:
            raise UnavailableError(f"cannot reach the database: {error}") from error

    def begin(self, *, write: bool = True) -> None:
        """Open a transaction; writers wait for one another."""
        if write:
            self.run("BEGIN")
            self.rows("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
        else:
            self.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def commit(self) -> None:
        """Make what was written durable."""
        self.run("COMMIT")

    def rollback(self) -> None:
        """Undo what was written."""
        if not self._connection.closed:
            self.run("ROLLBACK")

    def rows(self, sql: str, params: Params = ()) -> list[Row]:
        """Run a statement and return all its rows."""
        return self._execute(sql, params).fetchall()

    def run(self, sql: str, params: Params = ()) -> int:
        """Run a statement and return how many rows it changed."""
        return self._execute(sql, params).rowcount

    def _execute(self, sql: str, params: Params) -> psycopg.Cursor[Row]:
        cursor = self._connection.cursor()
        text = sql.replace("?", "%s")
        return cursor.execute(text, params or None)

    def source(
        self, name: str, columns: Mapping[str, Column], rows: Sequence[Row]
    ) -> tuple[str, list[Any]]:
        """Return rows as arrays that are unnested."""
        listed = ", ".join(columns)
        arrays = ", ".join(f"?::{_TYPES[kind]}[]" for kind in columns.values())
        lists = list(zip(*rows, strict=True)) or [() for _ in columns]
        params = [
            _ARRAYS[kind](values) for kind, values in zip(columns.values(), lists, strict=True)
        ]
        return f"(SELECT {listed} FROM unnest({arrays}) AS u ({listed})) AS {name}", params

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

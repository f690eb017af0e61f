"""One interface to both databases: SQL with `?`, and a list of rows as something to select from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

Column = Literal["int", "text", "bytes"]
Row = tuple[Any, ...]
Params = Sequence[Any]


class Session(Protocol):
    """A connection, used by one thread. Everything runs in a transaction that `begin` opened."""

    name: str
    """`sqlite` or `postgresql`."""

    def begin(self, *, write: bool = True) -> None:
        """Open a transaction; writers wait for one another, readers see one moment."""

    def commit(self) -> None:
        """Make what was written durable."""

    def rollback(self) -> None:
        """Undo what was written; where no transaction is open, do nothing."""

    def rows(self, sql: str, params: Params = ()) -> list[Row]:
        """Run a statement and return all its rows."""

    def run(self, sql: str, params: Params = ()) -> int:
        """Run a statement and return how many rows it changed."""

    def source(
        self, name: str, columns: Mapping[str, Column], rows: Sequence[Row]
    ) -> tuple[str, list[Any]]:
        """Return rows as a sub-select `(...) AS name` with its parameters, for a statement's FROM.

        It holds until the next source of that name.
        """

    def close(self) -> None:
        """End the connection."""


def units_source(
    session: Session, name: str, experiment: int, units: Iterable[str]
) -> tuple[str, list[Any]]:
    """Return units as a source with the columns `experiment` and `unit`, to join by both.

    Were the experiment a constant instead, PostgreSQL would take it, before the first ANALYZE, that
    few rows have it, and compare each unit with all of them.
    """
    rows = [(experiment, unit) for unit in units]
    return session.source(name, {"experiment": "int", "unit": "text"}, rows)


def connect(url: str) -> Session:
    """Open a database.

    Args:
        url: `sqlite:///<absolute path>` or `postgresql://...` as libpq takes it.

    Raises:
        ValueError: The URL is of no kind that is known.
        UnavailableError: The database cannot be opened.
    """
    if url.startswith("sqlite:///"):
        from fairlead_recorder.store.sqlite import Sqlite

        # Three slashes or four: with four the path has its own.
        return Sqlite("/" + url.removeprefix("sqlite:///").lstrip("/"))
    if url.startswith(("postgresql://", "postgres://")):
        from fairlead_recorder.store.postgres import Postgres

        return Postgres(url)
    raise ValueError("the database must be sqlite:///<absolute path> or postgresql://...")

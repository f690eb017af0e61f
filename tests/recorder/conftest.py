"""Each test has a database of its own, once in SQLite and once in PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fairlead_recorder.store import database, schema
from fairlead_recorder.store.database import Session
from tests.recorder import postgresql

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Run one PostgreSQL for the session."""
    with postgresql.server() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/recorder.db"
    server: str = request.getfixturevalue("postgres")
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.rsplit("/", maxsplit=1)[0] + f"/{name}"


@pytest.fixture
def session(url: str) -> Iterator[Session]:
    """Return a session with tables, in a transaction that is never committed."""
    opened = database.connect(url)
    schema.migrate(opened)
    opened.begin()
    try:
        yield opened
    finally:
        opened.rollback()
        opened.close()

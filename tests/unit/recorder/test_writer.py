"""The writing thread, on a real SQLite file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead_recorder.store import database
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.errors import BusyError, ConflictError, UnavailableError
from fairlead_recorder.store.writer import Writer


@pytest.fixture
def url(tmp_path: Path) -> str:
    made = f"sqlite:///{tmp_path}/writer.db"
    session = database.connect(made)
    session.run("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    session.close()
    return made


def kept(url: str) -> list[int]:
    session = database.connect(url)
    found = [int(row[0]) for row in session.rows("SELECT n FROM t ORDER BY n")]
    session.close()
    return found


def insert(number: int) -> Callable[[Session], int]:
    return lambda session: session.run("INSERT INTO t VALUES (?)", (number,))


def test_what_waits_is_written_together(url: str) -> None:
    commits: list[int] = []
    writer = Writer(
        lambda: database.connect(url), committed=lambda _s, changes, _r: commits.append(changes)
    )
    futures = [writer.submit(insert(i)) for i in range(100)]
    writer.start()
    assert [future.result(10) for future in futures] == [1] * 100
    writer.stop()
    assert commits == [100]
    assert kept(url) == list(range(100))


def test_a_change_that_fails_takes_no_other_with_it(url: str) -> None:
    def refuse(_: Session) -> None:
        raise ConflictError("no")

    writer = Writer(lambda: database.connect(url))
    good = [writer.submit(insert(i)) for i in range(3)]
    double = writer.submit(insert(1))
    refused = writer.submit(refuse)
    more = writer.submit(insert(9))
    writer.start()
    assert [future.result(10) for future in [*good, more]] == [1] * 4
    with pytest.raises(UnavailableError, match="UNIQUE"):
        double.result(10)
    with pytest.raises(ConflictError, match="no"):
        refused.result(10)
    writer.stop()
    assert kept(url) == [0, 1, 2, 9]


def test_no_more_waits_than_may_but_one_large_batch_always_fits(url: str) -> None:
    writer = Writer(lambda: database.connect(url), most_waiting=10)
    first = writer.submit(insert(1), rows=50)
    with pytest.raises(BusyError, match="50 rows are waiting"):
        writer.submit(insert(2))
    writer.start()
    first.result(10)
    writer.submit(insert(3)).result(10)
    writer.stop()
    assert writer.waiting == 0
    with pytest.raises(UnavailableError, match="stopping"):
        writer.submit(insert(4))


def test_stopping_writes_what_waits(url: str) -> None:
    writer = Writer(lambda: database.connect(url))
    hold = threading.Event()
    writer.submit(lambda _: hold.wait(10))
    waiting = [writer.submit(insert(i)) for i in range(5)]
    writer.start()
    hold.set()
    writer.stop()
    assert all(future.done() for future in waiting)
    assert kept(url) == [0, 1, 2, 3, 4]


def test_it_goes_on_when_the_database_comes_back(url: str) -> None:
    away = [True]

    def connect() -> Session:
        if away[0]:
            raise UnavailableError("away")
        return database.connect(url)

    writer = Writer(connect)
    writer.start()
    with pytest.raises(UnavailableError, match="away"):
        writer.submit(insert(1)).result(10)
    away[0] = False
    assert writer.submit(insert(2)).result(10) == 1
    writer.stop()
    assert kept(url) == [2]

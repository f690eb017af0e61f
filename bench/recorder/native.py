"""What a database takes by itself: rows like outcomes, with the same indexes, in bulk."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

BATCH = 10_000
_COLUMNS = (
    "experiment BIGINT NOT NULL, metric BIGINT NOT NULL, key TEXT NOT NULL, unit TEXT NOT NULL,"
    " value BIGINT NOT NULL, happened BIGINT NOT NULL, received BIGINT NOT NULL,"
    " PRIMARY KEY (experiment, metric, key)"
)
_INDEX = "CREATE INDEX bulk_by_unit ON bulk (experiment, unit)"
_runs = itertools.count()


def rows(count: int, salt: int) -> Iterator[tuple[int, int, str, str, int, int, int]]:
    """Yield rows; keys and units come in no order, as in life."""
    for i in range(count):
        mixed = (i * 2_654_435_761 + salt) % 2**32
        yield 1, 1, f"order-{mixed:08x}-{i}", f"user-{mixed % 50_000}", 1_000_000, i, i


def insert(url: str, folder: Path, count: int) -> float:
    """Insert rows and return how many a second, each ten thousand durable before the next."""
    return _sqlite(folder, count) if url.startswith("sqlite") else _postgres(url, count)


def _sqlite(folder: Path, count: int) -> float:
    file = sqlite3.connect(folder / f"bulk-{next(_runs)}.db", isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
        f"CREATE TABLE bulk ({_COLUMNS}) WITHOUT ROWID", _INDEX,
    ):  # fmt: skip
        file.execute(statement)
    made = list(rows(count, 0))
    began = time.monotonic()
    for start in range(0, count, BATCH):
        file.execute("BEGIN IMMEDIATE")
        file.executemany(
            "INSERT INTO bulk VALUES (?, ?, ?, ?, ?, ?, ?)", made[start : start + BATCH]
        )
        file.execute("COMMIT")
    lasted = time.monotonic() - began
    file.close()
    return count / lasted


def _postgres(url: str, count: int) -> float:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS bulk")
        connection.execute(f"CREATE TABLE bulk ({_COLUMNS})".encode())
        connection.execute(_INDEX.encode())
        made = list(rows(count, 0))
        began = time.monotonic()
        for start in range(0, count, BATCH):
            with (
                connection.transaction(),
                connection.cursor() as cursor,
                cursor.copy("COPY bulk FROM STDIN") as copy,
            ):
                for row in made[start : start + BATCH]:
                    copy.write_row(row)
        lasted = time.monotonic() - began
        connection.execute("DROP TABLE bulk")
    return count / lasted

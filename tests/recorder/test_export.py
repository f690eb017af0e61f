"""The raw events leave as CSV and Parquet, and say what the summary says."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from fairlead_recorder.cli import main
from fairlead_recorder.store import database, departures, experiments, rawdata, schema
from fairlead_recorder.store.summary import Summary
from tests.recorder.worlds import (
    HALVES,
    HOUR,
    RAMPED,
    SECOND,
    START,
    a_definition,
    converted,
    expose,
    paid,
    read,
    record,
    register,
    with_epoch,
)

USERS = [f"u{number}" for number in range(300)]


@pytest.fixture
def counted(url: str, monkeypatch: pytest.MonkeyPatch) -> Summary:
    """An experiment with every kind of event; return what was counted."""
    monkeypatch.setattr(rawdata, "_AT_ONCE", 70)  # several chunks of each
    session = database.connect(url)
    schema.migrate(session)
    session.begin()
    definition = a_definition(HALVES)
    experiment = register(session, definition)
    expose(session, experiment, USERS[:200])
    record(session, experiment, *(converted(user) for user in USERS[:150:3]))
    record(session, experiment, *(paid(user, 1.5) for user in USERS[:250]))
    record(session, experiment, paid("u1", 0.000001, "tiny"), paid("u1", -1e9, "much"))
    record(session, experiment, paid("u2", 9, "late", at=START + 2 * HOUR))
    record(session, experiment, paid("u3", 9, "early", at=START - 20 * SECOND))
    record(session, experiment, paid('a "b", c', 2))
    experiments.register(session, with_epoch(definition, RAMPED), START + HOUR)
    while departures.advance(session):
        pass
    found = read(session, register(session, definition))
    session.commit()
    session.close()
    return found


def exported(url: str, table: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    argv = ["export", "shop/checkout", "--database", url, "--table", table]
    assert main(argv) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_sums_of_the_rows_are_those_of_the_summary(
    counted: Summary, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    units = exported(url, "units", capsys)
    assert sorted(row["unit"] for row in units) == sorted(USERS[:200])
    by_arm: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in units:
        by_arm[row["variant"], row["departed"]] += 1
    [first, _] = counted.epochs
    for arm in ("control", "bigger"):
        assert by_arm[arm, "false"] == first.arms[arm].units
        assert by_arm[arm, "true"] == first.arms[arm].departed
    assert sum(count for (_, departed), count in by_arm.items() if departed == "true") > 0

    rows = exported(url, "outcomes", capsys)
    verdicts: defaultdict[str, int] = defaultdict(int)
    values: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        verdicts[row["verdict"]] += 1
        if row["verdict"] == "counted" and row["departed"] == "false":
            values[row["metric"], row["variant"], row["unit"]] += Decimal(row["value"])
    assert len(rows) == counted.counters["outcomes"]
    assert verdicts == {
        name: counted.counters[name] for name in ("counted", "unexposed", "early", "late")
    }
    for arm in ("control", "bigger"):
        mine = [
            value for (metric, a, _), value in values.items() if (metric, a) == ("revenue", arm)
        ]
        total, squares = first.arms[arm].sums["revenue"]
        assert sum(mine) == Decimal(total) / 10**6
        assert sum(value**2 for value in mine) == Decimal(squares) / 10**12
    assert {row["happened"] for row in rows if row["key"] == "late"} == {"2023-11-15T00:13:20Z"}


@pytest.mark.parametrize("table", ["units", "outcomes"])
@pytest.mark.usefixtures("counted")
def test_parquet_has_the_rows_of_csv_with_their_types(
    url: str, table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.parquet"
    argv = ["export", "shop/checkout", "--database", url, "--table", table, "--format", "parquet"]
    with pytest.raises(SystemExit):
        main(argv)
    assert "name it by --output" in capsys.readouterr().err
    assert main([*argv, "--output", str(path)]) == 0
    found = parquet.read_table(path)
    rows = exported(url, table, capsys)
    assert found.num_rows == len(rows)
    for column in found.column_names:
        assert [said(cell) for cell in found[column].to_pylist()] == [row[column] for row in rows]
    types = {field.name: str(field.type) for field in found.schema}
    assert types["unit"] == "string"
    assert types["epoch"] == "int64"
    assert "timestamp[us, tz=UTC]" in types.values()


def said(cell: Any) -> str:
    """Return a value as CSV says it."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if hasattr(cell, "isoformat"):
        return str(cell.isoformat().replace("+00:00", "Z"))
    if isinstance(cell, Decimal):
        return format(cell.normalize(), "f")
    return "" if cell is None else str(cell)

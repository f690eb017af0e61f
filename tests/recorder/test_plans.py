"""Each statement on a large table looks rows up: none reads all rows of an experiment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fairlead_recorder.store import (
    departures,
    experiments,
    exposures,
    forgetting,
    models,
    pairs,
    recount,
    summary,
)
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.events import Exposure
from fairlead_recorder.store.models import Watching
from fairlead_recorder.store.pairs import Prediction, Truth
from tests.recorder.worlds import (
    HALVES,
    RAMPED,
    START,
    a_definition,
    expose,
    paid,
    record,
    register,
    with_epoch,
)

UNITS = [f"u{i}" for i in range(2_000)]


class Explained:
    """A session that keeps the plan of each statement."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.name = session.name
        self.source = session.source
        self.plans: dict[str, list[str]] = {}

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self._explain(sql, params)
        return self._session.rows(sql, params)

    def run(self, sql: str, params: Sequence[Any] = ()) -> int:
        self._explain(sql, params)
        return self._session.run(sql, params)

    def _explain(self, sql: str, params: Sequence[Any]) -> None:
        word = "EXPLAIN QUERY PLAN " if self.name == "sqlite" else "EXPLAIN "
        if sql.split(maxsplit=1)[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            found = self._session.rows(word + sql, params)
            self.plans[sql] = [str(row[-1]) for row in found]


def test_every_statement_uses_an_index_to_the_end(session: Session) -> None:
    explained: Any = Explained(session)
    definition = a_definition(HALVES)
    experiment = register(explained, definition)
    expose(explained, experiment, UNITS)
    record(explained, experiment, *(paid(unit, 1) for unit in UNITS))
    record(explained, experiment, paid("u1", 5))
    exposures.record(explained, experiment, [Exposure("u1", "control", 1, START)] * 2)
    exposures.record(explained, experiment, [Exposure("u1", "bigger", 1, START)])
    experiments.register(explained, with_epoch(definition, RAMPED), START)
    assert departures.advance(explained)
    forgetting.forget(explained, experiment, "u1")
    recount.recount(explained, experiment)
    large = {
        sql: plan
        for sql, plan in explained.plans.items()
        if any(f"{word} unit" in sql or f"{word} outcome" in sql for word in ("FROM", "JOIN"))
        or sql.startswith("UPDATE unit")
    }
    assert len(large) >= 10
    each_looks_rows_up(session, large, "unit", "outcome")


def test_every_statement_on_pairs_uses_an_index_to_the_end(session: Session) -> None:
    explained: Any = Explained(session)
    models.register(explained, "u", "shop", "fraud", Watching(), START)
    model = models.of_name(explained, "shop", "fraud")
    predictions = [Prediction(unit, 0, "one", "1") for unit in UNITS]
    pairs.predicted(explained, model, predictions, START)
    pairs.turned_out(explained, model, [Truth(unit, 0, "1") for unit in UNITS[1:]], START)
    assert pairs.expire(explained, START + pairs.KEPT + 1, 0)
    while pairs.expire(explained, START, START + 1):
        pass
    large = {sql: plan for sql, plan in explained.plans.items() if " pair" in sql}
    assert len(large) == 4
    each_looks_rows_up(session, large, "pair")


def each_looks_rows_up(session: Session, large: dict[str, list[str]], *tables: str) -> None:
    for sql, plan in large.items():
        if "count(*)" in sql:
            continue
        whole = " / ".join(plan)
        if session.name == "sqlite":
            assert "(experiment=?)" not in whole, f"{sql}\n{whole}"
            for table in tables:
                assert f"SCAN {table}" not in whole, f"{sql}\n{whole}"
            assert "AUTOMATIC" not in whole, f"{sql}\n{whole}"
        else:
            assert "Seq Scan" not in whole, f"{sql}\n{whole}"
            assert "Hash Join" not in whole, f"{sql}\n{whole}"
            # It would compare each row that is asked for with all of the experiment.
            assert "Join Filter" not in whole, f"{sql}\n{whole}"


def test_a_summary_reads_sums_and_no_events(session: Session) -> None:
    """So it takes as long for ten million outcomes as for ten."""
    explained: Any = Explained(session)
    experiment = register(explained, a_definition(HALVES))
    expose(explained, experiment, UNITS)
    record(explained, experiment, *(paid(unit, 1) for unit in UNITS))
    explained.plans.clear()
    found = summary.read(explained, experiment, START)
    assert sum(arm.units for arm in found.epochs[0].arms.values()) == len(UNITS)
    read = {word for sql in explained.plans for word in re.findall(r"(?:FROM|JOIN) (\w+)", sql)}
    assert read == {"tally", "population", "counter", "gap", "departure"}

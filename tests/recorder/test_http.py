"""The interface of a real process, on both databases."""

from __future__ import annotations

import dataclasses
import gzip
import itertools
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg
import pytest

from tests.recorder import otlp
from tests.recorder.process import Recorder, recorder
from tests.recorder.worlds import arm_of

_numbers = itertools.count(1)


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Recorder]:
    """Run one recorder for all tests on a database."""
    folder = tmp_path_factory.mktemp("recorder")
    url = (
        f"sqlite:///{folder}/recorder.db"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres")
    )
    with recorder(url, folder) as started:
        yield started


@pytest.fixture
def served(shared: Recorder) -> Recorder:
    """Return the recorder with an experiment of the test's own."""
    number = next(_numbers)
    mine = dataclasses.replace(shared, uid=f"uid-{number}", name=f"checkout-{number}")
    mine.register()
    return mine


def outcomes(*units: str, metric: str = "revenue", value: object = 1) -> dict[str, Any]:
    return {
        "outcomes": [
            {"key": f"k-{unit}", "unit": unit, "metric": metric, "value": value} for unit in units
        ]
    }


def expose(served: Recorder, *units: str) -> httpx.Response:
    entries = [(f"pepper:{unit}", arm_of(unit), arm_of(unit)) for unit in units]
    return otlp.send(served, otlp.export(entries, uid=served.uid, at=time.time_ns()))


def execute(url: str, sql: str) -> None:
    """Run a statement behind the recorder's back."""
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite://"), timeout=10) as file:
            file.execute(sql)
        file.close()
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.encode())


def test_outcomes_of_exposed_units_are_in_the_summary(served: Recorder) -> None:
    units = [f"u{i}" for i in range(20)]
    assert expose(served, *units).status_code == 200
    taken = served.post(f"{served.path}/outcomes", outcomes(*units, value=2.5))
    assert taken.status_code == 200
    assert taken.json() == {"accepted": 20, "duplicates": 0, "conflicts": []}
    again = served.post(f"{served.path}/outcomes", outcomes("u1", value=3))
    assert again.json()["conflicts"] == [{"metric": "revenue", "key": "k-u1"}]
    [epoch] = served.summary()["epochs"]
    found = {name: arm["metrics"]["revenue"] for name, arm in epoch["arms"].items()}
    for name, sums in found.items():
        count = sum(arm_of(unit) == name for unit in units)
        assert sums["count"] == count
        assert sums["total"] == 2.5 * count
        assert sums["squaresTrillionths"] == str(count * 6_250_000_000_000)


def test_ten_thousand_at_once_are_taken_and_one_more_is_refused(served: Recorder) -> None:
    batch = outcomes(*(f"u{i}" for i in range(10_000)))
    body = gzip.compress(orjson.dumps(batch))
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = httpx.post(
        f"{served.url}{served.path}/outcomes", content=body, headers=headers, trust_env=False,
        timeout=60,
    )  # fmt: skip
    assert answer.json()["accepted"] == 10_000
    batch["outcomes"].append(batch["outcomes"][0])
    refused = served.post(f"{served.path}/outcomes", batch)
    assert refused.status_code == 422
    assert "10000 items" in refused.json()["problems"][0]


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        ({"metric": "conversion", "value": 2}, "binary"),
        ({"metric": "conversion", "value": 0.5}, "binary"),
        ({"metric": "revenue", "value": True}, "must be a number"),
        ({"metric": "revenue", "value": "7"}, "outcomes.1.value"),
        ({"metric": "revenue", "value": 1.5e9}, "less than or equal"),
        ({"metric": "visits", "value": 1}, "none of conversion, revenue"),
        ({"metric": "revenue", "value": 1, "time": "2026-11-24T18:00:00"}, "timezone"),
        ({"metric": "revenue", "value": 1, "time": "2999-01-01T00:00:00Z"}, "future"),
        ({"metric": "revenue", "value": 1, "unit": "  "}, "blank"),
        ({"metric": "revenue", "value": 1, "unit": "a\nb"}, "pattern"),
        ({"metric": "revenue", "value": 1, "weight": 1}, "weight"),
    ],
)
def test_one_outcome_that_does_not_fit_refuses_the_batch_and_says_which(
    served: Recorder, outcome: dict[str, object], problem: str
) -> None:
    good = {"key": "good", "unit": "u1", "metric": "revenue", "value": 1}
    bad = {"key": "bad", "unit": "u2", **outcome}
    answer = served.post(f"{served.path}/outcomes", {"outcomes": [good, bad]})
    assert answer.status_code == 422
    [said] = answer.json()["problems"][:1]
    assert said.startswith("outcomes.1")
    assert problem in " ".join(answer.json()["problems"])
    assert served.summary()["counters"]["outcomes"] == 0


def test_what_is_not_understood_is_refused_in_words(served: Recorder) -> None:
    path = f"{served.url}{served.path}/outcomes"
    form = httpx.post(path, data={"a": "b"}, trust_env=False)
    assert (form.status_code, form.json()) == (415, {"error": "send application/json"})
    headers = {"content-type": "application/json"}
    broken = httpx.post(path, content=b"{", headers=headers, trust_env=False)
    assert (broken.status_code, broken.json()["error"]) == (400, "the body is not JSON")
    large = httpx.post(path, content=b" " * 9_000_000, headers=headers, trust_env=False)
    assert large.status_code == 413
    unknown = served.post("/v1/experiments/shop/other/outcomes", outcomes("u1"))
    assert unknown.status_code == 404
    assert "no experiment shop/other" in unknown.json()["error"]
    odd = served.post("/v1/experiments/shop/%00/outcomes", outcomes("u1"))
    assert odd.status_code == 404
    assert served.post(served.path, {}).status_code == 405


def test_an_experiment_that_ended_takes_nothing_more_and_can_still_be_read(
    served: Recorder,
) -> None:
    expose(served, "u1")
    served.post(f"{served.path}/outcomes", outcomes("u1"))
    other = httpx.delete(f"{served.url}{served.path}?uid=other", trust_env=False)
    assert other.json()["ended"] is False
    ended = httpx.delete(f"{served.url}{served.path}?uid={served.uid}", trust_env=False)
    assert ended.json() == {"uid": served.uid, "ended": True}
    refused = served.post(f"{served.path}/outcomes", outcomes("u2"))
    assert (refused.status_code, "has ended" in refused.json()["error"]) == (409, True)
    expose(served, "u2")
    summary = served.summary()
    assert summary["endedAt"] is not None
    assert sum(arm["units"] for arm in summary["epochs"][0]["arms"].values()) == 1
    fresh = served.put(served.path, {**served.definition, "uid": "fresh"})
    assert fresh.json()["created"] is True
    assert served.summary()["counters"]["outcomes"] == 0
    assert served.get(f"{served.path}/summary?uid={served.uid}")["counters"]["outcomes"] == 1


def test_what_was_registered_is_told_and_what_contradicts_it_refused(served: Recorder) -> None:
    told = served.get(served.path)
    for field in ("uid", "salt", "variants", "outcomeWindowSeconds", "epochs"):
        assert told[field] == served.definition[field]
    assert served.put(served.path, served.definition).json()["changed"] is False
    other = served.put(served.path, {**served.definition, "salt": "other"})
    assert other.status_code == 409
    assert "salt" in other.json()["error"]
    short = {**served.definition, "epochs": [{**served.definition["epochs"][0], "table": []}]}
    assert served.put(served.path, short).status_code == 422
    judgement = {"uid": served.uid, "phase": "Running", "guardrails": []}
    assert served.put(f"{served.path}/judgement", judgement).status_code == 200
    judgement["uid"] = "other"
    assert served.put(f"{served.path}/judgement", judgement).status_code == 404


def test_fallbacks_and_entries_of_nobody_are_no_exposures(served: Recorder) -> None:
    other = {"control": "bigger", "bigger": "control"}
    mine = arm_of("u1")
    entries = [
        ("pepper:u1", mine, mine),
        ("pepper:u2", other[arm_of("u2")], arm_of("u2")),
        ("pepper:", mine, mine),
        ("salt:u3", mine, mine),
        ("pepper:u4", mine, "-"),
        ("pepper:u5", mine, ""),
        (f"pepper:{'x' * 300}", mine, mine),
        ("pepper:a\x00b", mine, mine),
    ]
    before = exposures_counted(served)
    body = otlp.export(entries, uid=served.uid, at=time.time_ns())
    assert otlp.send(served, body).status_code == 200
    stray = otlp.export(entries[:2], uid="nobody", at=time.time_ns())
    assert otlp.send(served, stray).status_code == 200
    counters = served.summary()["counters"]
    assert (counters["exposures"], counters["fallbacks"], counters["refused"]) == (1, 1, 6)
    after = exposures_counted(served)
    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert (grown["unknown"], grown["new"], grown["fallback"]) == (2, 1, 1)


def exposures_counted(served: Recorder) -> dict[str, float]:
    text = httpx.get(f"{served.url}/metrics", trust_env=False).text
    found = re.findall(r'fairlead_recorder_exposures_total\{result="(\w+)"\} (\S+)', text)
    return {name: float(value) for name, value in found}


def test_exposures_that_are_no_otlp_are_refused(served: Recorder) -> None:
    assert otlp.send(served, b"{}", "application/json").status_code == 415
    assert otlp.send(served, b"\xff\xff").status_code == 400


def test_a_units_data_is_removed_on_demand(served: Recorder) -> None:
    expose(served, "u1", "u2")
    served.post(f"{served.path}/outcomes", outcomes("u1", "u2"))
    path = f"{served.url}{served.path}/units"
    gone = httpx.delete(path, params={"unit": "u1"}, trust_env=False)
    assert gone.json() == {"removed": 2}
    assert httpx.delete(path, params={"unit": "u1"}, trust_env=False).json() == {"removed": 0}
    assert httpx.delete(path, trust_env=False).status_code == 422
    summary = served.summary()
    assert (summary["counters"]["outcomes"], summary["counters"]["forgotten"]) == (1, 1)
    assert served.command("recount", f"shop/{served.name}").returncode == 0


def test_a_writer_that_sends_too_much_is_told_when_to_go_on(url: str, tmp_path: Path) -> None:
    with recorder(url, tmp_path, "--no-authentication", "--outcomes-per-second=10") as served:
        served.register()
        first = served.post(f"{served.path}/outcomes", outcomes(*(f"u{i}" for i in range(15))))
        assert first.status_code == 200
        second = served.post(f"{served.path}/outcomes", outcomes("x"))
        assert second.status_code == 429
        assert int(second.headers["retry-after"]) >= 1


def test_a_database_that_takes_nothing_is_said_and_what_was_lost_meanwhile_counted(
    served: Recorder,
) -> None:
    url = served.database
    expose(served, "u1")
    if url.startswith("sqlite"):
        execute(
            url,
            "CREATE TRIGGER broken BEFORE INSERT ON unit BEGIN SELECT RAISE(ABORT, 'full'); END",
        )
    else:
        execute(
            url, "ALTER TABLE unit ADD CONSTRAINT broken CHECK (unit NOT IN ('u2', 'u3')) NOT VALID"
        )
    lost = expose(served, "u2", "u3")
    assert lost.status_code == 503
    assert lost.headers["retry-after"] == "1"
    assert served.post(f"{served.path}/outcomes", outcomes("u1")).status_code == 200
    if url.startswith("sqlite"):
        execute(url, "DROP TRIGGER broken")
    else:
        execute(url, "ALTER TABLE unit DROP CONSTRAINT broken")
    assert expose(served, "u4").status_code == 200
    summary = served.summary()
    assert summary["counters"]["lost"] == 2
    assert summary["gaps"]["latest"][0]["reason"] == "refused"
    assert sum(arm["units"] for arm in summary["epochs"][0]["arms"].values()) == 2


def test_the_time_it_was_down_is_a_gap_and_a_newer_database_is_refused(
    url: str, tmp_path: Path
) -> None:
    with recorder(url, tmp_path) as served:
        served.register()
        assert served.stop() == 0
        time.sleep(1)
        served.start()
        gaps = served.summary()["gaps"]
        assert gaps["count"] == 1
        assert gaps["seconds"] >= 1
        assert gaps["latest"][0]["reason"] == "down"
        served.stop()
        execute(url, "INSERT INTO migration VALUES (99, 0)")
        done = served.command("migrate")
        assert done.returncode == 2
        assert "use the newer program" in done.stdout

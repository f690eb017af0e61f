"""Which server a bar is judged for, what of its throughput a server keeps, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.runtime import crowd, measure, report, servers, sweep
from bench.runtime.load import Load
from bench.runtime.measure import Results
from bench.runtime.scenarios import SCENARIOS
from bench.runtime.sweep import Point


def loads(*rates: float) -> list[Load]:
    return [Load(rps=rate, p50_ms=1.0, p99_ms=2.0, cpu_us=50.0) for rate in rates]


def test_bars_of_single_rows_are_judged_for_the_server_with_everything_on() -> None:
    results = Results()
    results.loads["small-c32", "fastapi"] = loads(10, 10)
    results.loads["small-c32", "fairlead-own"] = loads(80, 80)
    assert report.bars(results) == []
    results.loads["small-c32", servers.FULL] = loads(50, 55)
    (bar,) = report.bars(results)
    assert bar.values == [5.0, 5.5]
    assert bar.missed


def test_the_full_server_takes_part_in_single_rows_of_the_small_model_alone() -> None:
    how = servers.full(Path("m.onnx"), Path("p.json"), Path("log"))
    assert {each.name for each in SCENARIOS if measure.speaks(how, each)} == {
        "small-c1", "small-c8", "small-c32",
    }  # fmt: skip


def point(model: str, connections: int, *rates: float) -> Point:
    return Point(model, 1, connections, loads(*rates))


def test_kept_is_the_least_throughput_past_the_best_of_the_same_repetition() -> None:
    points = [
        point("medium", 1, 10, 10),  # before the best, which is no loss
        point("medium", 8, 100, 200),
        point("medium", 64, 80, 190),
        point("medium", 512, 85, 195),
    ]
    assert sweep.kept(points) == {"sweep_medium_rows1_kept": 135 / 150}
    (bar,) = sweep.bars(points)
    assert bar.values == [0.8, 0.95]
    assert bar.name.endswith("from 8 to 64 connections")
    assert not bar.missed


def test_time_that_bare_loses_is_taken_off_and_not_its_share() -> None:
    # Of ours a request takes 100 us more; of bare's 10, which is as large a share.
    points = [
        point("small", 8, 10_000),
        point("small", 512, 5_000),
        point("bare", 8, 100_000),
        point("bare", 512, 50_000),
    ]
    plain, net = sweep.bars(points)
    assert list(plain.values) == [0.5]
    assert list(net.values) == pytest.approx([100 / 190])
    assert net.missed


def test_bare_that_gains_takes_nothing_off() -> None:
    points = [
        point("small", 8, 10_000),
        point("small", 512, 5_000),
        point("bare", 8, 50_000),
        point("bare", 512, 60_000),
    ]
    assert list(sweep.bars(points)[1].values) == pytest.approx([0.5])


def test_refusals_and_answers_are_timed_apart() -> None:
    found = crowd.outcome({200: [0.2] * 30, 429: [0.001] * 10}, 2.0)
    assert (found.answers_per_s, found.refused) == (15, 0.25)
    assert [found.answer_p50_ms, found.refusal_p99_ms] == pytest.approx([200, 1])


def test_other_answers_are_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="503"):
        crowd.outcome({200: [0.1], 503: [0.1]}, 1.0)

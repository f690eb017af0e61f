"""Figures of a measurement, and the setting that they recommend."""

from __future__ import annotations

import pytest

from fairlead_runtime.benchmark.recommend import Setting, recommend
from fairlead_runtime.workbench.timing import repeat, summarise


def setting(threads: int, batch: int, *, p99_ms: float, rows_per_s: float) -> Setting:
    timing = summarise([0.001] * 4, rows=batch)
    values = {name: getattr(timing, name) for name in timing.__slots__}
    values |= {"p99_ms": p99_ms, "rows_per_s": rows_per_s}
    return Setting(threads=threads, batch_size=batch, timing=type(timing)(**values))


SWEEP = [
    setting(1, 1, p99_ms=1, rows_per_s=1000),
    setting(1, 8, p99_ms=3, rows_per_s=4000),
    setting(2, 8, p99_ms=2, rows_per_s=4100),
    setting(2, 32, p99_ms=9, rows_per_s=9000),
]
CASES = [
    ("no limit: the most rows", None, (2, 32)),
    ("at the limit is within it", 9.0, (2, 32)),
    ("close ones: the fewest threads", 3.0, (1, 8)),
    ("a limit that only one of them keeps", 2.0, (2, 8)),
    ("the tightest limit", 1.0, (1, 1)),
    ("none", 0.5, None),
]


@pytest.mark.parametrize(
    ("limit", "wanted"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_the_most_rows_within_the_limit_are_recommended(
    limit: float | None, wanted: tuple[int, int] | None
) -> None:
    found = recommend(SWEEP, max_latency_ms=limit)
    assert (found and (found.setting.threads, found.setting.batch_size)) == wanted


def test_the_figures_are_those_of_the_runs() -> None:
    timing = summarise([0.001 * n for n in range(1, 101)], rows=4)
    assert timing.runs == 100
    assert timing.total_time_ms == pytest.approx(5050)
    assert timing.avg_latency_ms == pytest.approx(50.5)
    assert timing.throughput_rps == pytest.approx(100 / 5.05)
    assert timing.rows_per_s == pytest.approx(400 / 5.05)
    assert timing.p50_ms == pytest.approx(50.5)
    assert timing.p99_ms == pytest.approx(99.01)
    assert timing.min_ms == pytest.approx(1)
    assert timing.max_ms == pytest.approx(100)


def test_runs_end_with_the_number_or_the_time() -> None:
    calls: list[int] = []
    assert len(repeat(lambda: calls.append(1), runs=7, seconds=60)) == 7
    assert len(repeat(lambda: calls.append(1), runs=10**9, seconds=0, least=3)) == 3
    assert len(calls) == 10

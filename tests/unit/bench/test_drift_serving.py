"""What counting drift costs, from pairs of rounds: loud ones are left out, with their neighbour."""

from __future__ import annotations

import pytest

from bench.drift.serving import Pair, Round, report
from bench.quiet import Shares
from bench.runtime.load import Load


def rounded(rps: float, cpu_us: float, others: float = 0.01) -> Round:
    load = Load(rps=rps, p50_ms=1.0, p99_ms=2.0, cpu_us=cpu_us)
    return Round(load=load, shares=Shares(others=others, stolen=0.0))


def figures(*starts: list[Pair]) -> dict[str, str]:
    lines = [line for line in report("x", starts) if not line.startswith("#")]
    return dict(line.split(": ") for line in lines)


def test_what_a_profile_costs_is_told_with_a_verdict() -> None:
    pairs = [Pair(off=rounded(1000, 100), on=rounded(990, 101 + i % 3)) for i in range(20)]
    found = figures(*([pair, pair] for pair in pairs))
    assert found["x_throughput_lost_percent"] == "1.00"
    assert found["x_throughput_lost_percent_verdict"] == "met"
    assert found["x_cpu_per_request_added_percent"] == "2.00"
    assert found["x_cpu_per_request_added_percent_high"] == "3.00"
    assert found["x_quiet_starts"] == "20"


@pytest.mark.parametrize("loud", ["off", "on"])
def test_a_pair_with_a_loud_round_does_not_count(loud: str) -> None:
    calm = [Pair(off=rounded(1000, 100), on=rounded(900, 110)) for _ in range(10)]
    others = {"off": 0.0, "on": 0.0} | {loud: 0.4}
    pair = Pair(off=rounded(1000, 100, others["off"]), on=rounded(1500, 50, others["on"]))
    found = figures(*([each, pair, pair] for each in calm), *([[pair]] * 30))
    assert found["x_quiet_starts"] == "10"
    assert found["x_throughput_lost_percent"] == "10.00"
    assert found["x_throughput_lost_percent_verdict"] == "missed"


def test_each_start_of_the_servers_has_one_say() -> None:
    """However many rounds it has: its processes are faster or slower as long as they live."""
    slow, fast = (Pair(off=rounded(1000, 100), on=rounded(rps, 100)) for rps in (800, 990))
    found = figures([slow] * 50, *([[fast]] * 10))
    assert found["x_throughput_lost_percent"] == "1.00"


def test_without_quiet_pairs_there_is_no_verdict() -> None:
    found = figures(*([[Pair(off=rounded(10, 1, 0.5), on=rounded(10, 1))]] * 8))
    assert found["x_throughput_lost_percent_verdict"] == "too few pairs"

"""Rollouts of the whole pure machine on synthetic traffic: a small `make bench-rollout`."""

from __future__ import annotations

import pytest

from bench.rollout import cases, thresholds
from bench.rollout.world import Case, Result, play
from fairlead_operator.rollout.plan import parse

pytestmark = pytest.mark.slow


def played(case: Case, seed: int) -> Result:
    return play(case, parse({"objectives": {"maxLatencyMs": case.limit_ms}}), seed)


@pytest.mark.parametrize("rps", [50, 500])
def test_good_candidates_are_promoted(rps: int) -> None:
    outcomes = [played(cases.good(rps, seed), seed).outcome for seed in range(12)]
    assert outcomes == ["Promoted"] * 12


def test_good_candidates_with_little_traffic_are_never_rolled_back() -> None:
    outcomes = {played(cases.good(5, seed), seed).outcome for seed in range(8)}
    assert outcomes <= {"Promoted", ""}


@pytest.mark.parametrize("kind", cases.KINDS)
@pytest.mark.parametrize("rps", [5, 50])
def test_twice_the_limit_is_never_promoted(kind: str, rps: int) -> None:
    for seed in range(4):
        case = cases.bad(rps, seed, kind, 2.0)
        assert case is not None
        assert played(case, seed).outcome in ("GateFailed", "")


@pytest.mark.parametrize("kind", cases.KINDS)
def test_at_its_limit_a_candidate_is_held_and_not_promoted(kind: str) -> None:
    case = cases.bad(50, 3, kind, 1.0)
    assert case is not None
    assert played(case, 3).outcome != "Promoted"


def test_a_candidate_of_which_half_fails_loses_few_requests() -> None:
    case = cases.bad(500, 1, "errors", 50.0)
    assert case is not None
    found = played(case, 1)
    assert found.outcome == "GateFailed"
    fixed = thresholds.play(case, thresholds.FLAGGER, 1)
    assert found.lost * 10 < fixed.lost

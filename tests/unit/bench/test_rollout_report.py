"""Undecided rollouts count against the aims, and for what they lose to the horizon."""

from __future__ import annotations

from bench.rollout import cases, report, thresholds
from bench.rollout.report import Trial
from bench.rollout.world import HORIZON_S, Result, play
from fairlead_operator.rollout.plan import parse

PROMOTED = Result(outcome="Promoted", minutes=10.0, lost=5, ended="Promoted", lost_after=100)
BACK = Result(outcome="GateFailed", minutes=2.0, lost=7, ended="GateFailed")
HELD = Result(outcome="", minutes=40.0, lost=60, ended="")
LATE_BACK = Result(outcome="", minutes=40.0, lost=50, ended="GateFailed")
LATE_IN = Result(outcome="", minutes=40.0, lost=50, ended="Promoted", lost_after=1000)


def test_undecided_rollouts_count_as_neither_and_against_the_aims() -> None:
    found = report.summary([PROMOTED] * 94 + [HELD] * 6, [BACK] * 94 + [LATE_BACK] * 6)
    assert (found.good_promoted_percent, found.good_undecided_percent) == (94, 6)
    assert (found.bad_rolled_back_percent, found.bad_undecided_percent) == (94, 6)
    assert found.missed(little_traffic=False) == [
        "good_promoted_percent is below 95",
        "bad_rolled_back_percent is below 95",
    ]
    assert found.missed(little_traffic=True) == []


def test_what_is_done_wrong_after_a_deadline_is_wrong_all_the_same() -> None:
    found = report.summary([PROMOTED] * 98 + [LATE_BACK] * 2, [BACK] * 98 + [LATE_IN] * 2)
    assert found.missed(little_traffic=True) == [
        "good_rolled_back_percent is above 1",
        "bad_promoted_percent is above 1",
    ]


def test_losses_are_those_to_the_horizon() -> None:
    found = report.summary([PROMOTED], [BACK, HELD, PROMOTED])
    assert found.requests_lost_per_bad_rollout == (7 + 60 + 105) / 3
    assert found.requests_lost_per_undecided_bad_rollout == 60


def test_the_median_of_minutes_is_that_of_the_promoted() -> None:
    assert report.summary([PROMOTED, HELD, HELD], [BACK]).median_minutes_to_promote == 10
    assert report.summary([HELD], [BACK]).median_minutes_to_promote is None


def test_lines_have_a_name_and_a_value_for_every_judge_and_load() -> None:
    seen = (("good", 0.0, PROMOTED), ("errors", 2.0, BACK), ("nan", 2.0, HELD))
    played = [
        (Trial(judge=judge, rps=rps, kind=kind, size=size, seed=0), result)
        for judge in report.JUDGES
        for rps in report.LOADS
        for kind, size, result in seen
    ]
    lines = dict(line.split(": ") for line in report.lines(report.summaries(played)))
    assert lines["fairlead_rps5_bad_undecided_percent"] == "50"
    # The others do not look for NaN; beside them only what all look for counts.
    assert lines["fairlead_errors_p99_rps5_bad_undecided_percent"] == "0"
    assert lines["argo_rps500_bad_rollouts"] == "1"


def test_a_held_candidate_loses_until_the_horizon() -> None:
    case = cases.bad(50, 3, "errors", 1.0)
    assert case is not None
    found = play(case, parse({"objectives": {"maxLatencyMs": case.limit_ms}}), 3)
    assert (found.outcome, found.ended) == ("", "")
    # Half of the traffic for all the time after the deadline, one request in a hundred failed.
    after = HORIZON_S - found.minutes * 60
    assert found.lost > 0.8 * 0.01 * 25 * after


def test_what_fixed_thresholds_promote_goes_on_losing() -> None:
    case = cases.bad(5, 1, "errors", 0.5)
    assert case is not None
    found = thresholds.play(case, thresholds.FLAGGER, 1)
    assert found.outcome == "Promoted"
    after = HORIZON_S - found.minutes * 60
    # All the traffic, one request in two hundred failed, and some too late.
    assert 0.7 * 0.005 * 5 * after < found.lost_after < 3 * 0.005 * 5 * after

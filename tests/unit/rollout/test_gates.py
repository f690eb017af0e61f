"""Each gate: what condemns, what acquits, and what is not known."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from fairlead_operator.rollout.gates import judge
from fairlead_operator.rollout.ledger import Ledger, Sides
from fairlead_operator.rollout.plan import Limits
from fairlead_operator.rollout.quality import Compared, Quality, Score
from fairlead_operator.rollout.verdict import Check, Gate, Verdict, worst
from fairlead_operator.stats.histogram import Histogram
from fairlead_operator.traffic.bootstrap import buckets
from fairlead_operator.traffic.counts import Counts
from tests.unit.rollout.rolling import NOW, some

EDGES = tuple(buckets((50,)))


def a_ledger(control: Counts, candidate: Counts, **changes: object) -> Ledger:
    base = Ledger(
        control_share=5000,
        candidate_share=5000,
        begin=NOW,
        end=NOW,
        open=Sides(control=control, candidate=candidate),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def the(gate: Gate, checks: tuple[Check, ...]) -> Check:
    [found] = [check for check in checks if check.gate is gate]
    return found


def verdict(
    gate: Gate,
    candidate: Counts,
    control: Counts | None = None,
    *,
    limits: Limits | None = None,
    last: bool = False,
    quality: Quality | None = None,
) -> Verdict | None:
    ledger = a_ledger(control or some(20_000), candidate, quality=quality or Quality())
    checks = judge(ledger, limits or Limits(), NOW, last=last)
    return the(gate, checks).verdict


def took(*shares: tuple[float, int]) -> Counts:
    """Return counts of requests that took so many milliseconds."""
    filled = [0] * (len(EDGES) + 1)
    for ms, n in shares:
        filled[next(i for i, edge in enumerate(EDGES) if ms <= edge)] += n
    total = sum(filled)
    return Counts(requests=total, predictions=total, latency=Histogram(EDGES, tuple(filled)))


def test_a_disaster_needs_no_minimum_of_requests() -> None:
    assert verdict(Gate.ERRORS, some(6, errors=6)) is Verdict.FAIL
    assert verdict(Gate.NON_FINITE, some(6, non_finite=6)) is Verdict.FAIL


@pytest.mark.parametrize("requests", [1, 199])
def test_nothing_passes_below_the_minimum_of_requests(requests: int) -> None:
    assert verdict(Gate.ERRORS, some(requests)) is Verdict.INCONCLUSIVE


def test_a_step_passes_with_the_minimum_and_no_failure_and_the_last_needs_an_acquittal() -> None:
    assert verdict(Gate.ERRORS, some(200)) is Verdict.PASS
    assert verdict(Gate.ERRORS, some(200), last=True) is Verdict.INCONCLUSIVE
    assert verdict(Gate.ERRORS, some(2000, errors=1), last=True) is Verdict.PASS


def test_a_rate_at_the_limit_is_neither_condemned_nor_acquitted() -> None:
    assert verdict(Gate.ERRORS, some(10_000, errors=100)) is Verdict.PASS
    assert verdict(Gate.ERRORS, some(10_000, errors=100), last=True) is Verdict.INCONCLUSIVE


def test_twice_the_limit_is_condemned() -> None:
    assert verdict(Gate.ERRORS, some(5000, errors=100)) is Verdict.FAIL


def test_alpha_is_shared_over_the_gates_that_can_be_wrong_by_chance() -> None:
    """Just enough for one gate alone is not enough for one of many."""
    candidate = some(300, errors=12)
    alone = Limits(latency_increase=None, non_finite=None)
    shared = Limits(latency_p99_ms=50, client_error_increase=0.5, mirror_difference=0.01)
    assert verdict(Gate.ERRORS, candidate, limits=alone) is Verdict.FAIL
    assert verdict(Gate.ERRORS, candidate, limits=shared) is not Verdict.FAIL


def test_a_p99_limit_is_a_limit_on_the_share_above_it() -> None:
    limits = Limits(latency_p99_ms=50)
    slow = took((20.0, 4850), (60.0, 150))
    assert verdict(Gate.LATENCY_P99, slow, limits=limits) is Verdict.FAIL
    fine = took((20.0, 4990), (60.0, 10))
    assert verdict(Gate.LATENCY_P99, fine, limits=limits, last=True) is Verdict.PASS
    at = took((20.0, 4950), (60.0, 50))
    assert verdict(Gate.LATENCY_P99, at, limits=limits, last=True) is Verdict.INCONCLUSIVE
    [found] = [
        check for check in judge(a_ledger(fine, slow), limits, NOW) if check.gate == "LatencyP99"
    ]
    assert (found.value, found.limit, found.unit, found.samples) == (61.2, 50, "ms", 5000)
    assert "3% of the requests took longer than 50 ms" in found.message


def test_a_limit_inside_a_bucket_condemns_by_what_is_sure_and_acquits_by_what_is_possible() -> None:
    """Between the edges 45.9 and 50.5 nobody knows."""
    edges = (45.9, 50.5, 60.0)
    limits = Limits(latency_p99_ms=48)
    unsure = Counts(requests=5000, latency=Histogram(edges, (4500, 500, 0, 0)))
    assert verdict(Gate.LATENCY_P99, unsure, limits=limits) is Verdict.PASS
    assert verdict(Gate.LATENCY_P99, unsure, limits=limits, last=True) is Verdict.INCONCLUSIVE
    sure = Counts(requests=5000, latency=Histogram(edges, (4500, 0, 500, 0)))
    assert verdict(Gate.LATENCY_P99, sure, limits=limits) is Verdict.FAIL


def test_a_p99_is_compared_with_the_stables_beyond_what_chance_and_buckets_explain() -> None:
    stable = took((20.0, 19_900), (40.0, 80), (60.0, 20))
    same = took((20.0, 19_900), (40.0, 80), (60.0, 20))
    slower = took((20.0, 18_000), (40.0, 1000), (80.0, 1000))
    gate = Gate.LATENCY_INCREASE
    assert verdict(gate, same, stable) is Verdict.PASS
    assert verdict(gate, same, stable, last=True) is Verdict.PASS
    assert verdict(gate, slower, stable) is Verdict.FAIL
    few = took((1.0, 20))
    assert verdict(gate, same, few, last=True) is Verdict.INCONCLUSIVE


def test_a_millisecond_more_is_within_any_limit() -> None:
    """Routers count whole milliseconds: 1 to 2 ms may be no increase at all."""
    stable, candidate = took((1.0, 20_000)), took((2.0, 20_000))
    assert verdict(Gate.LATENCY_INCREASE, candidate, stable, last=True) is Verdict.PASS


def test_client_errors_are_compared_by_share_and_only_where_a_limit_is_written() -> None:
    gate, limits = Gate.CLIENT_ERRORS, Limits(client_error_increase=0.5)
    stable = replace(some(10_000), client_errors=300)
    assert verdict(gate, replace(some(10_000), client_errors=900), stable) is None
    assert (
        verdict(gate, replace(some(10_000), client_errors=900), stable, limits=limits)
        is Verdict.FAIL
    )
    same = replace(some(10_000), client_errors=300)
    assert verdict(gate, same, stable, limits=limits, last=True) is Verdict.PASS
    rare, few = replace(some(10_000), client_errors=2), replace(some(10_000), client_errors=1)
    assert verdict(gate, rare, few, limits=limits, last=True) is Verdict.PASS


def test_a_candidate_that_answers_400_to_everything_is_caught() -> None:
    limits = Limits(client_error_increase=0.5)
    stable = replace(some(1000), client_errors=10)
    broken = replace(some(100), client_errors=100)
    assert verdict(Gate.CLIENT_ERRORS, broken, stable, limits=limits) is Verdict.FAIL


def test_restarts_count_beyond_the_stables_in_the_same_time() -> None:
    assert verdict(Gate.RESTARTS, some(500, restarts=2)) is Verdict.FAIL
    assert verdict(Gate.RESTARTS, some(500, restarts=1)) is Verdict.PASS
    shared = some(500, restarts=4)
    assert verdict(Gate.RESTARTS, shared, some(500, restarts=3)) is Verdict.PASS


def test_old_evidence_is_stale_and_a_pod_that_cannot_be_read_as_well() -> None:
    later = NOW + dt.timedelta(seconds=31)
    old = judge(a_ledger(some(20_000), some(500)), Limits(), later)
    assert worst(old) is Verdict.STALE
    ledger = a_ledger(some(20_000), some(500), unread=("fraud-b-x",))
    unread = judge(ledger, Limits(), NOW)
    assert worst(unread) is Verdict.STALE
    assert "fraud-b-x" in the(Gate.ERRORS, unread).message
    assert "fraud-b-x" in the(Gate.ERRORS, judge(ledger, Limits(), later)).message


def test_how_old_evidence_may_be_is_its_providers_to_say() -> None:
    ledger = a_ledger(some(20_000), some(500), stale_after_s=90.0, trouble="the store is away")
    for age, wanted in ((89, Verdict.PASS), (91, Verdict.STALE)):
        checks = judge(ledger, Limits(), NOW + dt.timedelta(seconds=age))
        assert worst(checks) is wanted
    assert the(Gate.ERRORS, checks).message == "the last counts are 91 s old: the store is away"


def test_old_evidence_still_condemns() -> None:
    later = NOW + dt.timedelta(hours=1)
    ledger = a_ledger(some(20_000), some(100, errors=50))
    assert worst(judge(ledger, Limits(), later)) is Verdict.FAIL


def test_no_request_is_no_evidence() -> None:
    checks = judge(a_ledger(some(20_000), Counts()), Limits(), NOW)
    assert worst(checks) is Verdict.NO_EVIDENCE
    assert worst(judge(Ledger(), Limits(), NOW)) is Verdict.NO_EVIDENCE


def test_a_gate_that_is_ignored_is_shown_and_decides_nothing() -> None:
    limits = Limits(ignore=frozenset({Gate.ERRORS}))
    checks = judge(a_ledger(some(20_000), some(500, errors=250)), limits, NOW)
    assert the(Gate.ERRORS, checks).verdict is None
    assert the(Gate.ERRORS, checks).value == 50
    assert worst(checks) is Verdict.PASS


def test_with_every_gate_ignored_nothing_is_known() -> None:
    checks = judge(a_ledger(some(9), some(500)), Limits(ignore=frozenset(Gate)), NOW)
    assert worst(checks) is Verdict.NO_EVIDENCE


def test_a_better_model_differs_so_shift_and_difference_are_gates_only_with_a_limit() -> None:
    quality = Quality(
        mirror=Compared(pairs=1000, differing=900, end=NOW),
        predictions=Score(milli=900, samples=1000, significant=True, end=NOW),
        inputs=Score(milli=900, samples=1000, significant=True, end=NOW),
    )
    for gate in (Gate.MIRROR_DIFFERENCE, Gate.PREDICTION_SHIFT, Gate.DRIFT):
        assert verdict(gate, some(500), quality=quality) is None
    limits = Limits(mirror_difference=0.01, prediction_shift=250, drift=250)
    for gate in (Gate.MIRROR_DIFFERENCE, Gate.PREDICTION_SHIFT, Gate.DRIFT):
        assert verdict(gate, some(500), quality=quality, limits=limits) is Verdict.FAIL
    assert verdict(Gate.DRIFT, some(500), limits=limits) is Verdict.NO_EVIDENCE


def test_a_shadow_without_a_single_pair_passes_nothing() -> None:
    limits = Limits(mirror_difference=0.01)
    shadow = a_ledger(some(5000), some(500), control_share=10_000, candidate_share=1000)
    found = the(Gate.MIRROR_DIFFERENCE, judge(shadow, limits, NOW)).verdict
    assert found is Verdict.NO_EVIDENCE
    step = a_ledger(some(5000), some(500))
    assert the(Gate.MIRROR_DIFFERENCE, judge(step, limits, NOW)).verdict is Verdict.PASS


def test_a_shift_over_its_limit_that_may_be_chance_decides_nothing() -> None:
    quality = Quality(predictions=Score(milli=900, samples=1000, significant=False, end=NOW))
    limits = Limits(prediction_shift=250)
    found = verdict(Gate.PREDICTION_SHIFT, some(500), quality=quality, limits=limits)
    assert found is Verdict.INCONCLUSIVE


def test_what_was_compared_in_the_shadow_stays_on_show_and_needs_no_more_pairs() -> None:
    limits = Limits(mirror_difference=0.01)
    quality = Quality(mirror=Compared(pairs=120, differing=0, end=NOW))
    found = the(
        Gate.MIRROR_DIFFERENCE,
        judge(a_ledger(some(20_000), some(500), quality=quality), limits, NOW, last=True),
    )
    assert (found.verdict, found.value, found.samples) == (Verdict.PASS, 0.0, 120)
    assert found.end == NOW
    shadow = a_ledger(
        some(5000), some(500), control_share=10_000, candidate_share=1000, quality=quality
    )
    found = the(Gate.MIRROR_DIFFERENCE, judge(shadow, limits, NOW, last=True))
    assert found.verdict is Verdict.INCONCLUSIVE, "in a last shadow more pairs may come"


def test_a_comparison_of_minutes_long_ago_passes_nothing_and_still_condemns() -> None:
    limits = Limits(prediction_shift=250)
    old = NOW - dt.timedelta(seconds=301)
    for milli, wanted in ((10, Verdict.STALE), (900, Verdict.FAIL)):
        score = Score(milli=milli, samples=1000, significant=True, end=old)
        quality = Quality(predictions=score)
        found = verdict(Gate.PREDICTION_SHIFT, some(500), quality=quality, limits=limits)
        assert found is wanted


def test_every_check_says_where_it_comes_from_and_on_what_it_rests() -> None:
    for check in judge(a_ledger(some(20_000), some(500)), Limits(latency_p99_ms=50), NOW):
        assert check.source
        assert check.message
        if check.verdict is not None and check.gate not in (Gate.RESTARTS, Gate.OUT_OF_MEMORY):
            assert check.samples == 500
            assert check.end == NOW

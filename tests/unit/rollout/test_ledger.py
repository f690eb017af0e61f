"""The ledger: evidence adds up over steps, operators and edges, and nothing counts twice."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

from fairlead_operator.rollout.ledger import Ledger, from_json, to_json
from fairlead_operator.rollout.quality import Compared, Quality, Score
from fairlead_operator.stats.histogram import Histogram
from fairlead_operator.traffic.counts import Counts, Window
from tests.unit.rollout.rolling import NOW, some

START = Ledger().next(control_share=9500, candidate_share=500)


def at(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


def a_window(begin: float, end: float, mine: Counts, theirs: Counts | None = None) -> Window:
    return Window(begin=at(begin), end=at(end), arms={"s": theirs or some(100), "c": mine})


def read(ledger: Ledger, window: Window, since: float = 0) -> Ledger:
    return ledger.read(window, "s", "c", at(since))


def test_a_window_that_grows_is_replaced_and_never_added() -> None:
    ledger = read(START, a_window(0, 5, some(10)))
    ledger = read(ledger, a_window(0, 10, some(25)))
    ledger = read(ledger, a_window(0, 10, some(25)))
    assert ledger.all.candidate.requests == 25


def test_another_operator_goes_on_where_the_last_one_wrote() -> None:
    ledger = read(START, a_window(0, 10, some(25)))
    ledger = read(ledger, a_window(12, 20, some(5)))
    assert ledger.all.candidate.requests == 30
    assert ledger.step_requests == 30


def test_what_overlaps_with_what_was_counted_is_left_out() -> None:
    ledger = read(START, a_window(0, 10, some(25)))
    assert read(ledger, a_window(8, 20, some(50))) == ledger


def test_an_older_reading_changes_nothing() -> None:
    ledger = read(START, a_window(0, 10, some(25)))
    assert read(ledger, a_window(0, 5, some(10))) == ledger


def test_why_a_window_could_not_be_asked_for_is_told_and_not_stored() -> None:
    told = {"stale_after_s": 90.0, "trouble": "the store is away"}
    windows = {
        "grown": a_window(0, 20, some(30)),
        "as old as it was": a_window(0, 10, some(25)),
        "new": a_window(12, 20, some(5)),
        "empty, by an operator that knows nothing": a_window(0, 0, some(0)),
    }
    ledger = read(START, a_window(0, 10, some(25)))
    for which, window in windows.items():
        found = read(ledger, replace(window, stale_after_s=90.0, trouble="the store is away"))
        assert {name: getattr(found, name) for name in told} == told, which
        assert found.all.candidate.requests >= 25
        assert from_json(to_json(found)).trouble == ""
        assert read(found, a_window(0, 30, some(40))).trouble == ""


def test_a_window_from_before_the_shares_is_left_out() -> None:
    assert read(START, a_window(0, 10, some(25)), since=3) == START


def test_a_new_step_keeps_all_evidence_and_counts_its_own_requests_anew() -> None:
    ledger = read(START, a_window(0, 10, some(25, errors=2)))
    ledger = ledger.next(control_share=5000, candidate_share=5000)
    ledger = read(ledger, a_window(20, 30, some(5)), since=15)
    assert (ledger.step_requests, ledger.all.candidate.requests) == (5, 30)
    assert ledger.all.candidate.errors == 2


def test_client_errors_stay_apart_by_shares_and_equal_shares_add_up() -> None:
    ledger = START
    begin = 0.0
    for share in (500, 2500, 500):
        ledger = ledger.next(control_share=10_000 - share, candidate_share=share)
        counts = Counts(requests=10, client_errors=3)
        ledger = read(ledger, a_window(begin, begin + 5, counts, counts), since=begin)
        begin += 10
    rows = [(e.control_share, e.treatment_share, e.treatment) for e in ledger.events]
    assert sorted(rows) == [(7500, 2500, 3), (9500, 500, 3), (9500, 500, 3)]
    assert len(ledger.next(control_share=1, candidate_share=1).epochs) == 2


def test_copies_count_as_the_candidates_in_the_shadow() -> None:
    pods, copies = Counts(restarts=1), some(30, errors=2)
    window = Window(
        begin=at(0), end=at(5), arms={"s": some(300), "c": pods}, mirrored={"c": copies}
    )
    found = read(START, window).all.candidate
    assert (found.requests, found.errors, found.restarts) == (30, 2, 1)


def test_status_gives_back_the_same_ledger_and_holds_it_in_little_room() -> None:
    edges = tuple(float(n) for n in range(1, 121))
    latency = Histogram(edges, tuple(range(121)))
    ledger = START
    for step in range(20):
        ledger = ledger.next(control_share=9000 - step, candidate_share=1000 + step)
        counts = Counts(requests=10**9, errors=10**8, client_errors=10**7, latency=latency)
        ledger = read(ledger, a_window(step * 10, step * 10 + 5, counts, counts), since=step * 10)
    quality = Quality(
        mirror=Compared(pairs=10**9, differing=10**8, end=at(3)),
        predictions=Score(milli=12, samples=10**9, significant=True, end=at(4)),
        inputs=Score(milli=13, samples=10**9, significant=False, end=at(5)),
    )
    ledger = replace(ledger, quality=quality)
    document = to_json(ledger)
    assert from_json(json.loads(json.dumps(document))) == ledger
    assert len(json.dumps(document)) < 8000
    assert not any(isinstance(value, float) for value in _values(document))


def test_an_operator_that_starts_anew_keeps_the_pairs_that_were_compared_before_it() -> None:
    before = Quality(mirror=Compared(pairs=200, differing=3, end=at(20)))
    assert Quality().after(before) == before
    fewer = Quality(mirror=Compared(pairs=40, differing=0, end=at(40)))
    assert fewer.after(before) == before
    more = Quality(mirror=Compared(pairs=201, differing=3, end=at(60)))
    assert more.after(before) == more
    score = Score(milli=1, samples=1, significant=False, end=at(60))
    assert Quality(inputs=score).after(more) == replace(more, inputs=score)


def _values(node: object) -> list[object]:
    if isinstance(node, dict):
        return [leaf for value in node.values() for leaf in _values(value)]
    if isinstance(node, list):
        return [leaf for value in node for leaf in _values(value)]
    return [node]

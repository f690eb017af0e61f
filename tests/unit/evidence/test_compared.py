"""Answers joined by their request's id: which are pairs, and how they differ."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlead_operator.evidence import compared
from fairlead_operator.evidence.compared import Answer, AnswersError, Comparison, Kept, compare
from fairlead_operator.traffic.counts import Differences
from fairlead_runtime.contract import names
from fairlead_runtime.dataplane.aside import Seen
from fairlead_runtime.dataplane.compared import ComparedAnswers
from fairlead_runtime.protocol.types import InferRequest, InferResponse

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
BEGIN = Comparison(begin=NOW - dt.timedelta(seconds=60))
LABEL = Differences(differing_rows=1, differing_labels=1)
QUARTER = Differences(rows=1, differing_rows=1, largest=0.25)


def labels(*values: object) -> dict[str, dict[str, Any]]:
    """Return an answer of one output of labels."""
    return {"label": {"kind": "i", "data": list(values)}}


def numbers(*values: object) -> dict[str, dict[str, Any]]:
    """Return an answer of one output of numbers."""
    return {"y": {"kind": "f", "data": list(values)}}


def kept(
    pod: str, *ids: str, label: int = 0, age: float = 20, first: int = 0, started: float = 1
) -> Kept:
    """Return a pod's answers, one row each."""
    answers = tuple(
        Answer(seq=first + index, id=each, age_s=age, outputs=labels(label))
        for index, each in enumerate(ids)
    )
    return Kept(pod=pod, started=started, answers=answers)


def after(known: Comparison, control: list[Kept], other: list[Kept]) -> Comparison:
    """Return the comparison after one look."""
    return compared.advance(known, control, other, now=NOW)


@pytest.mark.parametrize(
    ("one", "two", "wanted"),
    [
        (labels(1, 2, 3), labels(1, 5, 3), Differences(rows=3) + LABEL),
        (labels(["a"], ["b"]), labels(["a"], ["c"]), Differences(rows=2) + LABEL),
        (numbers([0.5, 0.5]), numbers([0.5, 0.25]), QUARTER),
        (numbers(1.0, None), numbers(1.0, None), Differences(rows=2)),
        (numbers(2.0), numbers(None), Differences(rows=1, differing_rows=1, largest=math.inf)),
        (numbers(), numbers(), Differences()),
        (numbers(1.0), numbers(1.0, 1.0), Differences(mismatched=1)),
        (numbers([1.0]), numbers([1.0, 1.0]), Differences(mismatched=1)),
        (numbers([1.0]), numbers(1.0), Differences(mismatched=1)),
        (numbers(1.0), labels(1), Differences(mismatched=1)),
        ({}, {}, Differences(mismatched=1)),
        (
            {"m": {"kind": "map", "data": [{"1": 0.5, "2": 0.5}]}},
            {"m": {"kind": "map", "data": [{"1": 0.75, "2": 0.25}]}},
            QUARTER,
        ),
        (
            {**labels(1, 2), **numbers(1.0)},
            {**labels(1, 3), **numbers(1.0)},
            Differences(rows=1) + LABEL,
        ),
        (
            {**labels(1, 2), **numbers(1.0, 4.0)},
            {**labels(1, 2), **numbers(1.0, 2.0)},
            Differences(rows=2, differing_rows=1, largest=2.0),
        ),
    ],
)  # fmt: skip
def test_two_answers_differ_as_wanted(
    one: dict[str, Any], two: dict[str, Any], wanted: Differences
) -> None:
    assert compare(one, two) == wanted + Differences(pairs=1)


@pytest.mark.parametrize(("milli", "differing"), [(0, 2), (9, 2), (11, 1), (31, 0)])
def test_numbers_may_differ_by_the_tolerance_absolute_or_relative(
    milli: int, differing: int
) -> None:
    # One hundredth from 0, and three hundredths of 100.
    found = compare(numbers(0.0, 100.0), numbers(0.01, 103.0), tolerance_milli=milli)
    assert found.differing_rows == differing
    assert found.largest == 3.0


def test_pairs_are_counted_once_however_often_the_pods_are_read() -> None:
    control, other = (
        [kept("a", "r1", "r2"), kept("b", "r3")],
        [kept("c", "r3", "r2", "r1", label=1)],
    )
    known = after(after(BEGIN, control, other), control, other)
    wanted = Differences(pairs=3, rows=3, differing_rows=3, differing_labels=3)
    assert known.found == wanted
    more = [kept("a", "r2", "r4", first=1), kept("b", "r3")]
    known = after(known, more, [kept("c", "r2", "r4", label=0)])
    assert known.found == wanted + Differences(pairs=1, rows=1)


def test_an_answer_without_a_partner_waits_and_is_given_up_in_the_end() -> None:
    young = [kept("a", "r1", "r2", age=1)]
    known = after(BEGIN, young, [kept("c", "r2")])
    assert known.found == Differences()
    # Its partner came late, but it came.
    assert after(known, young, [kept("c", "r2", "r1")]).found.pairs == 2
    old = [kept("a", "r1", "r2", age=11)]
    assert after(known, old, [kept("c", "r2")]).found == Differences(unmatched=1, pairs=1, rows=1)


def test_an_id_that_came_twice_belongs_to_nobody() -> None:
    known = after(BEGIN, [kept("a", "x", "y"), kept("b", "x")], [kept("c", "x", "y", "y")])
    assert known.found == Differences(ambiguous=3)


def test_answers_from_before_the_beginning_are_left_out() -> None:
    known = after(BEGIN, [kept("a", "old", age=61)], [kept("c", "old", "new")])
    assert known.found == Differences()
    both = Kept(
        pod="a",
        started=1,
        answers=(*kept("a", "old", age=65).answers, *kept("a", "new", first=1, age=3).answers),
    )
    assert after(known, [both], [kept("c", "old", "new")]).found.pairs == 1


def test_a_pod_that_restarted_begins_with_number_nought() -> None:
    known = after(BEGIN, [kept("a", "r1", "r2")], [kept("c", "r1", "r2", "r3")])
    known = after(known, [kept("a", "r3", started=99)], [kept("c", "r3")])
    assert known.found.pairs == 3


def test_a_pod_that_could_not_be_read_goes_on_where_it_was() -> None:
    known = after(BEGIN, [kept("a", "r1")], [kept("c", "r1")])
    known = after(known, [], [kept("c", "r1")])
    assert after(known, [kept("a", "r1")], [kept("c", "r1")]).found.pairs == 1


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30).map(
        lambda flags: [(number, *each) for number, each in enumerate(flags)]
    ),
    st.lists(st.integers(0, 30), max_size=4),
)
def test_every_answer_of_the_control_ends_in_one_place(
    requests: list[tuple[int, bool, bool]], looks: list[int]
) -> None:
    """However the looks fall: each request is a pair or unmatched, and counted once."""
    known = BEGIN
    for look in (*sorted(looks), 31):
        there = [each for each in requests if each[0] < look]
        age = 20.0 if look == 31 else 1.0
        control = [
            Kept(
                pod=pod,
                started=1,
                answers=tuple(
                    Answer(seq=seq, id=str(number), age_s=age, outputs=labels(0))
                    for seq, (number, _, _) in enumerate(
                        each for each in requests if each[2] == (pod == "a")
                    )
                    if number < look
                ),
            )
            for pod in ("a", "b")
        ]
        copied = [str(number) for number, copied, _ in there if copied]
        known = after(known, control, [kept("c", *copied, label=1)])
    copied_in_all = sum(1 for _, copied, _ in requests if copied)
    assert known.found.pairs == copied_in_all == known.found.differing_labels
    assert known.found.unmatched == len(requests) - copied_in_all


def test_what_the_runtime_shows_is_what_is_read() -> None:
    answers = ComparedAnswers()
    probabilities = np.array([[0.1, 0.9], [np.nan, 0.5]], np.float32)
    outputs: dict[str, NDArray[Any] | list[Any]] = {
        "label": np.array([1, 0]),
        "p": probabilities,
        "text": np.array(["a", "b"], dtype=object),
        "map": [{1: 0.5}, {2: 0.25}],
        "one": np.array(2.5),
    }
    headers = {
        names.COMPARE_HEADER.encode(): names.COMPARED.encode(),
        names.REQUEST_ID_HEADER.encode(): b"r1",
    }
    request = InferRequest(inputs={})
    answers.take([Seen(request, InferResponse(outputs=outputs), "body-id", 0.1, "v2", headers)])
    [answer] = compared.parse("a", answers.page()[1]).answers
    assert (answer.seq, answer.id) == (0, "r1")
    assert 0 <= answer.age_s < 60
    assert answer.outputs == {
        "label": {"kind": "i", "data": [1, 0]},
        "p": {"kind": "f", "data": [[0.1, 0.9], [None, 0.5]]},
        "text": {"kind": "O", "data": ["a", "b"]},
        "map": {"kind": "map", "data": [{"1": 0.5}, {"2": 0.25}]},
        "one": {"kind": "f", "data": [2.5]},
    }
    assert compare(answer.outputs, answer.outputs) == Differences(pairs=1, rows=1)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"now":1,"started":1,"answers":[{}]}', b"\xff"]
)
def test_a_page_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(AnswersError, match="answers of a"):
        compared.parse("a", body)


def test_a_page_of_a_pod_that_kept_nothing_is_read() -> None:
    assert compared.parse("a", ComparedAnswers().page()[1]).answers == ()
    assert json.loads(ComparedAnswers().page()[1])["dropped"] == 0

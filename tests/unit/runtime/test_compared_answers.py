"""Answers that are kept to be compared: which ones, and how many at most."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from fairlead_runtime.contract import names
from fairlead_runtime.dataplane.aside import Aside, Headers, Seen
from fairlead_runtime.dataplane.compared import ComparedAnswers
from fairlead_runtime.protocol.types import InferRequest, InferResponse

MARK, YES, NO = names.COMPARE_HEADER, names.COMPARED, names.NOT_COMPARED


def a_seen(number: int, *, mark: str | None = YES, rows: int = 1, text: str = "") -> Seen:
    """Return an answer as the HTTP edge shows it."""
    headers = {names.REQUEST_ID_HEADER.encode(): f"r{number}".encode()}
    if mark is not None:
        headers[MARK.encode()] = mark.encode()
    value = np.full(rows, number, np.float32)
    outputs = {"y": np.array([text], dtype=object) if text else value}
    return Seen(InferRequest(inputs={}), InferResponse(outputs=outputs), "", 0.1, "v2", headers)


def page(answers: ComparedAnswers) -> Any:
    """Return the page."""
    content_type, body = answers.page()
    assert content_type == "application/json"
    return json.loads(body)


def test_only_answers_with_the_mark_are_kept() -> None:
    answers = ComparedAnswers()
    answers.take([a_seen(1), a_seen(2, mark=NO), a_seen(3, mark=None), a_seen(4)])
    shown = page(answers)
    assert [(each["seq"], each["id"]) for each in shown["answers"]] == [(0, "r1"), (1, "r4")]
    assert shown["dropped"] == 0


def test_older_answers_make_room_by_number_and_by_size() -> None:
    answers = ComparedAnswers(capacity=3)
    answers.take([a_seen(number) for number in range(5)])
    assert [each["seq"] for each in page(answers)["answers"]] == [2, 3, 4]
    small = ComparedAnswers(capacity_bytes=5_000)
    small.take([a_seen(number, rows=100) for number in range(50)])
    shown = page(small)["answers"]
    assert shown[-1]["seq"] == 49
    assert 0 < len(json.dumps(shown)) < 10_000
    assert len(shown) < 50


@pytest.mark.parametrize("number", [a_seen(1, rows=1_000), a_seen(1, text="\ud800"), "no id"])
def test_what_cannot_be_kept_is_dropped_and_counted(number: Seen | str) -> None:
    if isinstance(number, str):
        response = InferResponse(outputs={"y": np.ones(1)})
        headers = {MARK.encode(): YES.encode()}
        number = Seen(InferRequest(inputs={}), response, "", 0.1, "v2", headers)
    answers = ComparedAnswers(largest_bytes=2_000)
    answers.take([number, a_seen(7)])
    shown = page(answers)
    assert shown["dropped"] == 1
    assert [(each["seq"], each["id"]) for each in shown["answers"]] == [(0, "r7")]


def test_the_page_may_be_asked_for_while_answers_come() -> None:
    answers = ComparedAnswers(capacity=50)
    stop = threading.Event()

    def fill() -> None:
        number = 0
        while not stop.is_set():
            answers.take([a_seen(number)])
            number += 1

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        for _ in range(200):
            numbers = [each["seq"] for each in page(answers)["answers"]]
            assert (
                numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
            )
    finally:
        stop.set()
        thread.join()


class Keeping:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.taken: list[Seen] = []

    def take(self, batch: Sequence[Seen]) -> None:
        self.taken += batch


class Nobody:
    """Counts nothing."""

    def unseen(self, reason: str, count: int) -> None:
        raise AssertionError(reason, count)


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ({MARK.encode(): YES.encode()}, True),
        ({MARK.encode(): NO.encode()}, False),
        ({}, False),
        (((MARK, YES),), True),
        (((MARK, NO), ("other", b"1")), False),
        ((), False),
    ],
)
def test_a_marked_request_is_known_over_http_and_grpc(headers: Headers, shown: bool) -> None:  # noqa: FBT001
    aside = Aside(Nobody())
    assert not aside.marked(headers)
    aside.add(Keeping(), marked=True)
    assert aside.marked(headers) is shown
    aside.close(5)


def test_a_sink_for_marked_answers_does_not_make_others_be_gathered() -> None:
    aside = Aside(Nobody())
    aside.add(Keeping(), marked=True)
    deadline = time.monotonic() + 10
    number = 0
    while aside.wants:
        assert time.monotonic() < deadline
        aside.see(a_seen(number), 1)
        number += 1
    aside.close(5)

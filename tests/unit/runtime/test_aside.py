"""Answers that are looked at aside: what is seen, what is dropped, and that nobody waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from fairlead_runtime.batching.run import Ran
from fairlead_runtime.contract import names
from fairlead_runtime.dataplane.aside import FEW, FEW_BYTES, Aside, Seen
from fairlead_runtime.dataplane.finite import RESERVE_S, SHARE, FiniteCheck, is_finite
from fairlead_runtime.protocol.errors import InferenceError
from fairlead_runtime.protocol.types import InferRequest, InferResponse

ROW = np.ones((1, 2), np.float32)


class Counts:
    """Keeps what is counted."""

    def __init__(self) -> None:
        self.dropped: dict[str, int] = {}
        self.answers = self.bad = 0

    def unseen(self, reason: str, count: int) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def checked(self, *, answers: int, non_finite: int) -> None:
        self.answers += answers
        self.bad += non_finite


class Keeping:
    """A sink that keeps what it gets, once it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.may.set()
        self.taken: list[Seen] = []
        self.threads: set[int] = set()

    def take(self, batch: Sequence[Seen]) -> None:
        assert self.may.wait(10)
        self.taken += batch
        self.threads.add(threading.get_ident())


class Broken:
    """A sink that fails."""

    def take(self, batch: Sequence[Seen]) -> None:
        raise OSError("the disk is full")


def seen(number: int = 0, output: float = 1.0, **headers: str) -> Seen:
    request = InferRequest(inputs={"x": ROW}, id=str(number))
    response = InferResponse(outputs={"y": ROW * np.float32(output)})
    coded = {name.replace("_", "-").encode(): text.encode() for name, text in headers.items()}
    return Seen(request, response, str(number), 0.001, "v2", coded)


def test_every_sink_sees_every_answer_in_order_and_in_one_other_thread() -> None:
    sinks = [Keeping(), Keeping()]
    aside = Aside(Counts(), pause_s=0.001)
    for sink in sinks:
        aside.add(sink)
    for number in range(1000):
        aside.see(seen(number), 10)
    aside.close(10)
    for sink in sinks:
        assert [each.request_id for each in sink.taken] == [str(n) for n in range(1000)]
        assert len(sink.threads) == 1
        assert threading.get_ident() not in sink.threads


def test_a_sink_that_hangs_holds_up_nobody_and_what_it_misses_is_counted() -> None:
    counts, sink = Counts(), Keeping()
    sink.may.clear()
    aside = Aside(counts, capacity=10, pause_s=0)
    aside.add(sink)
    aside.see(seen(), 10)
    wait_until_taken(aside)
    for number in range(25):
        aside.see(seen(number), 10)
    assert counts.dropped == {"queue_full": 15}
    sink.may.set()
    aside.close(10)
    assert len(sink.taken) == 11


def test_large_answers_are_dropped_long_before_the_queue_is_full() -> None:
    counts, sink = Counts(), Keeping()
    sink.may.clear()
    aside = Aside(counts, capacity=10, capacity_bytes=1000, pause_s=0)
    aside.add(sink)
    aside.see(seen(), 600)
    wait_until_taken(aside)  # but not given back: the sink still holds it
    aside.see(seen(), 600)
    assert counts.dropped == {"queue_full": 1}
    sink.may.set()
    aside.close(10)
    assert len(sink.taken) == 1


def wait_until_taken(aside: Aside) -> None:
    deadline = time.monotonic() + 10
    while aside._queue:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_answers_are_gathered_while_the_thread_has_others() -> None:
    """Whoever woke for each answer would take turns with the event loop at each."""
    batches: list[int] = []

    class Noting:
        def take(self, batch: Sequence[Seen]) -> None:
            batches.append(len(batch))

    aside = Aside(Counts(), pause_s=0.05)
    aside.add(Noting())
    began = time.monotonic()
    for number in range(400):
        aside.see(seen(number), 10)
        time.sleep(0.0005)
    lasted = time.monotonic() - began
    aside.close(10)
    assert sum(batches) == 400
    assert len(batches) <= lasted / 0.05 + 2


def test_a_sink_that_fails_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    counts, sink = Counts(), Keeping()
    aside = Aside(counts, pause_s=0)
    aside.add(Broken())
    aside.add(sink)
    for number in range(3):
        aside.see(seen(number), 10)
        wait_until_taken(aside)
    aside.close(10)
    assert len(sink.taken) == 3
    assert counts.dropped == {"sink_failed": 3}
    assert caplog.text.count("Broken failed") == 1  # not once for each answer


def test_headers_are_found_in_http_and_in_grpc() -> None:
    over_http = seen(x_fairlead_unit="salt:ann", x_fairlead_compare="k1", traceparent="00-a-b-01")
    assert (over_http.unit, over_http.compare) == ("salt:ann", "k1")
    assert over_http.traceparent == "00-a-b-01"
    assert (over_http.variant, over_http.experiment) == ("", "")
    metadata = (("x-fairlead-variant", "candidate"), ("x-fairlead-experiment", b"prices"))
    request, response = InferRequest(inputs={}), InferResponse(outputs={})
    over_grpc = Seen(request, response, "", 0.0, "grpc", metadata)
    assert (over_grpc.variant, over_grpc.experiment) == ("candidate", "prices")
    assert over_grpc.unit == ""


@pytest.mark.parametrize(
    ("value", "finite"),
    [
        (np.array([1.0, 2.0]), True),
        (np.array([1.0, np.nan]), False),
        (np.array([-np.inf], np.float16), False),
        (np.array(["nan", "x"], object), True),
        (np.array([1, 2]), True),
        (np.zeros((0, 2)), True),
        ([{0: 0.5, 1: 0.5}], True),
        ([{0: 0.5}, {0: float("nan")}], False),
        ([{"a": "b"}], True),
        (["a"], True),
    ],
    ids=["floats", "nan", "inf", "text", "integers", "empty", "maps", "nan-map", "words", "list"],
)
def test_answers_with_nan_or_infinities_are_told_from_others(value: object, finite: bool) -> None:
    assert is_finite(InferResponse(outputs={"y": value})) is finite  # type: ignore[dict-item]


def test_a_batch_is_looked_at_as_a_whole_and_part_by_part_only_where_something_is_wrong() -> None:
    counts = Counts()
    check = FiniteCheck(counts, clock=lambda: 0.0)  # on which nothing takes any time
    whole = np.array([[1.0], [np.nan], [np.inf], [2.0]])
    parts = [InferResponse(outputs={"y": whole[row : row + 1]}) for row in range(4)]
    check.look(Ran([*parts], 0.0, whole={"y": whole}))
    assert (counts.answers, counts.bad) == (4, 2)
    check.look(Ran([parts[0], InferenceError("no answer"), parts[1]], 0.0))
    assert (counts.answers, counts.bad) == (6, 3)


def test_looking_takes_a_hundredth_of_the_time_at_most_and_a_reserve() -> None:
    counts, now = Counts(), 0.0

    def clock() -> float:
        nonlocal now
        now += 0.001  # each look at the clock: a look at a batch takes 1 ms
        return now

    check = FiniteCheck(counts, clock)
    ran = Ran([InferResponse(outputs={"y": np.ones(1)})], 0.0)
    at_once = round(RESERVE_S / 0.001)
    for _ in range(at_once):
        check.look(ran)
    assert counts.answers == at_once, "what comes now and then is all looked at"
    for _ in range(2_000):
        check.look(ran)
    assert counts.answers == pytest.approx((RESERVE_S + now * SHARE) / 0.001, abs=1)


def test_where_a_sample_will_do_the_rest_is_not_even_gathered() -> None:
    counts, sink = Counts(), Keeping()
    aside = Aside(counts, pause_s=60)
    aside.add(sink, sample=True)
    wanted: list[bool] = []
    for _ in range(Aside.SAMPLE):
        wanted.append(aside.wants)
        aside.see(seen(), 10)
    wanted.append(aside.wants)
    aside.work([])  # as the thread does after each pause
    wanted.append(aside.wants)
    assert wanted == [True] * Aside.SAMPLE + [False, True]
    assert counts.dropped == {}


def test_one_sink_that_wants_all_makes_all_be_gathered() -> None:
    aside = Aside(Counts(), pause_s=60)
    aside.add(Keeping(), sample=True)
    aside.add(Keeping())
    for _ in range(10 * Aside.SAMPLE):
        assert aside.wants
        aside.see(seen(), 10)


def test_answers_too_large_to_wait_do_not_end_the_sample() -> None:
    counts = Counts()
    aside = Aside(counts, capacity_bytes=1000, pause_s=60)
    aside.add(Keeping(), sample=True)
    for _ in range(2 * Aside.SAMPLE):
        aside.see(seen(), 2000)
    assert counts.dropped == {"queue_full": 2 * Aside.SAMPLE}
    assert aside.wants


class Noting:
    """A sink that notes who was in each batch."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.shown = asyncio.Event()

    def take(self, batch: Sequence[Seen]) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.batches.append([each.request_id for each in batch])
        self.shown.set()


async def test_some_answers_are_shown_together_on_the_event_loop_once_they_are_on_their_way() -> (
    None
):
    sink, aside = Noting(), Aside(Counts(), pause_s=60)
    aside.add_prompt(sink)
    for few in range(3):
        for number in range(FEW):
            assert aside.wants
            aside.see(seen(few * FEW + number), 10)
        assert len(sink.batches) == few
        await asyncio.sleep(0)
    assert sink.batches == [[str(few * FEW + n) for n in range(FEW)] for few in range(3)]
    aside.see(seen(99), 10)
    await asyncio.sleep(0)
    assert len(sink.batches) == 3
    aside.close(10)
    assert sink.batches[3] == ["99"]


async def test_the_last_answers_are_shown_after_a_pause() -> None:
    sink, aside = Noting(), Aside(Counts(), pause_s=0.01)
    aside.add_prompt(sink)
    for number in range(2):
        aside.see(seen(number), 10)
        async with asyncio.timeout(10):
            await sink.shown.wait()
        sink.shown.clear()
    assert sink.batches == [["0"], ["1"]]


async def test_large_answers_do_not_wait_for_many_others() -> None:
    sink, aside = Noting(), Aside(Counts(), pause_s=60)
    aside.add_prompt(sink)
    for number in range(3):
        aside.see(seen(number), FEW_BYTES // 2)
    await asyncio.sleep(0)
    assert sink.batches == [["0", "1", "2"]]


async def test_answers_shown_at_once_are_gathered_only_where_the_thread_wants_them() -> None:
    counts, prompt = Counts(), Keeping()
    aside = Aside(counts, pause_s=60)
    aside.add_prompt(prompt)
    aside.add(Keeping(), sample=True, marked=True)
    for number in range(FEW - 1):
        assert aside.wants
        aside.see(seen(number), 10)
    aside.see(seen(99, x_fairlead_compare=names.COMPARED), 10)
    await asyncio.sleep(0)
    assert len(prompt.taken) == FEW
    gathered = [item.request_id for item, *_ in aside._queue]
    assert gathered == [*map(str, range(Aside.SAMPLE)), "99"]


async def test_one_that_fails_at_once_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    counts, sink = Counts(), Keeping()
    aside = Aside(counts)
    aside.add_prompt(Broken())
    aside.add_prompt(sink)
    for _ in range(2):
        for _ in range(FEW):
            aside.see(seen(), 10)
        await asyncio.sleep(0)
    assert len(sink.taken) == 2 * FEW
    assert counts.dropped == {"event_failed": 2 * FEW}
    assert caplog.text.count("Broken failed") == 1


class Swift(Aside):
    """Its thread is always there at once, whatever the event loop is about to do next."""

    def put(self, item: Seen, size: int, count: int = 1) -> bool:
        taken = super().put(item, size, count)
        if taken:
            self._queue.clear()
            self.work([item])
        return taken


async def test_a_thread_that_is_quicker_than_the_event_loop_does_not_end_the_sample() -> None:
    aside = Swift(Counts(), pause_s=60)
    sated = False
    aside.add(Keeping(), sample=lambda: sated)
    aside.see(seen(), 10)
    sated = True
    for _ in range(5):
        assert aside.wants, "nobody would wake the thread any more"
        aside.see(seen(), 10)

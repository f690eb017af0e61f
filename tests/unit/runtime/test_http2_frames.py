"""Frames are cut where they end, however their bytes come, and what asks for nothing is bounded."""

from __future__ import annotations

import pytest
from hyperframe import frame as frames
from hypothesis import given
from hypothesis import strategies as st

from fairlead_runtime.http.http2_frames import FRAME_BYTES, Allowance, Frames, TooLongError
from fairlead_runtime.http.http2_messages import head, request
from fairlead_runtime.http.limits import Limits
from fairlead_runtime.http.messages import Response
from fairlead_runtime.http.wire import RefusedError

LIMITS = Limits(max_body_bytes=100)
BYTES = st.lists(
    st.builds(
        lambda kind, flags, stream, body: (
            len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body
        ),
        st.integers(0, 255),
        st.integers(0, 255),
        st.integers(0, 2**31 - 1),
        st.binary(max_size=40),
    ),
    max_size=8,
)


@given(BYTES, st.data())
def test_frames_are_the_same_however_their_bytes_come(
    made: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(made)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    cutter, found = Frames(), []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        found += [frame.data for frame in cutter.feed(whole[start:end])]
    assert found == made


def test_a_frame_that_is_too_long_is_known_by_its_length_alone() -> None:
    Frames().feed(frames.DataFrame(1, b"x" * FRAME_BYTES).serialize())
    with pytest.raises(TooLongError):
        Frames().feed(frames.DataFrame(1, b"x" * (FRAME_BYTES + 1)).serialize()[:9])


def test_a_head_is_unfinished_until_its_last_frame_and_a_body_is_nobodys_hurry() -> None:
    cutter, told = Frames(), []
    for data in (
        b"",
        frames.HeadersFrame(1, b"abc", flags=[]).serialize(),
        frames.ContinuationFrame(1, b"", flags=["END_HEADERS"]).serialize(),
        frames.DataFrame(1, b"abc").serialize()[:-1],
        b"c" + frames.PingFrame(0).serialize()[:2],
    ):
        cutter.feed(data)
        told.append((cutter.unfinished, cutter.finished))
    assert told == [(False, 0), (True, 0), (False, 1), (False, 1), (True, 2)]


def test_only_frames_that_ask_for_nothing_cost() -> None:
    made: list[frames.Frame] = [
        frames.HeadersFrame(1, b"", flags=["END_HEADERS"]),
        frames.DataFrame(1, b"x"),
        frames.DataFrame(1, b"", flags=["END_STREAM"]),
        frames.DataFrame(1, b""),
        frames.PingFrame(0),
        frames.RstStreamFrame(1),
        frames.SettingsFrame(0),
        frames.SettingsFrame(0, flags=["ACK"]),
    ]
    found = Frames().feed(b"".join(each.serialize() for each in made))
    assert [frame.cost for frame in found] == [0, 0, 0, 1, 1, Allowance.RESET, 5, 1]


def test_an_allowance_is_used_up_and_comes_back_up_to_its_most() -> None:
    allowance = Allowance()
    assert all(allowance.take(1) for _ in range(Allowance.MOST - 1))
    assert not allowance.take(1)
    allowance.give(10 * Allowance.MOST)
    assert allowance.take(Allowance.MOST - 1)
    assert not allowance.take(1)


def test_a_head_becomes_a_request() -> None:
    made = request(
        [
            (b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"),
            (b":path", b"/v2%2Fx?q=1"), (b"x-a", b" b "), (b"x-a", b"c"),
        ],
        LIMITS,
    )  # fmt: skip
    assert (made.method, made.path, made.query) == ("POST", "/v2/x", b"q=1")
    assert made.headers == {b"host": b"a", b"x-a": b"c"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b":path", b"/" * 9_000)], 414),
        ([(b"x-%d" % number, b"") for number in range(129)], 431),
        ([(b"x", b"y" * 70_000)], 431),
        ([(b"expect", b"more")], 417),
    ],
)
def test_a_head_beyond_a_limit_is_refused(headers: list[tuple[bytes, bytes]], status: int) -> None:
    with pytest.raises(RefusedError) as refused:
        request(headers, LIMITS)
    assert refused.value.status == status


def test_no_header_of_an_answer_has_a_line_end() -> None:
    response = Response(200, [(b"x-a", b"1"), (b"x-b", b"1\r\nx-c: 2")], b"body")
    assert head(response, b"date: now\r\n") == [
        (b":status", b"200"),
        (b"date", b"now"),
        (b"x-a", b"1"),
        (b"content-length", b"4"),
    ]

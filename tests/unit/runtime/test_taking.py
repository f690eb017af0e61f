"""How long a client is waited for that takes nothing of its answers, a little, or enough."""

from __future__ import annotations

import pytest

from fairlead_runtime.http.limits import Limits
from fairlead_runtime.http.taking import Taking

LIMITS = Limits(max_body_bytes=100, write_s=30, write_rate=1000)
LARGE = 50_000_000


def lasts(bytes_a_look: int, *, look_s: float = 1.0, among: int = 1, most_s: int = 5000) -> float:
    """Return after how many seconds such a client is cut off, or `most_s`."""
    taking, left, now = Taking(LIMITS), LARGE, 100.0
    while now < 100 + most_s and not taking.too_slow(left, now, among=among):
        left -= bytes_a_look
        now += look_s
    return now - 100


def test_who_takes_nothing_is_cut_off_after_the_time() -> None:
    assert lasts(0) == 31  # the first look behind it


@pytest.mark.parametrize(("bytes_a_look", "look_s"), [(1000, 1.0), (8000, 1.0), (29_000, 29.0)])
def test_who_takes_the_rate_never_is(bytes_a_look: int, look_s: float) -> None:
    assert lasts(bytes_a_look, look_s=look_s) >= 5000


@pytest.mark.parametrize(("bytes_a_look", "seconds"), [(500, 61), (900, 301)])
def test_who_takes_less_is_cut_off_the_later_the_nearer_it_is(
    bytes_a_look: int, seconds: int
) -> None:
    assert lasts(bytes_a_look) == pytest.approx(seconds, abs=1)


def test_a_good_beginning_buys_no_time() -> None:
    taking = Taking(LIMITS)
    assert not taking.too_slow(LARGE, 0)
    assert not taking.too_slow(1000, 1)
    assert not taking.too_slow(1000, 31)
    assert taking.too_slow(1000, 32)


def test_who_has_taken_all_has_all_patience_again() -> None:
    taking = Taking(LIMITS)
    for now in (0, 40, 80):
        assert not taking.too_slow(1000, now)
        assert not taking.too_slow(1000, now + 29)
        assert not taking.too_slow(0, now + 39)


def test_what_is_written_meanwhile_is_counted() -> None:
    taking = Taking(LIMITS)
    for now in range(0, 300, 29):
        assert not taking.too_slow(1000, now)
        taking.written += 29_000


def test_those_who_share_need_only_their_part() -> None:
    assert lasts(100, among=10) >= 5000
    assert lasts(90, among=10) < 400


def test_time_that_is_not_the_clients_does_not_count() -> None:
    taking = Taking(LIMITS)
    assert not taking.too_slow(1000, 0)
    taking.hold(100)
    assert not taking.too_slow(1000, 130)
    assert taking.too_slow(1000, 131)

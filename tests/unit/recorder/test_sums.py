"""Sums of a unit as bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead_recorder.store import sums

_value = st.integers(-(2**120), 2**120)


@given(st.lists(_value, max_size=16))
def test_sums_come_back_as_they_were(values: list[int]) -> None:
    assert sums.unpack(sums.pack(values)) == values


def test_metrics_that_come_later_begin_with_zero() -> None:
    known: list[int] = []
    sums.added(known, 2, 5, binary=False)
    sums.added(known, 0, 1_000_000, binary=True)
    sums.added(known, 0, 1_000_000, binary=True)
    sums.added(known, 1, 0, binary=True)
    assert known == [1, 0, 5]

"""Joining and parting requests: nothing lost, nothing mixed up."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_runtime.batching.plan import Lanes, SplitError, merge, shape_key, split
from fairlead_runtime.protocol.types import Array, InferRequest

TAILS = st.sampled_from([(), (3,), (2, 4), (0,)])
DTYPES = st.sampled_from([np.float32, np.int64, np.bool_, np.float16, np.str_])


@st.composite
def inputs_of_one_shape(draw: st.DrawFn) -> list[dict[str, Array]]:
    names = draw(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True))
    kinds = {name: (draw(TAILS), draw(DTYPES)) for name in names}
    counts = draw(st.lists(st.integers(0, 4), min_size=1, max_size=6))

    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))

    def array(count: int, tail: tuple[int, ...], dtype: Any) -> Array:
        return random.integers(-99, 99, (count, *tail)).astype(dtype)

    return [{name: array(count, *kinds[name]) for name in names} for count in counts]


@given(inputs_of_one_shape())
def test_splitting_what_was_merged_gives_it_back(inputs: list[dict[str, Array]]) -> None:
    counts = [len(next(iter(each.values()))) for each in inputs]
    parts = split(merge(inputs), counts)
    for part, original in zip(parts, inputs, strict=True):
        assert part.keys() == original.keys()
        for name, array in original.items():
            np.testing.assert_array_equal(np.asarray(part[name]), array)
            assert np.asarray(part[name]).dtype.kind == array.dtype.kind


def test_a_list_output_is_split_like_an_array() -> None:
    maps = [{"a": 0.1}, {"a": 0.2}, {"a": 0.3}]
    assert split({"y": maps}, [1, 2]) == [{"y": maps[:1]}, {"y": maps[1:]}]


@pytest.mark.parametrize(
    "value", [np.zeros(2), np.zeros((4, 3)), np.float32(1).reshape(()), [1]], ids=repr
)
def test_an_output_without_an_entry_for_each_row_is_not_split(value: Any) -> None:
    with pytest.raises(SplitError, match="output y has"):
        split({"y": value}, [1, 2])


def test_requests_run_together_where_shape_and_outputs_agree() -> None:
    def key(shape: tuple[int, ...], outputs: tuple[str, ...] | None = None) -> Hashable:
        request = InferRequest(inputs={"x": np.zeros(shape)}, outputs=outputs)
        found = shape_key(request, ["x"])
        assert found is not None
        assert found[1] == shape[0]
        return found[0]

    assert key((1, 3)) == key((5, 3))
    assert key((1, 3)) != key((1, 4))
    assert key((1, 3)) != key((1, 3), ("y",))


def test_order_of_inputs_does_not_matter_but_rows_must_agree() -> None:
    a, b = np.zeros((2, 3)), np.zeros((2, 4))
    left = shape_key(InferRequest(inputs={"a": a, "b": b}), ["a", "b"])
    right = shape_key(InferRequest(inputs={"b": b, "a": a}), ["a", "b"])
    assert left == right
    assert left is not None
    assert shape_key(InferRequest(inputs={"a": a, "b": b[:1]}), ["a", "b"]) is None
    assert shape_key(InferRequest(inputs={"a": np.zeros(())}), ["a"]) is None


@given(
    st.lists(st.tuples(st.sampled_from(["x", "y", None]), st.integers(0, 5)), max_size=40),
    st.integers(1, 8),
)
def test_lanes_lose_nothing_mix_nothing_and_serve_the_oldest_first(
    pushed: list[tuple[str | None, int]], limit: int
) -> None:
    lanes: Lanes[int] = Lanes()
    for number, (key, rows) in enumerate(pushed):
        lanes.push(key, rows, number)
    left = set(range(len(pushed)))
    while lanes:
        oldest = lanes.oldest()
        assert oldest == min(left)
        batch = lanes.pop(limit)
        assert batch[0] == oldest
        assert batch == sorted(batch)
        keys = {pushed[number][0] for number in batch}
        assert len(keys) == 1
        assert len(batch) == 1 or None not in keys
        assert len(batch) == 1 or sum(pushed[number][1] for number in batch) <= limit
        left -= set(batch)
    assert not left
    assert lanes.pop(limit) == []


def test_a_lane_is_full_at_the_limit_and_no_longer_once_taken() -> None:
    lanes: Lanes[int] = Lanes()
    for number in range(5):
        lanes.push("x", 1, number)
    assert lanes.full(5)
    assert not lanes.full(6)
    assert lanes.pop(3) == [0, 1, 2]
    assert not lanes.full(3)
    assert lanes.full(2)

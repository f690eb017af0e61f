"""When a live object already says what we want."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_operator.planning import quantity
from fairlead_operator.planning.diff import differences

json_values = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(json_values)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert differences(value, value) == []


@given(
    st.dictionaries(st.text(min_size=1, max_size=5), json_values, max_size=4),
    st.dictionaries(st.text(min_size=6, max_size=8), json_values, max_size=3),
)
def test_fields_that_only_the_live_object_has_are_no_difference(ours: Any, theirs: Any) -> None:
    assert differences(ours, {**theirs, **ours}) == []


@pytest.mark.parametrize(
    ("desired", "live", "path"),
    [
        pytest.param({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b", id="value"),
        pytest.param({"a": {"b": 1}}, {"a": {}}, "a.b", id="missing field"),
        pytest.param({"a": {"b": 1}}, {}, "a", id="missing object"),
        pytest.param({"args": ["x", "y"]}, {"args": ["x"]}, "args", id="shorter list"),
        pytest.param({"args": ["x"]}, {"args": ["y"]}, "args[0]", id="item"),
        pytest.param(
            {"containers": [{"name": "a", "image": "1"}]},
            {"containers": [{"name": "side"}, {"name": "a", "image": "2"}]},
            "containers[a].image",
            id="keyed item",
        ),
    ],
)
def test_the_path_of_a_difference_is_named(desired: Any, live: Any, path: str) -> None:
    assert differences(desired, live) == [path]


def test_a_container_that_somebody_else_added_is_no_difference() -> None:
    desired = {"containers": [{"name": "a"}]}
    assert differences(desired, {"containers": [{"name": "a"}, {"name": "sidecar"}]}) == []


@pytest.mark.parametrize(
    ("ours", "theirs"), [("1000m", "1"), ("1Gi", "1024Mi"), ("0.5", "500m"), (1, "1")]
)
def test_quantities_are_compared_by_value(ours: object, theirs: object) -> None:
    desired = {"resources": {"limits": {"cpu": ours}}}
    assert differences(desired, {"resources": {"limits": {"cpu": theirs}}}) == []


def test_texts_that_look_like_quantities_are_compared_as_texts() -> None:
    assert differences({"value": "1.0"}, {"value": "1"}) == ["value"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("100m", "0.1"), ("1Ki", 1024), ("1e3", 1000), ("2E", 2 * 10**18), ("-1", -1)],
)
def test_quantities_are_exact(text: str, value: object) -> None:
    parsed = quantity.parse(text)
    assert parsed is not None
    assert parsed == Decimal(str(value))


@pytest.mark.parametrize("text", ["", "m", "1x", "1 Gi", "..", "1.2.3"])
def test_what_is_no_quantity_has_no_value(text: str) -> None:
    assert quantity.parse(text) is None

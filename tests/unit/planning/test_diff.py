"""When a live object already says what we want."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
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


@settings(deadline=None)
@given(json_values)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert differences(value, value) == []


@settings(deadline=None)
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
            {"spec": {"selector": {"a": "b"}}},
            {"spec": {"selector": {"a": "b", "c": "d"}}},
            "spec.selector",
            id="a selector that selects less",
        ),
        pytest.param({"args": ["x"]}, {"args": "x"}, "args", id="no list"),
        pytest.param({"args": ["x"]}, {}, "args", id="missing list"),
        pytest.param(
            {"env": [{"name": "A"}]}, {"env": [{"name": "B"}]}, "env[A]", id="missing keyed item"
        ),
        pytest.param(
            {"limits": {"cpu": "1"}}, {"limits": {"cpu": "2"}}, "limits.cpu", id="quantity"
        ),
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
    gpu = {"limits": {"nvidia.com/gpu": ours}}
    assert differences(gpu, {"limits": {"nvidia.com/gpu": theirs}}) == []


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


def test_a_port_that_somebody_else_added_is_no_difference() -> None:
    ours = {"name": "http", "port": 80, "protocol": "TCP"}
    theirs = {"name": "admin", "port": 99, "protocol": "TCP"}
    assert differences({"ports": [ours]}, {"ports": [theirs, ours]}) == []


@pytest.mark.parametrize("empty", [{}, [], None])
def test_nothing_wanted_is_nothing_missing(empty: Any) -> None:
    assert differences({"a": empty}, {}) == []


def test_the_value_of_a_metrics_target_is_a_quantity_and_that_of_a_variable_is_not() -> None:
    assert differences({"target": {"value": "1000m"}}, {"target": {"value": "1"}}) == []
    assert differences(
        {"env": [{"name": "A", "value": "1k"}]}, {"env": [{"name": "A", "value": "1000"}]}
    )


def test_an_empty_text_is_as_good_as_none() -> None:
    assert differences({"value": ""}, {}) == []
    assert differences({"value": ""}, {"value": "x"}) == ["value"]


def test_a_list_of_texts_under_a_keyed_name_is_compared_item_by_item() -> None:
    assert differences({"ports": ["a"]}, {"ports": ["a"]}) == []
    assert differences({"ports": ["a"]}, {"ports": ["b"]}) == ["ports[0]"]


def test_of_two_items_with_the_same_key_each_finds_itself() -> None:
    twice = {"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]}
    assert differences(twice, twice) == []

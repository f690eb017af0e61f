"""Parts of an Experiment's facts that need no cluster."""

from __future__ import annotations

import json

import pytest

from fairlead_operator.experiment.facts import Input
from fairlead_operator.reconcile.experimentfacts import _Blocks, _moving, inputs
from fairlead_operator.traffic.counts import Counts, Window
from tests.unit.experiment.world import later


def test_the_metadata_of_a_model_tells_its_inputs() -> None:
    page = {
        "name": "ranker",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
    }
    assert inputs(json.dumps(page).encode()) == (Input(name="x", datatype="FP32", shape=(-1, 4)),)


@pytest.mark.parametrize("page", [b"", b"[]", b"{}", b'{"inputs": [{"name": "x"}]}', b"<html>"])
def test_what_is_no_metadata_tells_nothing(page: bytes) -> None:
    assert inputs(page) is None


def test_an_hour_that_is_over_is_kept_and_the_present_one_stands_alone() -> None:
    def window(begin: float, end: float, n: int) -> Window:
        return Window(
            begin=later(hours=begin), end=later(hours=end), arms={"a": Counts(requests=n)}
        )

    blocks = _Blocks()
    assert [w.arms["a"].requests for w in blocks.grown(window(0, 0.5, 10))] == [10]
    assert [w.arms["a"].requests for w in blocks.grown(window(0, 0.9, 20))] == [20]
    assert [w.arms["a"].requests for w in blocks.grown(window(1, 1.1, 1))] == [20, 1]
    assert [w.arms["a"].requests for w in blocks.grown(window(1, 1.9, 7))] == [20, 7]
    last = blocks.grown(window(2, 2.1, 2))
    assert [w.arms["a"].requests for w in last] == [27, 2]
    assert (last[0].begin, last[0].end) == (later(), later(hours=1.9))


@pytest.mark.parametrize(
    ("status", "moving"),
    [
        ({}, False),
        ({"candidateRevision": "abc"}, True),
        ({"candidateRevision": "abc", "rollout": {"phase": "Canary"}}, True),
        ({"candidateRevision": "abc", "rollout": {"phase": "RolledBack"}}, False),
    ],
)
def test_a_rollout_under_way_is_waited_for_and_one_that_was_rolled_back_is_not(
    status: dict[str, object], *, moving: bool
) -> None:
    assert _moving(status) is moving

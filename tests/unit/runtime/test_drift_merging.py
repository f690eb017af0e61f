"""However a stream is dealt out to replicas, their counts add up to those of a single one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fairlead_runtime.contract.drift_counts import (
    MOMENT_LIMIT,
    MergeError,
    Window,
    coarse_counts,
    difference,
    empty,
    merge,
    scores,
)
from fairlead_runtime.contract.drift_report import (
    Report,
    ReportError,
    from_document,
    references,
    to_document,
)
from fairlead_runtime.drift.counter import Counter, Tally
from tests.searching import searches
from tests.unit.runtime.drifting import DIGEST, TOWNS, a_profile, rows

PROFILE = a_profile()
OTHER = a_profile(seed=9)
COUNTER = Counter(PROFILE)

values = st.floats(width=32, allow_nan=True, allow_infinity=True)
streams = st.integers(1, 40).flatmap(
    lambda count: st.fixed_dictionaries(
        {
            "x": arrays.arrays(np.float32, (count, 3), elements=values),
            "code": arrays.arrays(np.int64, (count, 1), elements=st.integers(-(2**63), 2**63 - 1)),
            "town": arrays.arrays(
                object, (count, 1), elements=st.sampled_from((*TOWNS, "", "Ulm")), fill=st.nothing()
            ),
            "replica": arrays.arrays(np.int64, (count,), elements=st.integers(0, 3)),
        }
    )
)


def counted(inputs: dict[str, Any], outputs: dict[str, Any]) -> Window:
    tally = Tally(COUNTER.layout)
    COUNTER.count(inputs, outputs, tally)
    return COUNTER.layout.window(tally, 0.0, 60.0)


@searches(150)
@given(streams)
def test_a_stream_dealt_out_any_way_gives_the_same_counts(stream: dict[str, Any]) -> None:
    replica = stream.pop("replica")
    outputs = {"label": stream["code"][:, 0], "score": stream["x"][:, :2]}
    whole = counted(stream, outputs)
    parts = [
        counted(
            {name: each[replica == index] for name, each in stream.items()},
            {name: each[replica == index] for name, each in outputs.items()},
        )
        for index in sorted(set(replica.tolist()))
    ]
    assert merge(parts) == whole
    assert merge(parts[::-1]) == whole
    for feature, mine, theirs in zip(
        PROFILE.features, merge(parts).features, whole.features, strict=True
    ):
        assert scores(feature, mine) == scores(feature, theirs)
        assert mine.rows == whole.rows


@pytest.mark.parametrize("replicas", [2, 3, 7])
def test_replicas_with_a_share_each_score_like_one_that_saw_it_all(replicas: int) -> None:
    inputs, outputs = rows(6000, 2, shift=0.5)
    whole = counted(inputs, outputs)
    owner = np.random.default_rng(0).integers(0, replicas, 6000)
    parts = [
        counted(
            {name: each[owner == index] for name, each in inputs.items()},
            {name: each[owner == index] for name, each in outputs.items()},
        )
        for index in range(replicas)
    ]
    found = [scores(*pair) for pair in zip(PROFILE.features, merge(parts).features, strict=True)]
    assert found == [scores(*pair) for pair in zip(PROFILE.features, whole.features, strict=True)]
    assert found[0].shift == pytest.approx(0.5, abs=0.1)
    assert found[0].psi == pytest.approx(0.25, abs=0.07)
    assert found[1].shift == pytest.approx(0, abs=0.1)


def test_the_mean_shift_is_numpys() -> None:
    inputs, outputs = rows(5000, 3, shift=0.3)
    window = counted(inputs, outputs)
    for place in range(3):
        feature = PROFILE.features[place]
        mean = inputs["x"][:, place].astype(np.float64).mean()
        expected = abs(mean - feature.mean) / feature.deviation
        assert scores(feature, window.features[place]).shift == pytest.approx(expected, abs=1e-9)


def test_one_broken_value_is_not_the_mean() -> None:
    inputs, outputs = rows(1000, 4)
    inputs["x"][0, 0] = np.inf
    inputs["x"][1, 0] = -3e38
    window = counted(inputs, outputs)
    assert abs(window.features[0].total) <= 1000 * MOMENT_LIMIT * 2**32
    assert (scores(PROFILE.features[0], window.features[0]).shift or 0) < 0.2
    assert scores(PROFILE.features[0], window.features[0]).outside >= 2 / 1000


def test_missing_values_and_unknown_categories_are_counted_as_such() -> None:
    inputs, outputs = rows(1000, 4)
    inputs["x"][:250, 1] = np.nan
    inputs["code"][:100] = 77
    inputs["town"][:50] = "Ulm"
    window = counted(inputs, outputs)
    found = {each.name: each for each in map(scores, PROFILE.features, window.features)}
    assert found["x[1]"].missing == 0.25
    assert found["x[1]"].rows == 750
    assert (found["x[1]"].psi or 0) > 1
    assert found["code"].outside == 0.1
    assert found["town"].outside == 0.05


def test_nothing_is_shown_of_too_few_rows() -> None:
    few = counted(*rows(99, 5))
    assert scores(PROFILE.features[0], few.features[0]).shift is None
    none = scores(PROFILE.features[0], empty(PROFILE, 0.0).features[0])
    assert (none.rows, none.psi, none.jensen_shannon) == (0, None, None)


def test_rows_without_any_value_are_scored_by_what_is_missing() -> None:
    inputs, outputs = rows(500, 5)
    inputs["x"][:, 2] = np.nan
    found = scores(PROFILE.features[2], counted(inputs, outputs).features[2])
    assert found.missing == 1
    assert found.shift is None
    assert (found.psi or 0) > 5


def test_outputs_that_nobody_asked_for_are_not_counted() -> None:
    inputs, outputs = rows(200, 5)
    window = counted(inputs, {"label": outputs["label"]})
    by_name = dict(zip((each.name for each in PROFILE.features), window.features, strict=True))
    assert by_name["label"].rows == 200
    assert by_name["score[0]"].rows == 0


def test_sums_beyond_64_bits_are_exact() -> None:
    tally, once = Tally(COUNTER.layout), Tally(COUNTER.layout)
    inputs, outputs = rows(64, 5)
    inputs["x"][:, 0] = np.inf
    COUNTER.count(inputs, outputs, once)
    for _ in range(5000):
        tally.add(once)
    for _ in range(3):
        copy = Tally(COUNTER.layout)
        copy.add(tally)
        for _ in range(20):
            tally.add(copy)
    first = COUNTER.layout.window(once, 0, 0).features[0].total
    assert COUNTER.layout.window(tally, 0, 0).features[0].total == first * 5000 * 21**3
    assert first * 5000 * 21**3 > 2**63


def test_counts_of_different_profiles_are_not_added() -> None:
    with pytest.raises(MergeError, match="different profiles cannot be added"):
        merge([empty(PROFILE, 0.0), empty(OTHER, 0.0)])
    with pytest.raises(MergeError, match="no counts"):
        merge([])
    with pytest.raises(MergeError, match="bins cannot be added"):
        empty(PROFILE, 0.0).features[0] + empty(PROFILE, 0.0).features[3]


def test_what_was_counted_between_two_readings_is_their_difference() -> None:
    first, second = Tally(COUNTER.layout), Tally(COUNTER.layout)
    COUNTER.count(*rows(300, 8), first)
    COUNTER.count(*rows(500, 9), second)
    before = COUNTER.layout.window(first, 0.0, 60.0)
    first.add(second)
    after = COUNTER.layout.window(first, 0.0, 90.0)
    assert difference(after, before) == COUNTER.layout.window(second, 60.0, 90.0)
    with pytest.raises(MergeError, match="less"):
        difference(before, after)
    with pytest.raises(MergeError, match="different profiles"):
        difference(after, empty(OTHER, 0.0))
    with pytest.raises(MergeError, match="different bins"):
        difference(after, empty(PROFILE, 0.0, coarse=True))


def test_coarse_bins_are_sums_of_fine_ones() -> None:
    window = counted(*rows(3000, 6))
    for feature, each in zip(PROFILE.features, window.features, strict=True):
        assert coarse_counts(feature, each).values == each.values
        assert len(coarse_counts(feature, each).bins) == len(feature.coarse) <= 12


def report() -> Report:
    tally = Tally(COUNTER.layout)
    COUNTER.count(*rows(500, 7), tally)
    window = COUNTER.layout.window(tally, 60.0, 120.0, coarse=True)
    return Report(
        instance="i", version="3", model=DIGEST, profile=PROFILE.digest, rows=500, skipped=2,
        features=references(PROFILE), counted=window, windows=(window,), current=window,
    )  # fmt: skip


def report_window(**change: Any) -> dict[str, Any]:
    """Return a report's counts, with something wrong in them."""
    window: dict[str, Any] = to_document(report())["counted"]
    assert change.keys() <= window.keys()
    return window | change


def test_a_report_that_is_written_is_read() -> None:
    assert from_document(to_document(report())) == report()


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "v2"},
        {"features": []},
        {"windows": [{"start": 0}]},
        {"rows": -1},
        {"rows": True},
        {"profile": None},
        {"windows": None},
        {"current": 5},
        {"counted": None},
        {"counted": report_window(start=float("nan"))},
        {"current": report_window(end=1e300)},
        {"current": report_window(end=float("inf"))},
        {"current": report_window(start=-1)},
        {"current": report_window(start="now")},
        {"counted": report_window(rows=10**400)},
        {"counted": report_window(missing=[1 << 70] * len(PROFILE.features))},
    ],
)
def test_what_is_no_report_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ReportError):
        from_document(to_document(report()) | change)


def test_a_report_whose_bins_do_not_fit_is_refused() -> None:
    document = to_document(report())
    document["windows"][0]["counts"][0].append(1)
    with pytest.raises(ReportError, match="not those of the reference"):
        from_document(document)
    with pytest.raises(ReportError):
        from_document([])

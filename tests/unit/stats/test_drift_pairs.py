"""Candidate and stable: the same minutes, the same bins, and nothing guessed."""

from __future__ import annotations

import dataclasses

import pytest

from fairlead_operator.stats.drift import compare
from fairlead_operator.stats.drift_pairs import pair
from fairlead_runtime.contract.drift_counts import FeatureCounts, MergeError, Window, merge
from fairlead_runtime.contract.drift_report import Reference, Report

X = Reference(name="x", role="input", kind="number", cut="1", bins=(100,) * 10, missing=0)
Y = Reference(name="y", role="output", kind="number", cut="2", bins=(100,) * 10, missing=0)
EVEN, ODD = (30,) * 10, (3, 6, 9, 12, 21, 30, 39, 48, 60, 72)


def window(profile: str, minute: int, *bins: tuple[int, ...]) -> Window:
    return Window(
        profile=profile, start_s=60.0 * minute, end_s=60.0 * minute + 60, rows=300,
        features=tuple(FeatureCounts(bins=each, missing=0, total=0) for each in bins),
    )  # fmt: skip


def report(profile: str, *windows: Window, features: tuple[Reference, ...] = (X, Y)) -> Report:
    return Report(
        instance="i", version="1", model="m", profile=profile, rows=0, skipped=0,
        features=features, windows=windows,
        counted=merge(windows) if windows else window(profile, 0),
    )  # fmt: skip


def test_only_minutes_that_both_have_are_compared() -> None:
    stable = report("p", *(window("p", minute, EVEN, EVEN) for minute in range(5)))
    candidate = report("q", *(window("q", minute, EVEN, ODD) for minute in range(3, 8)))
    found = pair([stable], [candidate])
    assert found.minutes == 2
    assert [sum(each.reference) for each in found.samples] == [600, 600]
    assert found.inputs == {"x"}
    assert found.unlike == ()
    assert [each.drifting for each in compare(found.samples)] == [False, True]


def test_replicas_of_a_side_are_added() -> None:
    stable = [report("p", window("p", 0, EVEN, EVEN)) for _ in range(3)]
    found = pair(stable, [report("q", window("q", 0, EVEN, EVEN))])
    assert found.samples[0].reference_rows == 900
    assert found.samples[0].rows == 300


def test_the_minute_that_is_not_over_is_compared_with_the_same_one_only() -> None:
    def growing(profile: str, minute: int, seconds: float) -> Report:
        closed = report(profile, window(profile, 0, EVEN, EVEN))
        now = dataclasses.replace(window(profile, minute, EVEN, EVEN), end_s=60 * minute + seconds)
        return dataclasses.replace(closed, current=now)

    found = pair([growing("p", 1, 7.0)], [growing("q", 1, 7.1)])
    assert (found.minutes, found.end_s) == (2, 67.1)
    assert found.samples[0].rows == 600
    assert pair([growing("p", 1, 59.9)], [growing("q", 2, 0.1)]).minutes == 1


def test_features_in_other_bins_are_named_and_not_guessed() -> None:
    other = dataclasses.replace(Y, cut="3")
    new = Reference(name="z", role="input", kind="number", cut="4", bins=(1, 2), missing=0)
    candidate = report("q", window("q", 0, (1, 2), ODD, EVEN), features=(new, other, X))
    found = pair([report("p", window("p", 0, EVEN, ODD))], [candidate])
    assert [each.name for each in found.samples] == ["x"]
    assert found.samples[0].window == EVEN
    assert found.unlike == ("y", "z")


def test_nobody_or_no_common_minute_is_no_evidence() -> None:
    stable = report("p", window("p", 0, EVEN, EVEN))
    assert pair([stable], []).samples == ()
    assert pair([stable], [report("q", window("q", 1, EVEN, EVEN))]).samples == ()
    assert compare(()) == ()


def test_replicas_of_a_side_with_different_profiles_are_refused() -> None:
    with pytest.raises(MergeError, match="different profiles"):
        pair([report("p"), report("q")], [report("q")])

"""Looks over time: what is added once, when a look is due, when an alarm rises and falls."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fairlead_operator.stats import drift
from fairlead_operator.stats.drift_rules import DEFAULT, Rules
from fairlead_operator.stats.drift_watch import (
    Watch,
    due,
    look,
    take,
)
from fairlead_runtime.contract.drift_counts import FeatureCounts, MergeError, Window
from fairlead_runtime.contract.drift_report import Reference, Report

FEATURES = (
    Reference(name="x", role="input", kind="number", cut="c", bins=(100,) * 10, missing=0),
    Reference(name="y", role="input", kind="number", cut="c", bins=(100,) * 10, missing=0),
)
CLEAN, SHIFTED = (20,) * 10, (2, 4, 6, 8, 10, 14, 22, 30, 44, 60)


def window(minute: int, x: tuple[int, ...] = CLEAN, profile: str = "p") -> Window:
    """Return 200 rows of a minute."""
    bins = (x, CLEAN)
    return Window(
        profile=profile,
        start_s=60.0 * minute,
        end_s=60.0 * minute + 60,
        rows=200,
        features=tuple(FeatureCounts(bins=each, missing=0, total=0) for each in bins),
    )


def report(*windows: Window, instance: str = "a") -> Report:
    return Report(
        instance=instance,
        version="1",
        model="m",
        profile=windows[0].profile if windows else "p",
        rows=0,
        skipped=0,
        features=FEATURES,
        windows=windows,
    )


def looked(watch: Watch, start: int, x: tuple[int, ...]) -> Watch:
    """Take five minutes, and look."""
    watch = take(watch, [report(*(window(start + minute, x) for minute in range(5)))])
    assert due(watch)
    return look(watch, FEATURES)


def test_a_look_is_due_after_a_thousand_rows_and_five_minutes() -> None:
    watch = Watch()
    for minute in range(5):
        assert not due(watch)
        watch = take(watch, [report(*(window(each) for each in range(minute + 1)))])
    assert due(watch)
    assert watch.pending is not None
    assert watch.pending.rows == 1000


def test_other_rules_make_looks_at_other_times() -> None:
    watch = take(Watch(), [report(window(0, SHIFTED))])
    quick = Rules(minimum_rows=200, look_every_s=60.0, raise_after=1, clear_after=1)
    assert not due(watch, Rules(minimum_rows=201, look_every_s=60.0))
    assert not due(watch, Rules(minimum_rows=200, look_every_s=61.0))
    assert due(watch, quick)
    watch = look(watch, FEATURES, quick)
    assert [each.latest.name for each in watch.drifted] == ["x"]
    watch = look(take(watch, [report(window(1))]), FEATURES, quick)
    assert not watch.drifted
    tolerant = Rules(minimum_rows=200, look_every_s=60.0, material=2.0, raise_after=1)
    watch = look(take(watch, [report(window(2, SHIFTED))]), FEATURES, tolerant)
    assert not watch.drifted


def test_the_false_alarms_of_a_week_are_shared_by_its_looks() -> None:
    assert pytest.approx(0.05 / 2016) == DEFAULT.alpha == drift.ALPHA
    assert Rules(look_every_s=60.0).alpha == pytest.approx(DEFAULT.alpha / 5)


def test_a_sub_window_is_added_once_however_often_it_is_read() -> None:
    watch = take(Watch(), [report(window(0), window(1))])
    watch = take(watch, [report(window(0), window(1))])
    assert watch.pending is not None
    assert watch.pending.rows == 400


def test_rows_are_looked_at_once_also_by_an_operator_that_starts_anew() -> None:
    watch = looked(Watch(), 0, CLEAN)
    again = Watch(profile="p", looked_s=watch.looked_s)
    assert take(again, [report(*(window(minute) for minute in range(5)))]).pending is None


def test_counts_of_a_replica_that_is_gone_stay() -> None:
    watch = take(Watch(), [report(window(0), instance="a"), report(window(0), instance="b")])
    watch = take(watch, [report(window(1), instance="b")])
    assert watch.pending is not None
    assert watch.pending.rows == 600


def test_nobody_to_ask_changes_nothing() -> None:
    watch = take(Watch(), [report(window(0))])
    assert take(watch, []) == watch


def test_replicas_with_different_profiles_are_refused() -> None:
    with pytest.raises(MergeError, match="different profiles: p and q"):
        take(Watch(), [report(window(0)), report(window(0, profile="q"), instance="b")])


def test_another_profile_forgets_the_last_one() -> None:
    watch = looked(looked(Watch(), 0, SHIFTED), 5, SHIFTED)
    assert watch.drifted
    fresh = take(watch, [report(window(10, profile="q"), instance="b")])
    assert fresh.profile == "q"
    assert not fresh.drifted
    assert fresh.looks == 0


def test_one_look_raises_no_alarm_and_two_do() -> None:
    watch = looked(Watch(), 0, SHIFTED)
    assert watch.streaks["x"].latest.drifting
    assert not watch.drifted
    for step in range(1, DEFAULT.raise_after):
        watch = looked(watch, 5 * step, SHIFTED)
    assert [streak.latest.name for streak in watch.drifted] == ["x"]
    assert watch.since_s == 300.0 * DEFAULT.raise_after


def test_a_clean_look_between_starts_again() -> None:
    watch = looked(Watch(), 0, SHIFTED)
    watch = looked(watch, 5, CLEAN)
    watch = looked(watch, 10, SHIFTED)
    assert not watch.drifted


def test_an_alarm_stays_until_enough_clean_looks() -> None:
    watch = Watch()
    for step in range(DEFAULT.raise_after):
        watch = looked(watch, 5 * step, SHIFTED)
    raised = watch.since_s
    for step in range(DEFAULT.raise_after, DEFAULT.raise_after + DEFAULT.clear_after - 1):
        watch = looked(watch, 5 * step, CLEAN)
        assert watch.since_s == raised
    watch = looked(watch, 5 * (DEFAULT.raise_after + DEFAULT.clear_after - 1), CLEAN)
    assert not watch.drifted
    assert watch.since_s is None


def test_too_few_rows_keep_what_was_known() -> None:
    watch = looked(looked(Watch(), 0, SHIFTED), 5, SHIFTED)
    few = replace(window(10), rows=0)
    after = look(replace(watch, pending=few), FEATURES)
    assert after.drifted
    assert after.streaks["x"].over == watch.streaks["x"].over


def test_counts_of_other_features_are_refused() -> None:
    watch = take(Watch(), [report(window(0))])
    with pytest.raises(MergeError, match="not those of the reference"):
        look(watch, FEATURES[:1])


def test_without_rows_nothing_is_due() -> None:
    assert not due(Watch())
    assert look(Watch(), FEATURES) == Watch()

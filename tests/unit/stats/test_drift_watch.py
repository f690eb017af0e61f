"""Looks over time: what is added once, when a look is due, when an alarm rises and falls."""

from __future__ import annotations

from collections.abc import Sequence
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
from fairlead_runtime.contract.drift_counts import FeatureCounts, MergeError, Window, merge
from fairlead_runtime.contract.drift_report import Reference, Report

FEATURES = (
    Reference(name="x", role="input", kind="number", cut="c", bins=(100,) * 10, missing=0),
    Reference(name="y", role="input", kind="number", cut="c", bins=(100,) * 10, missing=0),
)
CLEAN, SHIFTED = (20,) * 10, (2, 4, 6, 8, 10, 14, 22, 30, 44, 60)
NONE = (0,) * 10
HOUR_S = 3600.0


def window(minute: int, x: tuple[int, ...] = CLEAN, profile: str = "p") -> Window:
    """Return 200 rows of a minute."""
    bins = (x, CLEAN if any(x) else NONE)
    return Window(
        profile=profile,
        start_s=60.0 * minute,
        end_s=60.0 * minute + 60,
        rows=sum(x),
        features=tuple(FeatureCounts(bins=each, missing=0, total=0) for each in bins),
    )


def report(*windows: Window, instance: str = "a", held: Sequence[Window] | None = None) -> Report:
    """Return what a replica tells that has counted so; it holds all of it, unless told."""
    return Report(
        instance=instance,
        version="1",
        model="m",
        profile=windows[0].profile,
        rows=0,
        skipped=0,
        features=FEATURES,
        counted=merge(windows),
        windows=windows if held is None else tuple(held),
    )


def read(watch: Watch, *reports: Report) -> Watch:
    """Take reports at the end of the newest of them."""
    return take(watch, reports, max(each.counted.end_s for each in reports))


def looked(watch: Watch, start: int, x: tuple[int, ...]) -> Watch:
    """Take five minutes of a replica of their own, and look."""
    minutes = [window(start + minute, x) for minute in range(5)]
    watch = read(watch, report(*minutes, instance=f"since {start}"))
    assert due(watch)
    return look(watch, FEATURES)


def pending(watch: Watch) -> int:
    return watch.pending.rows if watch.pending else 0


def test_a_look_is_due_after_a_thousand_rows_and_five_minutes() -> None:
    watch = Watch()
    for minute in range(5):
        assert not due(watch)
        watch = read(watch, report(*(window(each) for each in range(minute + 1))))
    assert due(watch)
    assert pending(watch) == 1000


def test_other_rules_make_looks_at_other_times() -> None:
    watch = read(Watch(), report(window(0, SHIFTED)))
    quick = Rules(minimum_rows=200, look_every_s=60.0, raise_after=1, clear_after=1)
    assert not due(watch, Rules(minimum_rows=201, look_every_s=60.0))
    assert not due(watch, Rules(minimum_rows=200, look_every_s=61.0))
    assert due(watch, quick)
    watch = look(watch, FEATURES, quick)
    assert [each.latest.name for each in watch.drifted] == ["x"]
    watch = look(read(watch, report(window(0, SHIFTED), window(1))), FEATURES, quick)
    assert not watch.drifted
    tolerant = Rules(minimum_rows=200, look_every_s=60.0, material=2.0, raise_after=1)
    minutes = (window(0, SHIFTED), window(1), window(2, SHIFTED))
    watch = look(read(watch, report(*minutes)), FEATURES, tolerant)
    assert watch.looks == 3
    assert not watch.drifted


def test_the_false_alarms_of_a_week_are_shared_by_its_looks() -> None:
    assert pytest.approx(0.05 / 2016) == DEFAULT.alpha == drift.ALPHA
    assert Rules(look_every_s=60.0).alpha == pytest.approx(DEFAULT.alpha / 5)


def test_rows_are_added_once_however_often_they_are_read() -> None:
    twice = report(window(0), window(1))
    watch = read(read(Watch(), twice), twice)
    assert pending(watch) == 400
    assert pending(read(look(watch, FEATURES), twice)) == 0


def test_rows_of_a_sub_window_that_is_still_counted_are_added() -> None:
    watch = read(Watch(), report(window(0)))
    watch = take(watch, [report(window(0), window(1, (5,) * 10))], 90.0)
    assert pending(watch) == 250
    watch = read(watch, report(window(0), window(1)))
    assert pending(watch) == 400


def test_counts_of_a_replica_that_is_gone_stay() -> None:
    watch = read(Watch(), report(window(0), instance="a"), report(window(0), instance="b"))
    watch = read(watch, report(window(0), window(1), instance="b"))
    assert pending(watch) == 600


def test_a_replica_that_comes_later_is_added_as_a_whole() -> None:
    watch = look(read(Watch(), report(window(0))), FEATURES)
    new = report(window(0, CLEAN), window(1), instance="b", held=())
    assert pending(read(watch, new)) == 400


def test_the_first_reading_takes_the_window_and_not_last_months_counts() -> None:
    month = window(0, (100_000,) * 10)
    held = [window(minute) for minute in range(70, 75)]
    watch = read(Watch(), report(month, *held, held=held))
    assert pending(watch) == 1000
    assert due(watch)


def test_what_was_read_before_an_hour_of_silence_is_not_added_again() -> None:
    before, later = window(0), window(90)
    watch = read(Watch(), report(before, instance="a"), report(before, instance="b"))
    minutes = [window(minute) for minute in range(91)]
    watch = read(watch, report(*minutes, instance="a"))
    rows = pending(watch)
    assert list(watch.seen) == ["a"], "b is taken to be gone"
    back = report(before, later, instance="b")
    watch = read(watch, back)
    assert pending(watch) == rows, "nobody can say which of them are new"
    watch = read(watch, report(before, later, window(91), instance="b"))
    assert pending(watch) == rows + 200


def test_an_outage_of_the_reader_loses_nothing() -> None:
    watch = read(Watch(), report(window(0)))
    joint = replace(merge([window(1), window(200)]), start_s=60.0)  # neighbours, merged meanwhile
    watch = read(watch, report(window(0), joint, held=[joint]))
    assert pending(watch) == 600


def test_a_replica_whose_clock_is_wrong_makes_no_look_too_early() -> None:
    watch = take(Watch(), [report(window(0)), report(window(6000), instance="b")], 60.0)
    watch = take(
        watch,
        [report(window(0), window(1)), report(window(6000), window(6001), instance="b")],
        120.0,
    )
    assert watch.pending is not None
    assert (watch.pending.start_s, watch.pending.end_s) == (0.0, 120.0)
    assert set(watch.seen) == {"a", "b"}


@pytest.mark.parametrize("back_s", [30.0, 86400.0])
def test_a_replicas_clock_that_is_set_back_changes_no_count(back_s: float) -> None:
    watch = take(Watch(), [report(window(2000))], 120_060.0)
    minutes = merge([window(2000), window(2001)])
    moved = replace(minutes, start_s=minutes.start_s - back_s, end_s=minutes.end_s - back_s)
    watch = take(watch, [report(moved)], 120_120.0)
    assert watch.pending is not None
    assert (watch.pending.rows, watch.pending.end_s) == (400, 120_120.0)
    assert watch.pending.start_s == 120_000.0


def test_counts_that_have_become_less_are_refused() -> None:
    watch = read(Watch(), report(window(0), window(1)))
    with pytest.raises(MergeError, match="less"):
        read(watch, report(window(0)))


def test_nobody_to_ask_changes_nothing() -> None:
    watch = read(Watch(), report(window(0)))
    assert take(watch, [], 10 * HOUR_S) == watch


def test_replicas_with_different_profiles_are_refused() -> None:
    with pytest.raises(MergeError, match="different profiles: p and q"):
        read(Watch(), report(window(0)), report(window(0, profile="q"), instance="b"))


def test_another_profile_forgets_the_last_one() -> None:
    watch = looked(looked(Watch(), 0, SHIFTED), 5, SHIFTED)
    assert watch.drifted
    fresh = read(watch, report(window(10, profile="q"), instance="b"))
    assert fresh.profile == "q"
    assert list(fresh.seen) == ["b"]
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
    watch = read(Watch(), report(window(0)))
    with pytest.raises(MergeError, match="not those of the reference"):
        look(watch, FEATURES[:1])


def test_without_rows_nothing_is_due() -> None:
    assert not due(Watch())
    assert look(Watch(), FEATURES) == Watch()

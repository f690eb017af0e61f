"""Drift over time: which looks are taken, and when an alarm is raised and cleared.

One look every five minutes, unless the rules say otherwise, and never at rows that an earlier look
has seen: two looks in a row then err independently of each other, which is what makes an alarm of
two looks so much rarer than one of one. No clock is read: whoever asks the replicas says when.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fairlead_operator.stats import drift
from fairlead_operator.stats.drift import Judgement, Sample
from fairlead_operator.stats.drift_rules import DEFAULT, Rules
from fairlead_runtime.contract.drift_counts import MergeError, Window, difference, merge
from fairlead_runtime.contract.drift_report import Reference, Report

_FORGET_S = 3600.0
"""A replica that has not answered for so long is taken to be gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streak:
    """What the last looks said about a feature.

    Attributes:
        over: Looks in a row that found it drifting.
        within: Looks in a row that did not.
        since_s: The end of the look that raised the alarm; None where there is no alarm.
        latest: The last judgement.
    """

    over: int = 0
    within: int = 0
    since_s: float | None = None
    latest: Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was last read of one replica.

    Attributes:
        counted: All that it had counted by then (`Report.counted`).
        read_s: When, by the reader's clock.
    """

    counted: Window
    read_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is remembered between looks; another profile needs another one.

    Attributes:
        profile: Digest of the profile; empty before the first counts.
        pending: The sum of what no look has seen yet.
        seen: By replica (`Report.instance`) what was last read of it.
        looked_s: When the last look's rows were read.
        looks: How many looks were taken.
        streaks: By feature, of the last look.
    """

    profile: str = ""
    pending: Window | None = None
    seen: Mapping[str, Seen] = field(default_factory=dict)
    looked_s: float = 0.0
    looks: int = 0
    streaks: Mapping[str, Streak] = field(default_factory=dict)

    @property
    def drifted(self) -> tuple[Streak, ...]:
        """The features that are in alarm, the greatest PSI first."""
        found = [streak for streak in self.streaks.values() if streak.since_s is not None]
        return tuple(sorted(found, key=lambda each: (-each.latest.psi, each.latest.name)))

    @property
    def since_s(self) -> float | None:
        """When the first of the present alarms was raised."""
        return min(
            (each.since_s for each in self.drifted if each.since_s is not None), default=None
        )


def take(watch: Watch, reports: Iterable[Report], now_s: float) -> Watch:
    """Add what replicas have counted since they were last read: each row once.

    Of a replica that goes, only what it counted after it was last read is lost. How long that took
    is told by its own clock, when it was by the reader's: a wrong clock harms nobody. The first
    counts of another profile forget everything about the last one.

    Args:
        watch: What is remembered.
        reports: Of all replicas that answered.
        now_s: When they were asked, in seconds since 1970.

    Raises:
        MergeError: The replicas have different profiles, as while one revision follows another:
            judge each revision by itself. Or the counts of one have become less.
    """
    given = list(reports)
    digests = sorted({report.profile for report in given})
    if len(digests) > 1:
        raise MergeError(f"replicas count with different profiles: {digests[0]} and {digests[1]}")
    if digests and digests[0] != watch.profile:
        watch = Watch(profile=digests[0])
    fresh = [window for report in given if (window := _unseen(watch, report)) and window.rows]
    read = {each.instance: Seen(counted=each.counted, read_s=now_s) for each in given}
    return replace(
        watch,
        pending=merge(
            ([watch.pending] if watch.pending else []) + [_dated(each, now_s) for each in fresh]
        )
        if fresh
        else watch.pending,
        seen={
            name: each
            for name, each in {**watch.seen, **read}.items()
            if now_s - each.read_s <= _FORGET_S
        }
        if given
        else watch.seen,
    )


def _unseen(watch: Watch, report: Report) -> Window | None:
    """Return what has not been added of a replica's counts; None where nobody can say."""
    before = watch.seen.get(report.instance)
    if before is not None:
        return difference(report.counted, before.counted)
    if not watch.seen:
        # The first reading of all. What replicas have counted may be of last month: the window.
        held = (*report.windows, *([report.current] if report.current else ()))
        return merge(held) if held else None
    # One that has counted for longer may have been read, and been forgotten since.
    young = report.counted.end_s - report.counted.start_s < _FORGET_S
    return report.counted if young else None


def _dated(window: Window, now_s: float) -> Window:
    """Return counts that end now, and took as long as the replica says."""
    return replace(window, start_s=now_s - max(0.0, window.end_s - window.start_s), end_s=now_s)


def samples(features: Sequence[Reference], window: Window) -> tuple[Sample, ...]:
    """Return reference and window side by side.

    Raises:
        MergeError: They do not have the same features and bins.
    """
    sides = list(zip(features, window.features, strict=False))
    if len(features) != len(window.features) or any(
        len(reference.bins) != len(counted.bins) for reference, counted in sides
    ):
        raise MergeError("the window's features and bins are not those of the reference")
    return tuple(
        Sample(
            name=reference.name,
            reference=reference.bins,
            window=counted.bins,
            reference_missing=reference.missing,
            window_missing=counted.missing,
        )
        for reference, counted in sides
    )


def due(watch: Watch, rules: Rules = DEFAULT) -> bool:
    """Say whether there is enough that no look has seen: rows, and minutes that they cover."""
    window = watch.pending
    return (
        window is not None
        and window.rows >= rules.minimum_rows
        and window.end_s - window.start_s >= rules.look_every_s
    )


def look(watch: Watch, features: Sequence[Reference], rules: Rules = DEFAULT) -> Watch:
    """Look at all that was taken since the last look, once `due` says so.

    Args:
        watch: What is remembered.
        features: The profile's features.
        rules: What counts. Features with fewer rows keep what was known of them.

    Raises:
        MergeError: The counts are not of these features.
    """
    window = watch.pending
    if window is None:
        return watch
    found = drift.judge(
        samples(features, window),
        alpha=rules.alpha,
        material=rules.material,
        minimum_rows=rules.minimum_rows,
    )
    return replace(
        watch,
        pending=None,
        looked_s=window.end_s,
        looks=watch.looks + 1,
        streaks={
            each.name: _next(watch.streaks.get(each.name), each, window.end_s, rules)
            for each in found
        },
    )


def _next(before: Streak | None, found: Judgement, end_s: float, rules: Rules) -> Streak:
    streak = before or Streak(latest=found)
    if found.rows < rules.minimum_rows:
        return replace(streak, latest=found)
    if found.drifting:
        over = streak.over + 1
        since = streak.since_s
        if since is None and over >= rules.raise_after:
            since = end_s
        return Streak(over=over, within=0, since_s=since, latest=found)
    within = streak.within + 1
    since = streak.since_s if within < rules.clear_after else None
    return Streak(over=0, within=within, since_s=since, latest=found)

"""Two revisions side by side: what both counted in the same minutes, feature by feature."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairlead_operator.stats.drift import Sample
from fairlead_runtime.contract.drift_counts import Window, merge
from fairlead_runtime.contract.drift_report import Reference, Report

_Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """What of two revisions can be compared.

    Attributes:
        samples: The stable's counts as reference, the candidate's as window, for
            `stats.drift.compare`.
        inputs: Names of those samples that are inputs; the others are predictions.
        unlike: Features that only one side has, or that both cut into other bins.
        minutes: Sub-windows that both sides have.
        end_s: The end of the newest of them, in seconds since 1970.
    """

    samples: tuple[Sample, ...] = ()
    inputs: frozenset[str] = frozenset()
    unlike: tuple[str, ...] = ()
    minutes: int = 0
    end_s: float = 0.0


def pair(stable: Sequence[Report], candidate: Sequence[Report]) -> Paired:
    """Return what both revisions' replicas counted in the same minutes.

    Sub-windows begin and end with the clock's minutes on every replica, so that the same ones can
    be found: those with the same bounds on both sides. So can the minute that is not over, as long
    as both sides were read at the same moment. Features are compared where they are cut into the
    same bins (`profile --bins`); the others are named, not guessed.

    Raises:
        MergeError: The replicas of one side have different profiles.
    """
    if not stable or not candidate:
        return Paired()
    mine, theirs = _by_minute(stable), _by_minute(candidate)
    shared = sorted(mine.keys() & theirs.keys())
    first, second = stable[0].features, candidate[0].features
    alike, unlike = _alike(first, second)
    if not shared:
        return Paired(unlike=unlike)
    reference, window = (merge(side[minute] for minute in shared) for side in (mine, theirs))
    return Paired(
        samples=tuple(
            Sample(
                name=first[here].name,
                reference=reference.features[here].bins,
                window=window.features[there].bins,
                reference_missing=reference.features[here].missing,
                window_missing=window.features[there].missing,
            )
            for here, there in alike
        ),
        inputs=frozenset(first[here].name for here, _ in alike if first[here].role == "input"),
        unlike=unlike,
        minutes=len(shared),
        end_s=window.end_s,
    )


def _by_minute(reports: Iterable[Report]) -> dict[_Bounds, Window]:
    """Return the sums of all replicas' sub-windows by their bounds; an open one has no end."""
    given = list(reports)
    merge(  # refuses different profiles, also where none has counted yet
        Window(profile=each.profile, start_s=0, end_s=0, rows=0, features=()) for each in given
    )
    found: dict[_Bounds, Window] = {}
    for report in given:
        for window in report.windows:
            _add(found, (window.start_s, window.end_s), window)
        if report.current is not None:
            _add(found, (report.current.start_s, math.inf), report.current)
    return found


def _add(found: dict[_Bounds, Window], bounds: _Bounds, window: Window) -> None:
    found[bounds] = found[bounds] + window if bounds in found else window


def _alike(
    first: Sequence[Reference], second: Sequence[Reference]
) -> tuple[list[tuple[int, int]], tuple[str, ...]]:
    places = {(each.role, each.name): place for place, each in enumerate(second)}
    alike: list[tuple[int, int]] = []
    for here, each in enumerate(first):
        there = places.get((each.role, each.name))
        if there is not None and each.cut and second[there].cut == each.cut:
            alike.append((here, there))
    paired = {first[here].name for here, _ in alike}
    names = {each.name for each in (*first, *second)}
    return alike, tuple(sorted(names - paired))

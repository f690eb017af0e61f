"""Two revisions side by side: what both counted in the same minutes, feature by feature."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairlead_operator.stats.drift import Sample
from fairlead_runtime.contract.drift_counts import Window, merge
from fairlead_runtime.contract.drift_report import Reference, Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """What of two revisions can be compared.

    Attributes:
        samples: The stable's counts as reference, the candidate's as window, for
            `stats.drift.compare`.
        inputs: Names of those samples that are inputs; the others are predictions.
        unlike: Features that only one side has, or that both cut into other bins.
        minutes: Sub-windows that both sides have.
    """

    samples: tuple[Sample, ...] = ()
    inputs: frozenset[str] = frozenset()
    unlike: tuple[str, ...] = ()
    minutes: int = 0


def pair(stable: Sequence[Report], candidate: Sequence[Report]) -> Paired:
    """Return what both revisions' replicas counted in the same minutes.

    Sub-windows begin and end with the clock's minutes on every replica, so that the same ones can
    be found: those with the same bounds on both sides. Features are compared where they are cut
    into the same bins (`profile --bins`); the others are named, not guessed.

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
    )


def _by_minute(reports: Iterable[Report]) -> dict[tuple[float, float], Window]:
    """Return the sums of all replicas' sub-windows by their bounds."""
    given = list(reports)
    merge(  # refuses different profiles, also where none has counted yet
        Window(profile=each.profile, start_s=0, end_s=0, rows=0, features=()) for each in given
    )
    found: dict[tuple[float, float], Window] = {}
    for report in given:
        for window in report.windows:
            bounds = (window.start_s, window.end_s)
            found[bounds] = found[bounds] + window if bounds in found else window
    return found


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

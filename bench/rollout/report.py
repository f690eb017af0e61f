"""What became of the rollouts, in `name: value` lines, tables and aims."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.rollout import cases
from bench.rollout.world import HORIZON_S, Result

LOADS = (5, 50, 500)
JUDGES = ("fairlead", "flagger", "argo")
TWICE = 2.0
"""A bad rollout is one at so many limits."""
_THRESHOLDS_SEE = ("errors", "p99")
_TITLES = {
    "fairlead": "Fairlead",
    "fairlead_errors_p99": "Fairlead, errors and p99 alone",
    "flagger": "Flagger",
    "argo": "Argo Rollouts",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One rollout to play: its load, what is wrong with it, and the seed."""

    judge: str
    rps: int
    kind: str
    size: float
    seed: int


Played = Sequence[tuple[Trial, Result]]


def kinds(judge: str) -> tuple[str, ...]:
    """Return the regressions that a judge looks for at all."""
    return cases.KINDS if judge == "fairlead" else _THRESHOLDS_SEE


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of one judge at one load.

    An undecided rollout had a step that passed its deadline. One that is rolled back or promoted
    after that is wrong all the same: it counts in what must not be, and not in what should be.
    """

    good_rollouts: int
    bad_rollouts: int
    good_promoted_percent: float
    good_rolled_back_percent: float
    good_undecided_percent: float
    bad_rolled_back_percent: float
    bad_promoted_percent: float
    bad_undecided_percent: float
    bad_held_to_the_horizon_percent: float
    median_minutes_to_promote: float | None
    requests_lost_per_bad_rollout: float
    requests_lost_per_undecided_bad_rollout: float | None

    def missed(self, *, little_traffic: bool) -> list[str]:
        """Return the aims that do not hold; undecided rollouts count against two of them."""
        found = []
        if self.good_rolled_back_percent > 1:
            found.append("good_rolled_back_percent is above 1")
        if self.bad_promoted_percent > 1:
            found.append("bad_promoted_percent is above 1")
        if not little_traffic and self.good_promoted_percent < 95:
            found.append("good_promoted_percent is below 95")
        if not little_traffic and self.bad_rolled_back_percent < 95:
            found.append("bad_rolled_back_percent is below 95")
        return found


def summary(good: Sequence[Result], bad: Sequence[Result]) -> Summary:
    """Return the figures of these rollouts."""
    minutes = [r.minutes for r in good if r.outcome == "Promoted"]
    undecided = [r.lost_in_all for r in bad if not r.outcome]
    return Summary(
        good_rollouts=len(good),
        bad_rollouts=len(bad),
        good_promoted_percent=_percent([r.outcome == "Promoted" for r in good]),
        good_rolled_back_percent=_percent([r.ended == "GateFailed" for r in good]),
        good_undecided_percent=_percent([not r.outcome for r in good]),
        bad_rolled_back_percent=_percent([r.outcome == "GateFailed" for r in bad]),
        bad_promoted_percent=_percent([r.ended == "Promoted" for r in bad]),
        bad_undecided_percent=_percent([not r.outcome for r in bad]),
        bad_held_to_the_horizon_percent=_percent([not r.ended for r in bad]),
        median_minutes_to_promote=statistics.median(minutes) if minutes else None,
        requests_lost_per_bad_rollout=statistics.mean(r.lost_in_all for r in bad) if bad else 0.0,
        requests_lost_per_undecided_bad_rollout=statistics.mean(undecided) if undecided else None,
    )


def summaries(played: Played) -> dict[tuple[str, int], Summary]:
    """Return the figures of every judge at every load; ours also of what the others look for."""
    found = {}
    for name in _TITLES:
        judge = name.partition("_")[0]
        looked_for = kinds(judge) if name == judge else _THRESHOLDS_SEE
        for rps in LOADS:
            mine = [(t, r) for t, r in played if (t.judge, t.rps) == (judge, rps)]
            good = [r for t, r in mine if t.kind == "good"]
            bad = [r for t, r in mine if t.size == TWICE and t.kind in looked_for]
            found[name, rps] = summary(good, bad)
    return found


def lines(found: dict[tuple[str, int], Summary]) -> Iterator[str]:
    """Yield `name: value` lines."""
    for (name, rps), each in found.items():
        for field in Summary.__dataclass_fields__:
            value = getattr(each, field)
            yield f"{name}_rps{rps}_{field}: {'none' if value is None else f'{value:.4g}'}"


def table(found: dict[tuple[str, int], Summary]) -> list[str]:
    """Return a Markdown table of all judges and loads."""
    columns = (
        "judged by",
        "requests/s",
        "good: promoted / rolled back / undecided %",
        "bad: rolled back / promoted / undecided %",
        f"bad: held for {HORIZON_S // 3600} hours %",
        "minutes to promote (median of the promoted)",
        "requests lost per bad rollout",
        "per undecided one",
    )
    made = ["| " + " | ".join(columns) + " |", "|---" + "|--:" * (len(columns) - 1) + "|"]
    for (name, rps), each in found.items():
        good = (
            each.good_promoted_percent,
            each.good_rolled_back_percent,
            each.good_undecided_percent,
        )
        bad = (each.bad_rolled_back_percent, each.bad_promoted_percent, each.bad_undecided_percent)
        late = each.requests_lost_per_undecided_bad_rollout
        minutes = each.median_minutes_to_promote
        cells = [
            _TITLES[name],
            str(rps),
            _shares(good),
            _shares(bad),
            f"{each.bad_held_to_the_horizon_percent:.1f}",
            "-" if minutes is None else f"{minutes:.1f}",
            f"{each.requests_lost_per_bad_rollout:,.0f}",
            "-" if late is None else f"{late:,.0f}",
        ]
        made.append("| " + " | ".join(cells) + " |")
    return made


def by_size(played: Played, judge: str, kind: str) -> list[str]:
    """Return a Markdown table of one regression in all its sizes."""
    made = [
        f"| {_TITLES[judge]}, {kind}: limits | " + " | ".join(f"{rps}/s" for rps in LOADS) + " |",
        "|--:" * (len(LOADS) + 1) + "|",
    ]
    for size in cases.SIZES:
        cells = [_cell(played, judge, kind, size, rps) for rps in LOADS]
        if any(cells):
            made.append(f"| {size:g} | " + " | ".join(cells) + " |")
    return made


def _cell(played: Played, judge: str, kind: str, size: float, rps: int) -> str:
    found = [r for t, r in played if (t.judge, t.kind, t.size, t.rps) == (judge, kind, size, rps)]
    if not found:
        return ""
    shares = " / ".join(
        f"{_percent([r.outcome == outcome for r in found]):.0f}"
        for outcome in ("GateFailed", "Promoted", "")
    )
    lost = statistics.mean(r.lost for r in found)
    return f"{shares}, {lost:,.0f}, {statistics.median(r.minutes for r in found):.1f}"


def _shares(percents: tuple[float, ...]) -> str:
    return " / ".join(f"{percent:.1f}" for percent in percents)


def _percent(holds: Sequence[bool]) -> float:
    return 100 * sum(holds) / max(1, len(holds))

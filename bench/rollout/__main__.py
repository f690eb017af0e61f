"""`make bench-rollout`: thousands of rollouts of the pure machine, and what became of them.

    python -m bench.rollout [--repeats 400] [--processes N]

Thirteen thousand rollouts with the default: about twelve minutes of one core's time.

An undecided rollout, one with a step past its deadline, counts as neither promoted nor rolled back.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from bench.rollout import cases, thresholds
from bench.rollout.world import Case, Result, play
from fairlead_operator.rollout.plan import Plan, parse

LOADS = (5, 50, 500)
_JUDGES = ("fairlead", "flagger", "argo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One rollout to play: its load, what is wrong with it, and the seed."""

    judge: str
    rps: int
    kind: str
    size: float
    seed: int


def main() -> int:
    """Play everything, print it, and return 1 where a bar does not hold."""
    parser = argparse.ArgumentParser(description="Rollouts on synthetic traffic and fake time.")
    parser.add_argument("--repeats", type=int, default=400, help="good rollouts for each load")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    begin = time.monotonic()
    trials = list(_trials(args.repeats))
    with ProcessPoolExecutor(args.processes) as pool:
        results = list(pool.map(_played, trials, chunksize=20))
    played = [(t, r) for t, r in zip(trials, results, strict=True) if r is not None]
    print(f"{len(played)} rollouts in {time.monotonic() - begin:.0f} s, fixed seeds\n")
    held = [_bars(played, judge) for judge in _JUDGES]
    _by_size(played)
    return 0 if held[0] else 1


def _trials(repeats: int) -> Iterator[Trial]:
    for judge in _JUDGES:
        for rps in LOADS:
            for seed in range(repeats):
                yield Trial(judge=judge, rps=rps, kind="good", size=0, seed=seed)
            for kind in cases.KINDS:
                for size in cases.SIZES:
                    for seed in range(repeats // (4 if size == 2.0 else 16)):
                        yield Trial(judge=judge, rps=rps, kind=kind, size=size, seed=seed)


def _case(trial: Trial) -> Case | None:
    if trial.kind == "good":
        return cases.good(trial.rps, trial.seed)
    return cases.bad(trial.rps, trial.seed, trial.kind, trial.size)


def _played(trial: Trial) -> Result | None:
    case = _case(trial)
    if case is None:
        return None
    if trial.judge == "fairlead":
        return play(case, _plan(case), trial.seed)
    rules = thresholds.FLAGGER if trial.judge == "flagger" else thresholds.ARGO
    return thresholds.play(case, rules, trial.seed)


def _plan(case: Case) -> Plan:
    return parse({"objectives": {"maxLatencyMs": case.limit_ms}})


Played = list[tuple[Trial, Result]]


def _bars(played: Played, judge: str) -> bool:
    """Print the figures of one judge; return whether its bars hold."""
    title = {"fairlead": "Fairlead", "flagger": "Flagger", "argo": "Argo Rollouts"}[judge]
    mine = [(t, r) for t, r in played if t.judge == judge]
    kinds = cases.KINDS if judge == "fairlead" else ("errors", "p99")
    print(f"{title} (regressions of twice the limit: {', '.join(kinds)})")
    fine = True
    for rps in LOADS:
        good = [r for t, r in mine if t.rps == rps and t.kind == "good"]
        bad = [r for t, r in mine if t.rps == rps and t.size == 2.0 and t.kind in kinds]
        rolled = _percent(good, "GateFailed")
        promoted = _percent(good, "Promoted")
        wrong = _percent(bad, "Promoted")
        minutes = [r.minutes for r in good if r.outcome == "Promoted"]
        median = f"{statistics.median(minutes):.1f}" if minutes else "none"
        lost = statistics.mean(r.lost for r in bad)
        print(
            f"  {rps:>3} requests/s  good_rolled_back_percent {rolled:.2f}  "
            f"good_promoted_percent {promoted:.2f}  bad_promoted_percent {wrong:.2f}  "
            f"median_minutes_to_promote {median}  requests_lost_per_bad_rollout {lost:.0f}  "
            f"(good {len(good)}, bad {len(bad)}, undecided {_percent(good, ''):.1f}% and "
            f"{_percent(bad, ''):.1f}%)"
        )
        fine &= rolled <= 1 and wrong <= 1 and (rps == LOADS[0] or promoted >= 95)
    print()
    return fine


def _by_size(played: Played) -> None:
    print("By size of the regression, in limits (percent rolled back / promoted / undecided, mean")
    print("requests lost, median minutes to the end):\n")
    for judge in _JUDGES:
        for kind in cases.KINDS if judge == "fairlead" else ("errors", "p99"):
            print(f"| {judge}, {kind} | " + " | ".join(f"{rps}/s" for rps in LOADS) + " |")
            print("|---" * (len(LOADS) + 1) + "|")
            for size in cases.SIZES:
                cells = [_cell(played, judge, kind, size, rps) for rps in LOADS]
                if any(cells):
                    print(f"| {size:g} | " + " | ".join(cells) + " |")
            print()


def _cell(played: Played, judge: str, kind: str, size: float, rps: int) -> str:
    found = [r for t, r in played if (t.judge, t.kind, t.size, t.rps) == (judge, kind, size, rps)]
    if not found:
        return ""
    shares = " / ".join(f"{_percent(found, o):.0f}" for o in ("GateFailed", "Promoted", ""))
    lost = statistics.mean(r.lost for r in found)
    return f"{shares}, {lost:.0f}, {statistics.median(r.minutes for r in found):.1f}"


def _percent(results: list[Result], outcome: str) -> float:
    return 100 * sum(r.outcome == outcome for r in results) / max(1, len(results))


if __name__ == "__main__":
    sys.exit(main())

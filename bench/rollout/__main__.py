"""`make bench-rollout`: thousands of rollouts of the pure machine, and what became of them.

    python -m bench.rollout [--repeats 400] [--processes N] [--docs docs/benchmarks.md]

An undecided rollout, one with a step past its deadline, counts as neither promoted nor rolled
back. It is played on: what it loses is counted until two hours after the candidate was ready.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench import pages
from bench.rollout import cases, report, thresholds
from bench.rollout.report import JUDGES, LOADS, Trial
from bench.rollout.world import Case, Result, play
from fairlead_operator.rollout.plan import Plan, parse


def main() -> int:
    """Play everything, print it, and return 1 where an aim does not hold."""
    parser = argparse.ArgumentParser(description="Rollouts on synthetic traffic and fake time.")
    parser.add_argument("--repeats", type=int, default=400, help="good rollouts for each load")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--docs", type=Path, help="write the tables there as well")
    args = parser.parse_args()
    begin, load = time.monotonic(), os.getloadavg()[0]
    trials = list(_trials(args.repeats))
    with ProcessPoolExecutor(args.processes) as pool:
        results = list(pool.map(_played, trials, chunksize=20))
    played = [(t, r) for t, r in zip(trials, results, strict=True) if r is not None]
    took = f"{len(played):,} rollouts in {(time.monotonic() - begin) / 60:.1f} minutes"
    found = report.summaries(played)
    missed = [
        f"{rps} requests/s: {aim}"
        for rps in LOADS
        for aim in found["fairlead", rps].missed(little_traffic=rps == LOADS[0])
    ]
    held = "Aims missed: " + "; ".join(missed) if missed else "All aims hold."
    tables = [
        report.by_size(played, judge, kind) for judge in JUDGES for kind in report.kinds(judge)
    ]
    print(f"# {took}, fixed seeds\n")
    print("\n".join([*report.table(found), "", *_by_size(tables)]))
    print("\n".join(report.lines(found)))
    print(f"# {held}")
    if args.docs is not None:
        said = f"{took} by {args.processes} processes (`--repeats {args.repeats}`). {held}"
        pages.write(
            args.docs,
            "bench-rollout",
            [pages.machine(load), said, "", *report.table(found), "", *_by_size(tables)],
        )
    return 1 if missed else 0


def _by_size(tables: list[list[str]]) -> list[str]:
    said = (
        "By size of the regression: percent rolled back / promoted / undecided at the deadline, "
        "mean requests lost as a canary, median minutes to the end or the deadline."
    )
    made = [said]
    for each in tables:
        made += ["", *each]
    return made


def _trials(repeats: int) -> Iterator[Trial]:
    for judge in JUDGES:
        for rps in LOADS:
            for seed in range(repeats):
                yield Trial(judge=judge, rps=rps, kind="good", size=0, seed=seed)
            for kind in cases.KINDS:
                for size in cases.SIZES:
                    for seed in range(repeats // (4 if size == report.TWICE else 16)):
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


if __name__ == "__main__":
    sys.exit(main())

"""Servers of the same model side by side, visited in turns, on this machine.

Absolute figures say something about the machine; the ratios say something about the servers.

    python -m bench.runtime [--seconds 2] [--repetitions 5] [--peers FOLDER] [--scenario NAME ...]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import pages
from bench.runtime import refused, report
from bench.runtime import sweep as sweeping
from bench.runtime.load import need_wrk
from bench.runtime.measure import Peers, Results, measure
from bench.runtime.scenarios import SCENARIOS, Scenario

_PLOT = Path(__file__).with_name("plot.py")


def main() -> int:
    """Run it and print tables, and `name: value` lines at the end."""
    parser = argparse.ArgumentParser(prog="bench.runtime", description=__doc__)
    parser.add_argument("--seconds", type=int, default=2, help="of each round of load")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--peers", type=Path, help="folder with the peers' environments")
    parser.add_argument("--scenario", action="append", choices=[each.name for each in SCENARIOS])
    parser.add_argument("--no-sweep", action="store_true", help="leave out the sweep")
    parser.add_argument("--docs", type=Path, help="write the tables and the plot there as well")
    args = parser.parse_args()
    need_wrk()
    wanted = [each for each in SCENARIOS if not args.scenario or each.name in args.scenario]
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as name:
        folder, peers = Path(name), _peers(args.peers)
        results = measure(wanted, peers, folder, seconds=args.seconds, repetitions=args.repetitions)
        points: list[sweeping.Point] = []
        turned_away: list[refused.Refused] = []
        if not args.no_sweep:
            few = min(3, args.repetitions)
            points = sweeping.sweep(folder, seconds=args.seconds, repetitions=few)
            turned_away = refused.measure(folder, seconds=args.seconds, repetitions=few)
        bars = report.bars(results) + sweeping.bars(points)
        parts = {
            "Servers": report.table(wanted, results),
            "Memory and start": report.standing(results),
            "Bars": report.bar_lines(bars),
            "Past saturation": sweeping.table(points) if points else [],
            "Refused": refused.table(turned_away) if turned_away else [],
        }
        lines = [f"\n## {title}\n\n" + "\n".join(text) for title, text in parts.items() if text]
        print("\n".join(lines))
        if args.docs is not None:
            said = pages.machine(before)
            pages.write(args.docs, "bench-runtime", [said, *lines])
            _plot(args.docs.parent / "images" / "bench-runtime.svg", wanted, results, peers, folder)
    figures = report.figures(wanted, results) | sweeping.kept(points)
    figures |= refused.figures(turned_away)
    figures["bars_missed"] = sum(bar.missed for bar in bars)
    for name, value in figures.items():
        print(f"{name}: {value:.4g}")
    return 0


def _peers(folder: Path | None) -> Peers:
    if folder is None:
        return Peers()
    found = {each: folder / f"peer-{each}" / "bin" / "python" for each in ("mlserver", "kserve")}
    found["fast"] = folder / "peer-fast" / "bin" / "python"
    return Peers(**{name: str(path) for name, path in found.items() if path.exists()})


def _plot(
    target: Path, wanted: Sequence[Scenario], results: Results, peers: Peers, folder: Path
) -> None:
    if not peers.fast:
        return
    drawn = {
        scenario.name: {
            server: {
                "rps": statistics.median(load.rps for load in loads),
                "min": min(load.rps for load in loads),
                "max": max(load.rps for load in loads),
            }
            for (name, server), loads in results.loads.items()
            if name == scenario.name and loads
        }
        for scenario in wanted
    }
    data = folder / "results.json"
    data.write_text(json.dumps(drawn))
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([peers.fast, str(_PLOT), str(data), str(target)], check=True)


if __name__ == "__main__":
    raise SystemExit(main())

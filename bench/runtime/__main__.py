"""Servers of the same model side by side, visited in turns, on this machine.

Absolute figures say something about the machine; the ratios say something about the servers.

    python -m bench.runtime [--seconds 2] [--repetitions 5] [--peers PYTHON] [--scenario NAME ...]
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnxruntime as ort

from bench.runtime import models
from bench.runtime.load import Load, press, row_json, script
from bench.runtime.servers import Running, fairlead, fastapi, mosec, running

# name, model, connections, rows a request (0: one, without a list around it)
SCENARIOS = {
    "small-c1": (models.SMALL, 1, 0),
    "small-c8": (models.SMALL, 8, 0),
    "small-c32": (models.SMALL, 32, 0),
    "rows64-c8": (models.SMALL, 8, 64),
    "medium-c32": (models.MEDIUM, 32, 0),
}


def main() -> int:
    """Run it and print a table, and `name: value` lines at the end."""
    parser = argparse.ArgumentParser(prog="bench.runtime", description=__doc__)
    parser.add_argument("--seconds", type=int, default=2, help="of each round of load")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--peers", default="", help="Python that has the peers; none: only ours")
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS))
    args = parser.parse_args()
    figures: dict[str, float] = {}
    wanted = args.scenario or list(SCENARIOS)
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        for sizes in dict.fromkeys(SCENARIOS[name][0] for name in wanted):
            names = [name for name in wanted if SCENARIOS[name][0] == sizes]
            _model(Path(folder), sizes, names, args, figures)
    for name, value in figures.items():
        print(f"{name}: {value:.4g}")
    return 0


def _model(
    folder: Path,
    sizes: tuple[int, ...],
    names: list[str],
    args: argparse.Namespace,
    figures: dict[str, float],
) -> None:
    what = "small" if sizes is models.SMALL else "medium"
    path = models.mlp(folder / f"{what}.onnx", sizes)
    single = row_json(sizes[0])
    how = [fairlead(path, edge="own"), fairlead(path, edge="asgi")]
    if args.peers:
        how += [
            fastapi(path, args.peers),
            mosec(path, args.peers),
            mosec(path, args.peers, batch=32),
        ]
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(running(each, folder / f"{what}-{each[0]}.log", single))
            for each in how
        ]
        results: dict[tuple[str, str], list[Load]] = defaultdict(list)
        alone: dict[int, list[float]] = defaultdict(list)
        for repetition in range(args.repetitions):
            for batch in (1, 32):
                alone[batch].append(_alone(path, sizes[0], batch, min(1, args.seconds)))
            for name in names:
                _, connections, rows = SCENARIOS[name]
                lua = script(folder / f"{name}.lua", row_json(sizes[0], rows))
                # Another order each time: nobody always runs after the same neighbour.
                turn = repetition % len(servers)
                for server in servers[turn:] + servers[:turn]:
                    load = press(server, lua, connections=connections, seconds=args.seconds)
                    results[name, server.name].append(load)
            print(f"repetition {repetition + 1} of {args.repetitions}, {what}", file=sys.stderr)
        for server in servers:
            figures[_key(what, server.name, "pss_mb")] = server.pss_mb()
            figures[_key(what, server.name, "ready_s")] = server.ready_s
    for batch, rates in alone.items():
        figures[f"{what}_onnxruntime_batch{batch}_rows_per_s"] = statistics.median(rates)
    _report(names, servers, results, figures)


def _report(
    names: list[str],
    servers: list[Running],
    results: dict[tuple[str, str], list[Load]],
    figures: dict[str, float],
) -> None:
    columns = ("rps", "min", "max", "p50 ms", "p99 ms", "CPU us")
    print(f"{'':12} {'':15}" + "".join(f"{each:>9}" for each in columns))
    for name in names:
        ours = results[name, "fairlead-own"]
        for server in servers:
            loads = results[name, server.name]
            rps = [load.rps for load in loads]
            p50, p99 = (
                statistics.median(getattr(x, k) for x in loads) for k in ("p50_ms", "p99_ms")
            )
            cpu = statistics.median(load.cpu_us for load in loads)
            shown = (statistics.median(rps), min(rps), max(rps), p50, p99, cpu)
            digits = (0, 0, 0, 2, 2, 0)
            cells = "".join(f"{x:9.{n}f}" for x, n in zip(shown, digits, strict=True))
            print(f"{name:12} {server.name:15}{cells}")
            prefix = _key(name, server.name)
            figures[f"{prefix}_rps"] = statistics.median(rps)
            figures[f"{prefix}_cpu_us"] = cpu
            figures[f"{prefix}_p99_ms"] = p99
            if server.name != "fairlead-own":
                # Of rounds that were neighbours in time, so that the machine's mood cancels out.
                ratios = [mine.rps / other.rps for mine, other in zip(ours, loads, strict=True)]
                key = _key(name, "own_over", server.name)
                figures[key] = statistics.median(ratios)
                figures[f"{key}_min"], figures[f"{key}_max"] = min(ratios), max(ratios)


def _key(*parts: str) -> str:
    return "_".join(parts).replace("-", "_")


def _alone(path: Path, width: int, batch: int, seconds: float) -> float:
    """Return the rows a second of onnxruntime without any server."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    data = {"x": np.random.default_rng(0).random((batch, width), np.float32)}
    session.run(None, data)
    runs, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        session.run(None, data)
        runs += 1
    return runs * batch / (time.perf_counter() - started)


if __name__ == "__main__":
    raise SystemExit(main())

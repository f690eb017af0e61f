"""What counting drift costs: for each row, in memory, and in a server's throughput.

    python -m bench.drift.serving [--seconds 3] [--repetitions 7]

Two servers of the same model stand side by side and are loaded in turns, one of them with a
profile. Absolute figures say something about the machine; the ratios about drift.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.runtime import models
from bench.runtime.bodies import Kind, body
from bench.runtime.load import Load, press, script
from bench.runtime.servers import Running, fairlead, running
from fairlead_runtime.contract.drift_profile import Profile
from fairlead_runtime.drift.counter import Counter, Tally
from fairlead_runtime.drift.monitor import CPU_SHARE
from fairlead_runtime.drift.reference import Draft
from fairlead_runtime.drift.window import PERIOD_S, Sliding
from fairlead_runtime.protocol.types import Signature, TensorSpec

# name, connections, rows a request (0: one, without a list around it)
LOADS = {"rows64": (8, 64), "single": (8, 0)}
WIDTH = models.SMALL[0]


def main() -> int:
    """Run it and print `name: value` lines."""
    parser = argparse.ArgumentParser(prog="bench.drift.serving", description=__doc__)
    parser.add_argument("--seconds", type=int, default=3, help="of each round of load")
    parser.add_argument("--repetitions", type=int, default=7)
    args = parser.parse_args()
    for features in (20, 200):
        _counting(features)
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        _serving(Path(folder), args)
    return 0


def _counting(features: int) -> None:
    profile = _profile(features)
    counter = Counter(profile)
    random = np.random.default_rng(1)
    for rows in (1, 64, 4096):
        inputs = {"x": random.standard_normal((rows, features), dtype=np.float32)}
        outputs = {"y": random.standard_normal((rows, 1), dtype=np.float32)}
        tally = Tally(counter.layout)
        costs = []
        for _ in range(7):
            runs, started = 0, time.thread_time()
            while runs < 3 or time.thread_time() - started < 0.05:
                counter.count(inputs, outputs, tally)
                runs += 1
            costs.append((time.thread_time() - started) / runs / rows)
        print(f"features_{features}_batch_{rows}_us_per_row: {statistics.median(costs) * 1e6:.3g}")
    window = Sliding(counter.layout, 0.0)
    slow = {name: rows[:64] for name, rows in inputs.items()}
    for minute in range(60):  # so slow that every sub-window that may be kept is
        counter.count(slow, {"y": outputs["y"][:64]}, window.current(minute * PERIOD_S))
    print(f"features_{features}_bytes_per_feature: {window.nbytes / (features + 1):.0f}")


def _profile(features: int) -> Profile:
    signature = Signature(
        inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, features)),),
        outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1, 1)),),
    )
    random = np.random.default_rng(0)
    rows = {"x": random.standard_normal((10_000, features), dtype=np.float32)}
    answers = {"y": random.standard_normal((10_000, 1), dtype=np.float32)}
    draft = Draft(signature)
    draft.add(rows, answers)
    draft.count(rows, answers)
    return draft.finish("sha256:" + "0" * 64)


def _serving(folder: Path, args: argparse.Namespace) -> None:
    model = models.mlp(folder / "model.onnx", models.SMALL)
    data, profile = folder / "rows.npz", folder / "made.json"
    np.savez(data, x=np.random.default_rng(2).uniform(-0.5, 0.5, (10_000, WIDTH)))
    command = [sys.executable, "-m", "fairlead_runtime.cli", "profile", "--model", str(model)]
    subprocess.run(
        [*command, "--data", str(data), "--output", str(profile)], check=True, capture_output=True
    )
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(
                running(
                    dataclasses.replace(fairlead(model, extra=("--profile", flag)), name=name),
                    folder / f"{name}.log",
                    {Kind.SIMPLE: body(Kind.SIMPLE, WIDTH, 0)},
                )
            )
            for name, flag in (("off", "off"), ("on", str(profile)))
        ]
        print(f"# a model of {WIDTH} inputs; counting may take {CPU_SHARE:.0%} of one core")
        for name, (connections, rows) in LOADS.items():
            lua = script(folder / f"{name}.lua", body(Kind.SIMPLE, WIDTH, rows))
            _compare(name, servers, lua, connections, args)


def _compare(
    name: str, servers: list[Running], lua: Path, connections: int, args: argparse.Namespace
) -> None:
    def pressed(server: Running, seconds: int = args.seconds) -> Load:
        path = server.how.paths[Kind.SIMPLE]
        return press(server, lua, path, connections=connections, seconds=seconds)

    for server in servers:  # the reserve for bursts is no steady state
        pressed(server, 8)
    results: list[list[Load]] = []
    for repetition in range(args.repetitions):
        turn = servers if repetition % 2 else servers[::-1]
        loads = {server.name: pressed(server) for server in turn}
        results.append([loads[server.name] for server in servers])
    lost = [(1 - on.rps / off.rps) * 100 for off, on in results]
    cpu = [(on.cpu_us / off.cpu_us - 1) * 100 for off, on in results]
    for label, values in (("throughput_lost_percent", lost), ("cpu_added_percent", cpu)):
        print(f"{name}_{label}: {statistics.median(values):.2f}")
        print(f"# {min(values):.2f} to {max(values):.2f} in {len(values)} pairs")
    off, on = (statistics.median(load.rps for load in each) for each in zip(*results, strict=True))
    print(f"# requests a second without and with: {off:.0f}, {on:.0f}")
    spread = [
        abs(first[0].rps / second[0].rps - 1) * 100 for first, second in itertools.pairwise(results)
    ]
    print(f"# one round without drift differs from the next by {statistics.median(spread):.1f} %")


if __name__ == "__main__":
    raise SystemExit(main())

"""What counting drift costs: for each row, in memory, and in a server's throughput.

    python -m bench.drift.serving [--seconds 1] [--starts 14] [--blocks 1]

Two servers of the same model stand side by side and are loaded in turns, one of them with a
profile: off, on, on, off, in short rounds, of which neighbours make a pair. Absolute figures say
something about the machine; the ratios of a pair about drift. Rounds in which others had much of
the machine are left out, by a rule that does not look at what they gave.

Two processes of one and the same program differ by a tenth as long as they live, by where their
memory lies: so there are many starts, and each has one say, the median of its pairs.

What the profile costs is at most overstated: what counting may take is saved up while the other
server is loaded.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench import quiet
from bench.pairs import CONFIDENCE, median_interval
from bench.runtime import models, profiles
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
MOST_PERCENT = 3.0
"""What counting drift may cost."""
SIDES = ("off", "on")
_WARM_UP_S = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round of load, and what others had of the machine during it."""

    load: Load
    shares: quiet.Shares


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two rounds that were neighbours in time, without and with a profile."""

    off: Round
    on: Round

    @property
    def quiet(self) -> bool:
        """Whether it counts."""
        return self.off.shares.quiet and self.on.shares.quiet

    @property
    def throughput_lost_percent(self) -> float:
        """What the profile costs of the requests a second."""
        return (1 - self.on.load.rps / self.off.load.rps) * 100

    @property
    def cpu_per_request_added_percent(self) -> float:
        """What it adds to the server's CPU time of a request, all threads."""
        return (self.on.load.cpu_us / self.off.load.cpu_us - 1) * 100


def main() -> int:
    """Run it and print `name: value` lines."""
    parser = argparse.ArgumentParser(prog="bench.drift.serving", description=__doc__)
    parser.add_argument("--seconds", type=int, default=1, help="of each round of load")
    parser.add_argument("--starts", type=int, default=14, help="of both servers")
    parser.add_argument("--blocks", type=int, default=1, help="of four rounds, for each load")
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
    profile = profiles.made(model, WIDTH, folder)
    print(f"# a model of {WIDTH} inputs; counting may take {CPU_SHARE:.1%} of one core")
    print(
        f"# a round counts where others had at most {quiet.MOST_OTHERS:.0%} of all cores and "
        f"the hypervisor took at most {quiet.MOST_STOLEN:.0%}"
    )
    starts: dict[str, list[list[Pair]]] = {name: [] for name in LOADS}
    sides = [("off", "off"), ("on", str(profile))]
    for start in range(args.starts):
        print(f"# start {start + 1} of {args.starts}", file=sys.stderr)
        with contextlib.ExitStack() as stack:
            servers = {
                name: stack.enter_context(
                    running(
                        dataclasses.replace(fairlead(model, extra=("--profile", flag)), name=name),
                        folder / f"{name}.log",
                        {Kind.SIMPLE: body(Kind.SIMPLE, WIDTH, 0)},
                    )
                )
                for name, flag in (sides if start % 2 == 0 else reversed(sides))
            }
            for name, (connections, rows) in LOADS.items():
                lua = script(folder / f"{name}.lua", body(Kind.SIMPLE, WIDTH, rows))
                starts[name].append(_pairs(servers["off"], servers["on"], lua, connections, args))
    for name in LOADS:
        print("\n".join(report(name, starts[name])))


def _pairs(
    off: Running, on: Running, lua: Path, connections: int, args: argparse.Namespace
) -> list[Pair]:
    for server in (off, on):  # the reserve for bursts is no steady state
        _round(server, lua, connections, _WARM_UP_S)
    pairs = []
    for _ in range(args.blocks):
        # A drift of the machine's speed weighs on both servers alike.
        made = [_round(each, lua, connections, args.seconds) for each in (off, on, on, off)]
        pairs += [Pair(off=made[0], on=made[1]), Pair(off=made[3], on=made[2])]
    return pairs


def _round(server: Running, lua: Path, connections: int, seconds: int) -> Round:
    path = server.how.paths[Kind.SIMPLE]
    before, mine, its = quiet.clocks(), quiet.own_s(), server.cpu_s()
    load = press(server, lua, path, connections=connections, seconds=seconds)
    mine_s = quiet.own_s() - mine + server.cpu_s() - its
    return Round(load=load, shares=quiet.shares(before, quiet.clocks(), mine_s))


def report(name: str, starts: Sequence[Sequence[Pair]]) -> Iterator[str]:
    """Yield what pairs of rounds say, by the start of their servers, as `name: value` lines."""
    calm = [kept for each in starts if (kept := [pair for pair in each if pair.quiet])]
    yield f"{name}_quiet_starts: {len(calm)}"
    yield f"# of {len(starts)}"
    for label in ("throughput_lost_percent", "cpu_per_request_added_percent"):
        found, whole = (
            median_interval([statistics.median(getattr(p, label) for p in each) for each in some])
            for some in (calm, starts)
        )
        yield f"{name}_{label}: {found.median:.2f}"
        yield f"{name}_{label}_low: {found.low:.2f}"
        yield f"{name}_{label}_high: {found.high:.2f}"
        yield f"{name}_{label}_verdict: {found.verdict(MOST_PERCENT)}"
        yield (
            f"# aim: at most {MOST_PERCENT:g}; the interval holds the median with "
            f"{CONFIDENCE:.0%}; of all starts, loud ones too: "
            f"{whole.median:.2f} ({whole.low:.2f} to {whole.high:.2f})"
        )
    pairs = [pair for each in starts for pair in each]
    rates = [statistics.median(getattr(pair, side).load.rps for pair in pairs) for side in SIDES]
    yield f"# requests a second without and with: {rates[0]:.0f}, {rates[1]:.0f}"
    rounds = [getattr(pair, side) for pair in pairs for side in SIDES]
    others, stolen = (
        statistics.median(getattr(each.shares, what) for each in rounds)
        for what in ("others", "stolen")
    )
    yield f"# others had {others:.1%} of all cores, the hypervisor took {stolen:.1%} (medians)"


if __name__ == "__main__":
    raise SystemExit(main())

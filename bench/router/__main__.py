"""What a router costs: Envoy with the operator's configuration, against the runtime alone.

The same requests, each of another user, go to the runtime directly and through routers, in turns
within each repetition. Absolute figures say something about the machine; what is added is of
neighbours in time.

    python -m bench.router [--seconds 3] [--repetitions 5] [--connections 1 8]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from bench.router.envoy import routing, rss_mb
from bench.runtime import models
from bench.runtime.bodies import Kind, body
from bench.runtime.load import Load, press, script
from bench.runtime.servers import Running, fairlead, running
from cluster.controlplane import free_ports
from fairlead_operator.traffic.split import Arm, Settings, Split
from fairlead_runtime.contract.assignment import MAX_RUNS, SLOTS, Run, Table

# Pods and listeners have the same ports, so each has an address of its own.
POD, ROUTERS = "127.0.0.1", ("127.0.0.3", "127.0.0.4")
HEADER = "x-user-id"
# Each request is another user's, so that all runs of the table are walked.
USERS = f"""
local user = 0
request = function()
  user = user + 1
  wrk.headers["{HEADER}"] = "user-" .. user
  return wrk.format()
end
"""


@dataclass(frozen=True)
class Round:
    """One round of load: what the client saw, and the CPU of router and runtime per request."""

    load: Load
    router_us: float
    runtime_us: float


def main() -> int:
    """Run it and print `name: value` lines."""
    parser = argparse.ArgumentParser(prog="bench.router", description=__doc__)
    parser.add_argument("--seconds", type=int, default=3, help="of each round of load")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8])
    args = parser.parse_args()
    if shutil.which("wrk") is None:
        print("wrk is missing: install it (Debian: apt-get install wrk)", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory(prefix="fairlead-bench-") as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        model = models.mlp(folder / "small.onnx", models.SMALL)
        asked = body(Kind.SIMPLE, models.SMALL[0], 0)
        pod = stack.enter_context(
            running(fairlead(model), folder / "pod.log", {Kind.SIMPLE: asked})
        )
        routers = [
            stack.enter_context(_router(runs, listen, pod.port, folder))
            for runs, listen in zip((1, MAX_RUNS), ROUTERS, strict=True)
        ]
        lua = script(folder / "users.lua", asked)
        lua.write_text(lua.read_text() + USERS)
        found: dict[tuple[str, int], list[Round]] = defaultdict(list)
        for repetition in range(args.repetitions):
            ways = [pod, *routers]
            # Another order each time: nobody always runs after the same neighbour.
            turn = repetition % len(ways)
            for connections in args.connections:
                for way in ways[turn:] + ways[:turn]:
                    made = _round(way, pod, lua, connections, args.seconds)
                    found[way.name, connections].append(made)
            print(f"repetition {repetition + 1} of {args.repetitions}", file=sys.stderr)
        _report(pod, routers, args.connections, found)
    return 0


def _router(
    runs: int, listen: str, port: int, folder: Path
) -> contextlib.AbstractContextManager[Running]:
    grpc, metrics, admin = free_ports(3)
    name = f"runs{runs}"
    settings = Settings(
        name=name,
        folder=str(folder / name),
        listen=listen,
        http_port=port,
        grpc_port=grpc,
        metrics_port=metrics,
        admin_port=admin,
    )
    arms = tuple(Arm(name=each, key=f"bench-{each}", host=POD) for each in ("stable", "other"))
    split = Split(arms=arms, table=_table(runs), header=HEADER, salt="bench", experiment="bench")
    return routing(name, split, settings, folder)


def _table(runs: int) -> Table:
    """Return a table of so many runs, of two arms in turns."""
    width = SLOTS // runs
    made = [Run(("stable", "other")[index % 2], width) for index in range(runs - 1)]
    return (*made, Run(("stable", "other")[(runs - 1) % 2], SLOTS - width * (runs - 1)))


def _round(way: Running, pod: Running, lua: Path, connections: int, seconds: int) -> Round:
    before = pod.cpu_s()
    load = press(way, lua, "/predict", connections=connections, seconds=seconds)
    if way is pod:
        return Round(load, 0.0, load.cpu_us)
    requests = load.rps * seconds
    return Round(load, load.cpu_us, (pod.cpu_s() - before) / max(1.0, requests) * 1e6)


def _report(
    pod: Running,
    routers: list[Running],
    connections: list[int],
    found: dict[tuple[str, int], list[Round]],
) -> None:
    cores, load = os.cpu_count(), os.getloadavg()[0]
    print(f"# {cores} cores, {platform.machine()}; load average after: {load:.1f}")
    print("# Of rounds that were neighbours in time, medians; p50 and p99 of a closed loop.")
    for count in connections:
        alone = found[pod.name, count]
        _lines(f"direct_c{count}", alone)
        for router in routers:
            prefix = f"{router.name}_c{count}"
            through = found[router.name, count]
            _lines(prefix, through)
            pairs = list(zip(through, alone, strict=True))
            for part in ("p50_ms", "p99_ms"):
                added = [getattr(a.load, part) - getattr(b.load, part) for a, b in pairs]
                print(f"{prefix}_added_{part}: {statistics.median(added):.3f}")
                print(f"# {min(added):.3f} to {max(added):.3f}")
            # The runtime's part changes too: its clients are now the router's few connections.
            cpu = [a.router_us + a.runtime_us - b.runtime_us for a, b in pairs]
            print(f"{prefix}_added_cpu_us: {statistics.median(cpu):.1f}")
            print(f"# {min(cpu):.1f} to {max(cpu):.1f}")
            _line(f"{prefix}_router_cpu_us", [each.router_us for each in through])
            _line(f"{prefix}_runtime_cpu_us", [each.runtime_us for each in through])
    for router in routers:
        print(f"{router.name}_rss_mb: {rss_mb(router.pid):.1f}")
        print(f"{router.name}_ready_s: {router.ready_s:.2f}")


def _lines(prefix: str, rounds: list[Round]) -> None:
    _line(f"{prefix}_rps", [each.load.rps for each in rounds])
    _line(f"{prefix}_p50_ms", [each.load.p50_ms for each in rounds])
    _line(f"{prefix}_p99_ms", [each.load.p99_ms for each in rounds])
    if prefix.startswith("direct"):
        _line(f"{prefix}_runtime_cpu_us", [each.runtime_us for each in rounds])


def _line(name: str, values: list[float]) -> None:
    print(f"{name}: {statistics.median(values):.4g}")


if __name__ == "__main__":
    raise SystemExit(main())

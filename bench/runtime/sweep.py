"""Past saturation: our server under ever more connections, more rows, a larger model.

Throughput must not fall by more than a tenth from its best. `bare` does nothing at all and is
loaded in turns with the small model, by the same bodies: the time a request that it loses,
loopback, the kernel and wrk lose. `refused` has what becomes of those that cannot be served.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.runtime import models
from bench.runtime.bodies import Kind, all_kinds, body
from bench.runtime.load import Load, press, script
from bench.runtime.report import Bar
from bench.runtime.servers import bare, fairlead, running

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
KEPT = 0.9
"""Of its best throughput, which more connections must leave."""
_WITH_BARE = "small"
_SHAPES = (("small", models.SMALL, 0), ("small", models.SMALL, 64), ("medium", models.MEDIUM, 0))


@dataclass(frozen=True)
class Point:
    """One place of the sweep, and its rounds in the order of repetitions."""

    model: str
    rows: int
    connections: int
    rounds: Sequence[Load]

    @property
    def load(self) -> Load:
        """The medians of the rounds."""
        fields = ("rps", "p50_ms", "p99_ms", "cpu_us", "refused")
        rounds = self.rounds
        return Load(
            **{each: statistics.median(getattr(x, each) for x in rounds) for each in fields}
        )


def sweep(folder: Path, *, seconds: int, repetitions: int) -> list[Point]:
    """Return the points; connections are visited upwards, then downwards, and so on."""
    points: list[Point] = []
    for model, sizes, rows in _SHAPES:
        path = models.mlp(folder / f"{model}.onnx", sizes)
        lua = script(folder / f"sweep-{model}-{rows}.lua", body(Kind.BINARY, sizes[0], rows))
        hows = [fairlead(path)]
        if model == _WITH_BARE:
            hows.append(bare())
        found: dict[tuple[str, int], list[Load]] = {}
        with contextlib.ExitStack() as stack:
            up = [
                stack.enter_context(running(how, folder / "sweep.log", all_kinds(sizes[0], 0)))
                for how in hows
            ]
            for repetition in range(repetitions):
                print(f"# sweep {model}, {rows or 1} rows: {repetition + 1}", file=sys.stderr)
                for connections in CONNECTIONS[:: 1 if repetition % 2 == 0 else -1]:
                    for server in up:
                        load = press(
                            server, lua, server.how.paths[Kind.BINARY],
                            connections=connections, seconds=seconds, refusals=True,
                        )  # fmt: skip
                        name = "bare" if server.name == "bare" else model
                        found.setdefault((name, connections), []).append(load)
        points += [
            Point(name, rows or 1, connections, found[name, connections])
            for name in dict.fromkeys(name for name, _ in found)
            for connections in CONNECTIONS
        ]
    return points


def kept(points: Sequence[Point]) -> dict[str, float]:
    """Return by shape: the least throughput past its best, as a share of the best."""
    shares = {}
    for (model, rows), mine in _shapes(points).items():
        best, worst = _ends(mine)
        shares[f"sweep_{model}_rows{rows}_kept"] = worst.load.rps / best.load.rps
    return shares


def bars(points: Sequence[Point]) -> list[Bar]:
    """Return for each shape whether it keeps its throughput.

    Where the best and the worst are is told by the medians; then each repetition has a share of its
    own. With `bare` beside it there is a second bar: what bare's requests take longer there, in
    time, is taken off what ours take. A share of bare's rate would flatter us: of a request of ten
    microseconds a microsecond is a tenth.
    """
    shapes, found = _shapes(points), []
    for (model, rows), mine in shapes.items():
        if model == "bare":
            continue
        best, worst = _ends(mine)
        what = f"{model}, {'single rows' if rows == 1 else f'{rows} rows'}"
        where = f"from {best.connections} to {worst.connections} connections"
        name = f"{what}: throughput kept {where}"
        pairs = list(zip(best.rounds, worst.rounds, strict=True))
        found.append(Bar(name, [low.rps / high.rps for high, low in pairs], KEPT))
        idle = {each.connections: each for each in shapes.get(("bare", rows), ())}
        if model == _WITH_BARE and idle:
            lost = [
                1 / low.rps - 1 / high.rps
                for high, low in zip(
                    idle[best.connections].rounds, idle[worst.connections].rounds, strict=True
                )
            ]
            net = [
                1 / high.rps / max(1 / high.rps, 1 / low.rps - max(0.0, its))
                for (high, low), its in zip(pairs, lost, strict=True)
            ]
            found.append(Bar(f"{name}, the time that bare loses taken off", net, KEPT))
    return found


def _shapes(points: Sequence[Point]) -> dict[tuple[str, int], list[Point]]:
    shapes: dict[tuple[str, int], list[Point]] = {}
    for each in points:
        shapes.setdefault((each.model, each.rows), []).append(each)
    return shapes


def _ends(points: Sequence[Point]) -> tuple[Point, Point]:
    """Return the point with the best throughput, and the one with the least from there on."""
    best = max(range(len(points)), key=lambda index: points[index].load.rps)
    return points[best], min(points[best:], key=lambda each: each.load.rps)


def table(points: Sequence[Point]) -> list[str]:
    """Return a Markdown table."""
    lines = [
        "| model | rows | connections | answers/s | p50 ms | p99 ms | CPU us | refused |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for each in points:
        load = each.load
        lines.append(
            f"| {each.model} | {each.rows} | {each.connections} | {load.rps:,.0f} | "
            f"{load.p50_ms:.2f} | {load.p99_ms:.2f} | {load.cpu_us:.0f} | {load.refused:.1%} |"
        )
    return lines

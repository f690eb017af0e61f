"""Past saturation: our server under ever more connections, more rows, a larger model.

Throughput must not fall by more than a tenth from its best, and what cannot be served is refused
at once with 429 instead of waiting. `bare` does nothing at all and is loaded in turns with the
small model: what it loses, loopback, the kernel and wrk lose.
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
from bench.runtime.servers import bare, fairlead, running

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_WITH_BARE = ("small", 0)
_SHAPES = (("small", models.SMALL, 0), ("small", models.SMALL, 64), ("medium", models.MEDIUM, 0))


@dataclass(frozen=True)
class Point:
    """One place of the sweep: the medians of its rounds."""

    model: str
    rows: int
    connections: int
    load: Load


def sweep(folder: Path, *, seconds: int, repetitions: int, max_queue: int | None) -> list[Point]:
    """Return the points; connections are visited upwards, then downwards, and so on."""
    points: list[Point] = []
    extra = () if max_queue is None else ("--max-queue", str(max_queue))
    for model, sizes, rows in _SHAPES:
        path = models.mlp(folder / f"{model}.onnx", sizes)
        lua = script(folder / f"sweep-{model}-{rows}.lua", body(Kind.BINARY, sizes[0], rows))
        hows = [fairlead(path, extra=extra)]
        if (model, rows) == _WITH_BARE:
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
            Point(name, rows or 1, connections, _middle(found[name, connections]))
            for name in dict.fromkeys(name for name, _ in found)
            for connections in CONNECTIONS
        ]
    return points


def kept(points: Sequence[Point]) -> dict[str, float]:
    """Return by shape: the least throughput past its best, as a share of the best."""
    shares = {}
    for model, rows in dict.fromkeys((each.model, each.rows) for each in points):
        rates = [each.load.rps for each in points if (each.model, each.rows) == (model, rows)]
        best = rates.index(max(rates))
        shares[f"sweep_{model}_rows{rows}_kept"] = min(rates[best:]) / rates[best]
    return shares


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


def _middle(loads: Sequence[Load]) -> Load:
    fields = ("rps", "p50_ms", "p99_ms", "cpu_us", "refused")
    return Load(**{name: statistics.median(getattr(x, name) for x in loads) for name in fields})

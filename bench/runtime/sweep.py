"""Past saturation: our server under ever more connections, more rows, a larger model.

Throughput must not fall by more than a tenth from its best, and what cannot be served is refused
at once with 429 instead of waiting.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.runtime import models
from bench.runtime.bodies import Kind, all_kinds, body
from bench.runtime.load import Load, press, script
from bench.runtime.servers import fairlead, running

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
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
        how = fairlead(path, extra=extra)
        found: dict[int, list[Load]] = {each: [] for each in CONNECTIONS}
        with running(how, folder / "sweep.log", all_kinds(sizes[0], 0)) as server:
            for repetition in range(repetitions):
                print(f"# sweep {model}, {rows or 1} rows: {repetition + 1}", file=sys.stderr)
                for connections in CONNECTIONS[:: 1 if repetition % 2 == 0 else -1]:
                    load = press(
                        server, lua, how.paths[Kind.BINARY],
                        connections=connections, seconds=seconds, refusals=True,
                    )  # fmt: skip
                    found[connections].append(load)
        points += [Point(model, rows or 1, n, _middle(loads)) for n, loads in found.items()]
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
        "| model | rows | connections | answers/s | p50 ms | p99 ms | refused |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for each in points:
        load = each.load
        lines.append(
            f"| {each.model} | {each.rows} | {each.connections} | {load.rps:,.0f} | "
            f"{load.p50_ms:.2f} | {load.p99_ms:.2f} | {load.refused:.1%} |"
        )
    return lines


def _middle(loads: Sequence[Load]) -> Load:
    fields = ("rps", "p50_ms", "p99_ms", "cpu_us", "refused")
    return Load(**{name: statistics.median(getattr(x, name) for x in loads) for name in fields})

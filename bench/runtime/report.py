"""Tables, `name: value` lines and the bars, from what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.runtime.load import Load
from bench.runtime.measure import Results
from bench.runtime.scenarios import Scenario
from bench.runtime.servers import FULL

OURS = "fairlead-own"


@dataclass(frozen=True)
class Bar:
    """A ratio or figure that is aimed at.

    Attributes:
        name: What is compared.
        values: One value for each repetition: of rounds that were neighbours in time.
        limit: What is to be reached.
        least: Whether the limit is the least; else the most.
    """

    name: str
    values: Sequence[float]
    limit: float
    least: bool = True

    @property
    def missed(self) -> bool:
        """Whether the whole spread is on the wrong side."""
        best = max(self.values) if self.least else min(self.values)
        return best < self.limit if self.least else best > self.limit


def table(scenarios: Sequence[Scenario], results: Results) -> list[str]:
    """Return a Markdown table of all scenarios and servers."""
    lines = [
        "| scenario | server | requests/s | min to max | ours is | p50 ms | p99 ms | CPU us |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for scenario in scenarios:
        ours = _ours(scenario, results)
        for name, server, loads in _rounds(scenario, results):
            rps = [load.rps for load in loads]
            middle = [
                statistics.median(getattr(load, field) for load in loads)
                for field in ("p50_ms", "p99_ms", "cpu_us")
            ]
            ratio = statistics.median(a.rps / b.rps for a, b in zip(ours, loads, strict=True))
            lines.append(
                f"| {name} | {server} | {statistics.median(rps):,.0f} | {min(rps):,.0f} to "
                f"{max(rps):,.0f} | {ratio:.2f} x | {middle[0]:.2f} | {middle[1]:.2f} | "
                f"{middle[2]:.0f} |"
            )
    return lines


def standing(results: Results) -> list[str]:
    """Return a Markdown table of memory and start."""
    lines = ["| model | server | PSS MB | ready s, median (min to max) |", "|---|---|--:|--:|"]
    for (model, server), pss in results.pss_mb.items():
        ready = results.ready_s[model, server]
        spread = f"{statistics.median(ready):.2f} ({min(ready):.2f} to {max(ready):.2f})"
        lines.append(f"| {model} | {server} | {pss:.0f} | {spread} |")
    for (model, batch), rates in results.alone.items():
        text = f"{statistics.median(rates):,.0f} rows/s ({min(rates):,.0f} to {max(rates):,.0f})"
        lines.append(f"| {model} | onnxruntime alone, batch {batch} | - | {text} |")
    if results.logged is not None:
        lines += ["", f"*{FULL}* logged {results.logged:.1%} of its answers."]
    return lines


def figures(scenarios: Sequence[Scenario], results: Results) -> dict[str, float]:
    """Return the figures by name."""
    found: dict[str, float] = {}
    for scenario in scenarios:
        ours = _ours(scenario, results)
        for name, server, loads in _rounds(scenario, results):
            prefix = _key(name, server)
            found[f"{prefix}_rps"] = statistics.median(load.rps for load in loads)
            found[f"{prefix}_cpu_us"] = statistics.median(load.cpu_us for load in loads)
            found[f"{prefix}_p50_ms"] = statistics.median(load.p50_ms for load in loads)
            found[f"{prefix}_p99_ms"] = statistics.median(load.p99_ms for load in loads)
            if loads is not ours:
                ratios = [a.rps / b.rps for a, b in zip(ours, loads, strict=True)]
                key = _key(name, "own_over", server)
                found[key] = statistics.median(ratios)
                found[f"{key}_min"], found[f"{key}_max"] = min(ratios), max(ratios)
    for (model, server), pss in results.pss_mb.items():
        found[_key(model, server, "pss_mb")] = pss
        found[_key(model, server, "ready_s")] = statistics.median(results.ready_s[model, server])
    if results.logged is not None:
        found["fairlead_full_logged_share"] = results.logged
    for (model, batch), rates in results.alone.items():
        found[f"{model}_onnxruntime_batch{batch}_rows_per_s"] = statistics.median(rates)
    return found


def bars(results: Results) -> list[Bar]:
    """Return the bars of which both sides were measured.

    Those of the small model's single rows, its memory and its start come from a server with
    prediction log and drift counts on, and are judged for ours with both.
    """
    found = [
        _ratio(results, "small-c32", "fastapi", 6.0, ours=FULL),
        _ratio(results, "small-c32", "mosec", 4.0, ours=FULL),
        _ratio(results, "small-c32", "mlserver", 9.0, ours=FULL),
        _ratio(results, "small-c1", "fastapi", 1.7, ours=FULL),
        _ratio(results, "medium-c32", "mosec-batched", 1.0),
        _ratio(results, "rows64-binary-c8", "mosec", 3.3, peers_scenario="rows64-c8"),
        _ratio(results, "rows64-c8", "mosec", 1.6),
        _of_onnxruntime(results),
        *_of_grpc(results),
        *_standing(results),
    ]
    return [each for each in found if each is not None]


def bar_lines(found: Sequence[Bar]) -> list[str]:
    """Return a Markdown table of the bars."""
    lines = ["| bar | limit | median | spread | |", "|---|--:|--:|--:|---|"]
    for bar in found:
        sign, verdict = (">=" if bar.least else "<="), ("missed" if bar.missed else "met")
        middle = statistics.median(bar.values)
        within = middle >= bar.limit if bar.least else middle <= bar.limit
        word = verdict if within or bar.missed else "within the spread"
        lines.append(
            f"| {bar.name} | {sign} {bar.limit:g} | {middle:.3g} | {min(bar.values):.3g} to "
            f"{max(bar.values):.3g} | {word} |"
        )
    return lines


def _ours(scenario: Scenario, results: Results) -> list[Load]:
    return results.loads[scenario.name, f"{OURS}-grpc" if scenario.grpc else OURS]


def _rounds(scenario: Scenario, results: Results) -> Iterator[tuple[str, str, list[Load]]]:
    for (name, server), loads in list(results.loads.items()):
        if name == scenario.name and loads:
            yield name, server, loads


def _ratio(
    results: Results,
    scenario: str,
    peer: str,
    limit: float,
    *,
    ours: str = OURS,
    peers_scenario: str | None = None,
) -> Bar | None:
    own = results.loads.get((scenario, ours))
    other = results.loads.get((peers_scenario or scenario, peer))
    if not own or not other:
        return None
    values = [mine.rps / its.rps for mine, its in zip(own, other, strict=True)]
    return Bar(f"{scenario}: requests/s of {ours} over {peer}", values, limit)


def _of_onnxruntime(results: Results) -> Bar | None:
    ours, alone = results.loads.get(("medium-binary-c32", OURS)), results.alone.get(("medium", 32))
    if not ours or not alone:
        return None
    values = [load.rps / rate for load, rate in zip(ours, alone, strict=True)]
    return Bar("medium-binary-c32: rows/s over onnxruntime's at batch 32", values, 0.68)


def _of_grpc(results: Results) -> Iterator[Bar]:
    ours = results.loads.get(("grpc-c8", f"{OURS}-grpc"))
    if not ours:
        return
    yield Bar("grpc-c8: CPU us a request", [load.cpu_us for load in ours], 420, least=False)
    other = results.loads.get(("grpc-c8", "kserve"))
    if other:
        values = [its.cpu_us / mine.cpu_us for mine, its in zip(ours, other, strict=True)]
        yield Bar("grpc-c8: kserve's CPU over ours", values, 1.5)


def _standing(results: Results) -> Iterator[Bar]:
    key = ("small", FULL)
    if key in results.pss_mb:
        yield Bar(f"{FULL}: PSS MB with gRPC off", [results.pss_mb[key]], 60, least=False)
        name = f"{FULL}: seconds from start to first answer"
        yield Bar(name, results.ready_s[key], 0.5, least=False)


def _key(*parts: str) -> str:
    return "_".join(parts).replace("-", "_")

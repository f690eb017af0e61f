"""Under overload with a short queue: how much is refused, and how soon, apart from what is served.

A server takes 64 waiting requests. More clients than that each have one request under way: one
that is answered asks again at once, one that is refused (429) waits about 100 ms first, as whoever
retries does. So there are always more than can be served, and few enough refusals that they do not
wait for each other in the client.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from bench.runtime import models
from bench.runtime.bodies import Kind, all_kinds, body
from bench.runtime.servers import Running, fairlead, running

MAX_QUEUE = 64
CONNECTIONS = (256, 512)
_MODELS = (("small", models.SMALL), ("medium", models.MEDIUM))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one round gave.

    Attributes:
        answers_per_s: Answers a second.
        refused: Share of the requests that were refused.
        answer_p50_ms: Median latency of the answers.
        answer_p99_ms: 99th percentile of the same.
        refusal_p50_ms: Median latency of the refusals.
        refusal_p99_ms: 99th percentile of the same.
    """

    answers_per_s: float
    refused: float
    answer_p50_ms: float
    answer_p99_ms: float
    refusal_p50_ms: float
    refusal_p99_ms: float


@dataclass(frozen=True)
class Refused:
    """The medians of the rounds with one model and so many connections."""

    model: str
    connections: int
    outcome: Outcome


def measure(folder: Path, *, seconds: int, repetitions: int) -> list[Refused]:
    """Return what becomes of the requests of each model at each number of connections."""
    found = []
    for model, sizes in _MODELS:
        path = models.mlp(folder / f"{model}.onnx", sizes)
        asked = body(Kind.BINARY, sizes[0], 0)
        content = folder / f"refused-{model}.body"
        content.write_bytes(asked.data)
        how = fairlead(path, extra=("--max-queue", str(MAX_QUEUE)))
        rounds: dict[int, list[Outcome]] = {each: [] for each in CONNECTIONS}
        with running(how, folder / "refused.log", all_kinds(sizes[0], 0)) as server:
            for repetition in range(repetitions):
                print(f"# refused {model}: {repetition + 1}", file=sys.stderr)
                for connections in CONNECTIONS:
                    made = press(server, content, asked.headers, connections, seconds)
                    rounds[connections].append(made)
        found += [Refused(model, each, _middle(made)) for each, made in rounds.items()]
    return found


def press(
    server: Running, content: Path, headers: object, connections: int, seconds: float
) -> Outcome:
    """Load a server for a while, by a process of its own.

    Raises:
        RuntimeError: There were answers of another kind, or connections broke.
    """
    path = server.how.paths[Kind.BINARY]
    arguments = [str(each) for each in (server.port, path, content, connections, seconds)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.runtime.crowd", *arguments, json.dumps(headers)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{server.name}: {done.stderr[-2000:]}")
    return Outcome(**json.loads(done.stdout))


def table(found: Sequence[Refused]) -> list[str]:
    """Return a Markdown table."""
    columns = (
        "model",
        "connections",
        "answers/s",
        "refused",
        "answers: p50 / p99 ms",
        "refusals: p50 / p99 ms",
    )
    lines = [
        f"With `--max-queue {MAX_QUEUE}`, single rows; who is refused asks again after 100 ms.",
        "",
        "| " + " | ".join(columns) + " |",
        "|---" + "|--:" * (len(columns) - 1) + "|",
    ]
    for each in found:
        its = each.outcome
        lines.append(
            f"| {each.model} | {each.connections} | {its.answers_per_s:,.0f} | {its.refused:.1%} | "
            f"{its.answer_p50_ms:.2f} / {its.answer_p99_ms:.2f} | "
            f"{its.refusal_p50_ms:.2f} / {its.refusal_p99_ms:.2f} |"
        )
    return lines


def figures(found: Sequence[Refused]) -> dict[str, float]:
    """Return the figures by name."""
    return {
        f"refused_{each.model}_c{each.connections}_{field.name}": getattr(each.outcome, field.name)
        for each in found
        for field in fields(Outcome)
    }


def _middle(rounds: Sequence[Outcome]) -> Outcome:
    names = [field.name for field in fields(Outcome)]
    return Outcome(**{x: statistics.median(getattr(each, x) for each in rounds) for x in names})

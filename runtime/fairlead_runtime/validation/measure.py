"""Runs a model and collects the facts. Here is everything that touches files and the clock."""

from __future__ import annotations

import concurrent.futures
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fairlead_runtime.engine.providers import Asked
from fairlead_runtime.engine.session import OnnxEngine, cpu_limit
from fairlead_runtime.protocol.errors import InferenceError
from fairlead_runtime.protocol.types import Array
from fairlead_runtime.validation.compare import compare, non_finite
from fairlead_runtime.validation.facts import Compared, Facts, Probed, Round
from fairlead_runtime.workbench.datafiles import Examples, read_examples
from fairlead_runtime.workbench.errors import DataMismatchError, ToolError
from fairlead_runtime.workbench.opening import no_memory, open_model
from fairlead_runtime.workbench.probes import (
    check_batch,
    fixed_batch,
    made_up,
    row_count,
    take,
)
from fairlead_runtime.workbench.timing import repeat, summarise

ROUNDS = 5
_PROBE_ROWS = 64
_WARM_UP = 20
_CHUNK = 1024

Inputs = Mapping[str, Array]
Progress = Callable[[str], None]


def measure(
    model: Path,
    *,
    examples: Path | None,
    tolerance_milli: int,
    threads: int,
    asked: Asked,
    fallback: bool,
    batch_size: int | None,
    round_seconds: float,
    round_runs: int,
    progress: Progress,
) -> Facts:
    """Collect the facts about a model; what makes no sense any more is not measured.

    Raises:
        ToolError: A fault of the surroundings: a file is missing, memory is short.
    """
    progress("loading the model")
    started = time.perf_counter()
    try:
        engine = open_model(model, threads=threads, asked=asked, fallback=fallback)
    except ToolError as error:
        if not error.blames_model:
            raise
        return Facts(load_error=str(error))
    load_ms = round((time.perf_counter() - started) * 1000)
    facts = Facts(load_ms=load_ms, signature=engine.signature)
    if examples is not None:
        progress("running the examples")
        try:
            golden = read_examples(examples, engine.signature)
        except DataMismatchError as error:  # its names, types or shapes are not those it had
            return replace(facts, examples_misfit=str(error))
        compared, probed = _golden(engine, golden, tolerance_milli)
        if probed.refused:
            misfit = f"it fails on {probed.rows} rows at once: {probed.refused}"
            return replace(facts, examples_misfit=misfit)
        facts = replace(facts, compared=compared)
        inputs: Inputs = golden.inputs
    else:
        progress("running made-up rows")
        inputs = made_up(engine.signature, rows=fixed_batch(engine.signature) or _PROBE_ROWS)
        probed = _probe(engine, inputs)
    facts = replace(facts, probed=probed)
    if probed.refused:
        return facts
    size = batch_size or fixed_batch(engine.signature) or 1
    check_batch(engine.signature, size)
    batch = take(inputs, rows=size)
    # It may declare a free batch axis and still take only batches of one size.
    alone = _probe(engine, batch)
    if alone.refused:
        return replace(facts, probed=replace(alone, made_up=probed.made_up))
    repeat(lambda: engine.run(batch, None), runs=_WARM_UP, seconds=round_seconds)
    rounds = []
    for number in range(1, ROUNDS + 1):
        progress(f"latency, round {number} of {ROUNDS}")
        rounds.append(_round(engine, batch, seconds=round_seconds, runs=round_runs))
    progress("throughput")
    rate = _throughput(engine, batch, workers=max(1, cpu_limit() // threads), seconds=round_seconds)
    return replace(facts, rounds=tuple(rounds), throughput_rps=rate)


def _golden(
    engine: OnnxEngine, golden: Examples, tolerance_milli: int
) -> tuple[tuple[Compared, ...], Probed]:
    rows = row_count(golden.inputs)
    try:
        outputs = _run(engine, golden.inputs, rows)
    except InferenceError as error:
        return (), Probed(rows=rows, made_up=False, refused=_refusal(error))
    compared = tuple(
        compare(name, wanted, outputs[name], tolerance_milli=tolerance_milli)
        for name, wanted in golden.outputs.items()
    )
    expected, _ = non_finite(golden.outputs, rows)
    found, names = non_finite(outputs, rows)
    bad = int((found & ~expected).sum())  # NaN that the examples ask for is no fault
    return compared, Probed(
        rows=rows, non_finite_rows=bad, outputs=names if bad else (), made_up=False
    )


def _probe(engine: OnnxEngine, inputs: Inputs) -> Probed:
    rows = row_count(inputs)
    try:
        found, names = non_finite(engine.run(inputs, None), rows)
    except InferenceError as error:
        return Probed(rows=rows, refused=_refusal(error))
    return Probed(rows=rows, non_finite_rows=int(found.sum()), outputs=names)


def _run(engine: OnnxEngine, inputs: Inputs, rows: int) -> dict[str, Any]:
    """Run all rows, in parts where they are very many."""
    if rows <= _CHUNK:
        return engine.run(inputs, None)
    starts = range(0, rows, _CHUNK)
    parts = [
        engine.run({name: array[start : start + _CHUNK] for name, array in inputs.items()}, None)
        for start in starts
    ]
    return {name: _joined([part[name] for part in parts]) for name in parts[0]}


def _joined(parts: list[Any]) -> Any:  # noqa: ANN401 - an output of any kind
    if isinstance(parts[0], list):
        return list(itertools.chain.from_iterable(parts))
    return np.concatenate(parts)


def _refusal(error: InferenceError) -> str:
    if no_memory(str(error)):
        raise ToolError("OutOfMemory", f"{error}: give this process more memory") from error
    return str(error)


def _round(engine: OnnxEngine, batch: Inputs, *, seconds: float, runs: int) -> Round:
    timing = summarise(repeat(lambda: engine.run(batch, None), runs=runs, seconds=seconds))
    return Round(
        runs=timing.runs,
        p50_micros=round(timing.p50_ms * 1000),
        p99_micros=round(timing.p99_ms * 1000),
    )


def _throughput(engine: OnnxEngine, batch: Inputs, *, workers: int, seconds: float) -> int:
    """Return the requests that this process answers in a second with all its workers busy."""

    def work() -> float:
        taken = repeat(lambda: engine.run(batch, None), runs=1_000_000, seconds=seconds)
        return len(taken) / sum(taken)

    if workers == 1:
        return int(work())
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return int(sum(each.result() for each in [pool.submit(work) for _ in range(workers)]))

"""The sweep: one session for each number of threads, in it one measurement for each batch size."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairlead_runtime.benchmark.recommend import Recommendation, Setting, recommend
from fairlead_runtime.engine.session import OnnxEngine, cpu_limit
from fairlead_runtime.protocol.errors import InferenceError
from fairlead_runtime.protocol.types import Array, Signature
from fairlead_runtime.workbench.datafiles import read_inputs
from fairlead_runtime.workbench.errors import ToolError
from fairlead_runtime.workbench.opening import model_file, open_model
from fairlead_runtime.workbench.probes import check_batch, fixed_batch, made_up, take
from fairlead_runtime.workbench.timing import repeat, summarise

Progress = Callable[[str], None]
_LEAST_RUNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What a model reached.

    Attributes:
        model: Its file.
        cpus: CPUs that this process may use.
        settings: Each setting of the sweep, in the order of measuring.
        recommendation: The setting to use; None where none keeps the limit.
        max_latency_ms: The limit; None where there was none.
    """

    model: Path
    cpus: int
    settings: tuple[Setting, ...]
    recommendation: Recommendation | None
    max_latency_ms: float | None


def benchmark(
    model: str | os.PathLike[str],
    *,
    threads: Sequence[int] | None = None,
    batch_sizes: Sequence[int] | None = None,
    runs: int = 1000,
    warm_up: int = 20,
    seconds: float = 5.0,
    max_latency_ms: float | None = None,
    inputs: str | os.PathLike[str] | Mapping[str, Array] | None = None,
    progress: Progress = lambda _: None,
) -> Benchmark:
    """Measure a model.

    Args:
        model: File, or folder with `model.onnx`.
        threads: Numbers of threads to try; None tries the CPU limit only.
        batch_sizes: Batch sizes to try; None tries 1, or the only one that the model takes.
        runs: Most runs of a setting.
        warm_up: Runs before that are not measured.
        seconds: Most seconds of a setting; at least five runs are made.
        max_latency_ms: Limit of the 99th percentile for the recommendation.
        inputs: Rows to use (arrays by input name, or a file); None makes some up.
        progress: Told what is measured.

    Raises:
        ToolError: The model cannot be loaded or run, or the inputs do not fit.
    """
    path = model_file(model)
    wanted_threads = tuple(threads or (cpu_limit(),))
    settings: list[Setting] = []
    rows: Mapping[str, Array] | None = None
    for count in wanted_threads:
        engine = open_model(path, threads=count)
        rows = _rows(inputs, engine.signature)
        sizes = tuple(batch_sizes or (fixed_batch(engine.signature) or 1,))
        for size in sizes:
            check_batch(engine.signature, size)
        for size in sizes:
            place = f"{len(settings) + 1}/{len(wanted_threads) * len(sizes)}"
            progress(f"{place}: {count} threads, batches of {size}")
            batch = take(rows, rows=size) if rows else made_up(engine.signature, rows=size)
            settings.append(
                _measure(engine, batch, count, size, runs=runs, warm_up=warm_up, seconds=seconds)
            )
    return Benchmark(
        model=path,
        cpus=cpu_limit(),
        settings=tuple(settings),
        recommendation=recommend(settings, max_latency_ms=max_latency_ms),
        max_latency_ms=max_latency_ms,
    )


def _rows(
    inputs: str | os.PathLike[str] | Mapping[str, Array] | None, signature: Signature
) -> Mapping[str, Array] | None:
    if isinstance(inputs, str | os.PathLike):
        return read_inputs(Path(inputs), signature)
    return inputs


def _measure(
    engine: OnnxEngine,
    batch: Mapping[str, Array],
    threads: int,
    size: int,
    *,
    runs: int,
    warm_up: int,
    seconds: float,
) -> Setting:
    try:
        repeat(lambda: engine.run(batch, None), runs=warm_up, seconds=seconds)
        taken = repeat(
            lambda: engine.run(batch, None), runs=runs, seconds=seconds, least=_LEAST_RUNS
        )
    except InferenceError as error:
        message = f"{error}: give inputs that the model takes, as a file or arrays"
        raise ToolError("ModelRefusesInputs", message) from error
    return Setting(threads=threads, batch_size=size, timing=summarise(taken, rows=size))

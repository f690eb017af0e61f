"""Draws a sweep: throughput and latency over the batch size, a line for each number of threads."""

from __future__ import annotations

from pathlib import Path

from fairlead_runtime.benchmark.sweep import Benchmark
from fairlead_runtime.workbench.errors import ToolError
from fairlead_runtime.workbench.opening import needs


def check(target: Path) -> None:
    """Raise ToolError unless a plot could be written there; cheap, so ask before measuring."""
    needs("matplotlib", install="matplotlib", task="a plot")
    if target.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ToolError("UnknownFormat", f"{target}: a plot ends in .png, .svg or .pdf")
    if not target.absolute().parent.is_dir():
        raise ToolError("FileNotFound", f"there is no folder {target.absolute().parent}")


def draw(result: Benchmark, target: Path) -> None:
    """Write the plot.

    Raises:
        ToolError: matplotlib is missing, or the file cannot be written.
    """
    check(target)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    rate, latency = figure.subplots(1, 2)
    for threads in sorted({each.threads for each in result.settings}):
        mine = sorted(
            (each for each in result.settings if each.threads == threads),
            key=lambda each: each.batch_size,
        )
        sizes = [each.batch_size for each in mine]
        name = f"{threads} thread{'s' if threads > 1 else ''}"
        rate.plot(sizes, [each.timing.rows_per_s for each in mine], marker="o", label=name)
        latency.plot(sizes, [each.timing.p99_ms for each in mine], marker="o", label=name)
    rate.set(xlabel="batch size", ylabel="rows per second", ylim=(0, None))
    latency.set(xlabel="batch size", ylabel="p99 of one batch, ms", ylim=(0, None))
    if result.max_latency_ms is not None:
        latency.axhline(result.max_latency_ms, linestyle="--", color="grey", label="limit")
    sizes = sorted({each.batch_size for each in result.settings})
    for axes in (rate, latency):
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(each) for each in sizes])
        axes.legend()
    figure.suptitle(result.model.name, parse_math=False)  # dollars are no formula
    try:
        figure.savefig(target)
    except OSError as error:
        raise ToolError("CannotWrite", f"cannot write {target}: {error}") from error

"""`benchmark` and `validate`: how fast a model is, and whether it may be served."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead_runtime.cli import console, report, tools
from fairlead_runtime.cli.flags import add_providers
from fairlead_runtime.cli.options import (
    Options,
    one_of,
    positive,
    positives,
    seconds,
    whole,
)

if TYPE_CHECKING:
    from fairlead_runtime.benchmark.sweep import Benchmark
    from fairlead_runtime.validation.report import Report

_MOST_EXAMPLES_BYTES = 48 << 20  # a pod has 64 MiB for temporary files
_BENCHMARK_CODES = """exit status:
  0    done
  1    the surroundings: a wrong flag, a missing file or package, too little memory
  2    the model is to blame: it cannot be loaded, or no setting keeps --max-latency-ms
  130  interrupted
"""
_VALIDATE_CODES = """exit status:
  0    the model may be served
  2    the model is to blame; the report says which check failed
  1 or anything else: the surroundings (a wrong flag, a missing file, too little memory): the
       model was not judged, try again
"""


def register(commands: tools.Commands) -> None:
    """Add the commands."""
    _register_benchmark(commands)
    _register_validate(commands)


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", metavar="MODEL", type=Path, help=".onnx file, or folder with model.onnx"
    )


def _register_benchmark(commands: tools.Commands) -> None:
    parser = tools.command(
        commands,
        "benchmark",
        _benchmark,
        text="measure a model over threads and batch sizes",
        description=(
            "Measure latency and throughput of a model, one request at a time, for each number\n"
            "of threads and each batch size, and recommend a setting: the most rows a second\n"
            "whose 99th percentile keeps --max-latency-ms. throughput_rps counts requests,\n"
            "rows_per_s their rows."
        ),
        exit_codes=_BENCHMARK_CODES,
    )
    _model(parser)
    options = Options(parser)
    options.add("--threads", "numbers of threads, such as 1,2,4; none: the CPU limit",
                kind=positives, metavar="N,N")  # fmt: skip
    options.add("--batch-sizes", "batch sizes, such as 1,8,32; none: 1", kind=positives,
                metavar="N,N")  # fmt: skip
    options.add("--runs", "most runs of a setting", kind=positive, default=1000)
    options.add("--warm-up", "runs before that are not measured", kind=whole, default=20)
    options.add("--seconds", "most seconds of a setting", kind=seconds, default=5.0)
    options.add("--max-latency-ms", "limit of the 99th percentile", kind=seconds)
    options.add("--inputs", "rows to use, .npz, .csv or .json; none: made up", kind=Path,
                metavar="FILE")  # fmt: skip
    options.add("--plot", "where a plot goes, .png, .svg or .pdf (needs matplotlib)", kind=Path,
                metavar="FILE")  # fmt: skip
    tools.common(parser)


def _benchmark(args: argparse.Namespace) -> int:
    from fairlead_runtime.benchmark import plot
    from fairlead_runtime.tools import benchmark

    if args.plot:
        plot.check(args.plot)
    result = benchmark(
        args.model,
        threads=args.threads,
        batch_sizes=args.batch_sizes,
        runs=args.runs,
        warm_up=args.warm_up,
        seconds=args.seconds,
        max_latency_ms=args.max_latency_ms,
        inputs=args.inputs,
        progress=tools.progress(args),
    )
    if args.plot:
        plot.draw(result, args.plot)
    tools.show(args, result, _benchmark_text(result))
    return 0 if result.recommendation else 2


def _benchmark_text(result: Benchmark) -> str:
    head = ("THREADS", "BATCH", "RUNS", "TOTAL_MS", "AVG_MS", "P50", "P90", "P95", "P99", "RPS",
            "ROWS/S")  # fmt: skip
    rows = []
    for each in result.settings:
        time = each.timing
        figures = (time.total_time_ms, time.avg_latency_ms, time.p50_ms, time.p90_ms, time.p95_ms,
                   time.p99_ms, time.throughput_rps, time.rows_per_s)  # fmt: skip
        counts = (str(each.threads), str(each.batch_size), str(time.runs))
        rows.append((*counts, *(console.number(figure) for figure in figures)))
    text = console.table(head, rows)
    if result.recommendation is None:
        return text + f"\nno setting keeps p99 at most {result.max_latency_ms:g} ms\n"
    best = result.recommendation.setting
    return text + (
        f"\nrecommended: --threads {best.threads}, batch size {best.batch_size} "
        f"({result.recommendation.why})\n"
    )


def _register_validate(commands: tools.Commands) -> None:
    parser = tools.command(
        commands,
        "validate",
        _validate,
        text="decide whether a model may be served",
        description=(
            "Check a model in this order: it loads, it has the given signature, it reproduces\n"
            "golden examples, its answers are finite, its latency keeps the limit; measure its\n"
            "throughput. Latency is the median of five rounds and refuses only where even the\n"
            "best round is over the limit. A report of at most 3 KiB of JSON goes to the\n"
            "termination log (FAIRLEAD_TERMINATION_LOG, or /dev/termination-log where it is\n"
            "there) and to standard output."
        ),
        exit_codes=_VALIDATE_CODES,
    )
    _model(parser)
    options = Options(parser)
    options.add("--signature", "JSON file with inputs and outputs, as `inspect --output json` or "
                "/v2/models/NAME gives them", kind=Path, metavar="FILE")  # fmt: skip
    options.add("--examples", "golden inputs and outputs by name, .npz or .json: a file, or "
                "http(s)://, s3://, gs:// or az:// with at most 48 MiB; none: examples.npz or "
                "examples.json in MODEL where that is a folder", metavar="FILE")  # fmt: skip
    options.add("--secret-dir", "where the Secret with credentials for --examples is mounted",
                kind=Path)  # fmt: skip
    options.add("--private-redirects", "allow or deny: whether an http(s) redirect of --examples "
                "may lead to an address that is not public", kind=one_of("allow", "deny"),
                default="allow")  # fmt: skip
    options.add("--tolerance-milli", "how far a float may be off, in thousandths of 1 or of the "
                "example's value where that is larger", kind=whole, default=1)  # fmt: skip
    options.add("--max-latency-ms", "limit of the 99th percentile of one request", kind=positive)
    options.add("--max-non-finite-milli", "most rows, in thousandths, whose answers may hold NaN "
                "or infinity", kind=whole, default=0)  # fmt: skip
    options.add("--threads", "threads of one inference; none: the CPU limit", kind=positive)
    add_providers(options)
    options.add("--batch-size", "rows of one request; none: 1", kind=positive)
    options.add("--round-seconds", "most seconds of each round", kind=seconds, default=1.0)
    options.add("--round-runs", "most runs of each round", kind=positive, default=1000)
    tools.common(parser)


def _validate(args: argparse.Namespace) -> int:
    from fairlead_runtime.tools import validate

    redirects = args.private_redirects == "allow"
    with _at_hand(args.examples, args.secret_dir, private_redirects=redirects) as examples:
        result = validate(
            args.model,
            signature=args.signature,
            examples=examples,
            tolerance_milli=args.tolerance_milli,
            max_latency_ms=args.max_latency_ms,
            max_non_finite_milli=args.max_non_finite_milli,
            threads=args.threads,
            provider=args.provider,
            provider_fallback=args.provider_fallback == "on",
            batch_size=args.batch_size,
            round_seconds=args.round_seconds,
            round_runs=args.round_runs,
            progress=tools.progress(args),
        )
    document = result.document()
    report.document(document)
    tools.show(args, document, _validate_text(result))
    failed = result.failed
    if failed is None:
        return 0
    sys.stderr.write(f"fairlead-runtime: {failed.reason}: {failed.message}\n")
    return 2


@contextlib.contextmanager
def _at_hand(
    given: str | None, secret_dir: Path | None, *, private_redirects: bool
) -> Iterator[Path | None]:
    """Give the path of golden examples; those from elsewhere are fetched and go at the end.

    Raises:
        ToolError: They could not be fetched, which is nothing that the model could help.
    """
    if not given or "://" not in given:
        yield Path(given) if given else None
        return
    from fairlead_runtime.repository.errors import FetchError
    from fairlead_runtime.repository.onefile import fetch_file
    from fairlead_runtime.workbench.errors import ToolError

    with tempfile.TemporaryDirectory(prefix="fairlead-examples-") as folder:
        try:
            path = fetch_file(
                given,
                Path(folder),
                limit_bytes=_MOST_EXAMPLES_BYTES,
                secret_dir=secret_dir,
                private_redirects=private_redirects,
            )
        except FetchError as error:
            raise ToolError(error.reason, f"the examples: {error}") from error
        yield path


def _validate_text(result: Report) -> str:
    rows = [(each.name, str(each.status), each.message) for each in result.checks]
    verdict = "the model may be served" if result.passed else "the model is refused"
    return console.table(("CHECK", "STATUS", "MESSAGE"), rows) + f"\n{verdict}\n"

"""`profile`: what a model saw in training, for drift."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead_runtime.cli import console, logs, tools
from fairlead_runtime.cli.options import Options, positive

if TYPE_CHECKING:
    from fairlead_runtime.profiling.run import Profiled

_SHOWN = 20


def register(commands: tools.Commands) -> None:
    """Add the command."""
    parser = tools.command(
        commands,
        "profile",
        _profile,
        text="write down what a model saw in training, to see drift",
        description=(
            "Run a model on its training rows and write, for each feature of its inputs and\n"
            "outputs, in which bins the values lie. `serve` counts traffic in the same bins. The\n"
            "file may be larger than memory: quantiles are then approximate, counts never are.\n"
            "The same file and model give the same profile. docs/drift.md describes its format."
        ),
    )
    parser.add_argument(
        "--model", required=True, type=Path, help=".onnx file, or folder with model.onnx"
    )
    parser.add_argument(
        "--data", required=True, type=Path, metavar="FILE",
        help="training rows: .csv (with or without a header), .parquet (needs pyarrow) or .npz",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, metavar="FILE",
        help="where the profile goes (default: profile.json beside the model)",
    )  # fmt: skip
    parser.add_argument(
        "--bins", type=Path, metavar="PROFILE",
        help="another version's profile, whose bins are taken: a rollout can then compare both",
    )  # fmt: skip
    options = Options(parser)
    options.add("--label", "column or array to leave out, where it is there", default="label")
    options.add("--memory-mib", "values kept for exact quantiles, in MiB", kind=positive,
                default=512)  # fmt: skip
    options.add("--threads", "threads of the model; none: the CPU limit", kind=positive)
    parser.add_argument(
        "--progress",
        action="store_true",
        help="show progress even where standard error is no terminal (default: only there)",
    )
    logs.add_flags(options, otherwise="warning")


def _profile(args: argparse.Namespace) -> int:
    from fairlead_runtime.profiling.run import profile

    made = profile(
        args.model,
        args.data,
        output=args.output,
        bins=args.bins,
        label=args.label,
        memory_bytes=args.memory_mib << 20,
        threads=args.threads,
        progress=tools.progress(args),
    )
    console.progress_done()
    sys.stdout.write(_text(made))
    return 0


def _text(made: Profiled) -> str:
    found = made.profile
    text = console.pairs(
        {
            "file": str(made.path),
            "digest": found.digest,
            "rows": str(found.rows),
            "quantiles": "exact" if found.exact else "approximate (the rows exceed --memory-mib)",
        }
    )
    rows = [
        (
            each.role,
            each.name,
            each.kind,
            str(len(each.counts)),
            str(each.missing),
            console.number(each.mean) if each.kind == "number" else "-",
            console.number(each.deviation) if each.kind == "number" else "-",
        )
        for each in found.features[:_SHOWN]
    ]
    text += "\n" + console.table(
        ("", "FEATURE", "KIND", "BINS", "MISSING", "MEAN", "DEVIATION"), rows
    )
    more = len(found.features) - _SHOWN
    return text + (f"... and {more} more features\n" if more > 0 else "")

"""`export` and `quantize`: make an ONNX file, and make it smaller."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead_runtime.cli import console, tools
from fairlead_runtime.cli.options import Options, positive, positives, share, words

if TYPE_CHECKING:
    from fairlead_runtime.export.quantize import Quantized, Side
    from fairlead_runtime.export.torch import Exported, Input

_EXPORT_CODES = """exit status:
  0    the file is written: both models answer the same
  1    the surroundings: a wrong flag, a missing file or package, a module that fails
  2    the model is to blame: it cannot be exported, or the file answers otherwise
  130  interrupted
"""
_QUANTIZE_CODES = """exit status:
  0    the file is written
  1    the surroundings: a wrong flag, a missing file or package
  2    the model is to blame: it cannot be loaded, or too much accuracy is lost
  130  interrupted
"""


def register(commands: tools.Commands) -> None:
    """Add the commands."""
    _register_export(commands)
    _register_quantize(commands)


def _register_export(commands: tools.Commands) -> None:
    parser = tools.command(
        commands,
        "export",
        _export,
        text="make an ONNX file from PyTorch",
        description=(
            "Export a PyTorch model to ONNX with a free batch axis, check the file, and compare\n"
            "it with the PyTorch model at several batch sizes; it is written only where both\n"
            'answer the same. Needs pip install "fairlead[export]".'
        ),
        exit_codes=_EXPORT_CODES,
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help=(
            "package.module:callable that returns a torch.nn.Module, or a file: TorchScript, a "
            "torch.export archive, a checkpoint"
        ),
    )
    parser.add_argument("target", metavar="TARGET", type=Path, help="where the ONNX file goes")
    parser.add_argument(
        "--input-shape",
        metavar="[NAME=]N,N[:DATATYPE]",
        type=_input,
        action="append",
        required=True,
        help=(
            "shape of one row, without the batch axis, such as 3,224,224 or ids=128:INT64; once "
            "for each input (default name: input; default datatype: FP32)"
        ),
    )
    options = Options(parser)
    options.add("--entry", "package.module:callable that returns the module for the weights in a "
                "checkpoint", metavar="ENTRY")  # fmt: skip
    options.add("--output-names", "names of the outputs with commas; none: output, or output_0, "
                "output_1", kind=words, metavar="NAME,NAME")  # fmt: skip
    options.add("--batch-axis", "name of the first axis", default="batch_size", metavar="NAME")
    options.add("--opset", "version of the standard operators", kind=positive, default=18)
    options.add("--batch-sizes", "sizes at which both models are compared", kind=positives,
                default=(1, 2, 7, 32), metavar="N,N")  # fmt: skip
    options.add("--absolute-tolerance", "most that a float may be off", kind=float, default=1e-4)
    options.add("--relative-tolerance", "most that it may be off besides, as a share of the value",
                kind=float, default=1e-3)  # fmt: skip
    options.add("--rows", "rows to trace and compare with, an .npz by input name; none: made up",
                kind=Path, metavar="FILE")  # fmt: skip
    parser.add_argument(
        "--trust-pickle",
        action="store_true",
        help="load a checkpoint that holds pickled objects, which can run any code (default: no)",
    )
    tools.common(parser)


def _input(text: str) -> Input:
    from fairlead_runtime.export.torch import Input
    from fairlead_runtime.protocol.types import DATATYPES

    before, equals, rest = text.partition("=")
    name, rest = (before, rest) if equals else ("input", text)
    sizes, _, datatype = rest.partition(":")
    datatype = datatype.upper() or "FP32"
    if datatype not in DATATYPES or datatype == "BYTES":
        raise argparse.ArgumentTypeError(f"datatype {datatype} is not known; FP32 and INT64 are")
    try:
        shape = tuple(int(part) for part in sizes.split(",") if part)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{sizes!r} is no shape: write 3,224,224") from None
    if min(shape, default=1) < 1:
        raise argparse.ArgumentTypeError("sizes must be at least 1, and without the batch axis")
    return Input(name=name, shape=shape, datatype=datatype)


def _export(args: argparse.Namespace) -> int:
    from fairlead_runtime.tools import export
    from fairlead_runtime.workbench.datafiles import read_arrays

    result = export(
        args.source,
        args.target,
        inputs=args.input_shape,
        entry=args.entry,
        output_names=args.output_names,
        batch_axis=args.batch_axis,
        opset=args.opset,
        batch_sizes=args.batch_sizes,
        absolute=args.absolute_tolerance,
        relative=args.relative_tolerance,
        rows=read_arrays(args.rows) if args.rows else None,
        trust_pickle=args.trust_pickle,
        progress=tools.progress(args),
    )
    tools.show(args, result, _export_text(result))
    return 0


def _export_text(result: Exported) -> str:
    text = console.pairs(
        {
            "file": str(result.model),
            "size": console.size(result.size_bytes),
            "opset": str(result.opset),
            "inputs": ", ".join(result.inputs),
            "outputs": ", ".join(result.outputs),
        }
    )
    rows = [(str(each.batch_size), f"{each.max_difference:.2g}") for each in result.parity]
    return text + "\n" + console.table(("BATCH", "MAX DIFFERENCE"), rows)


def _register_quantize(commands: tools.Commands) -> None:
    parser = tools.command(
        commands,
        "quantize",
        _quantize,
        text="make an 8-bit model, and say what that costs",
        description=(
            "Quantise a model to 8 bits, measure accuracy and latency before and after, and\n"
            "write the file only where not too much accuracy is lost.\n"
            'Needs pip install "fairlead[export]".'
        ),
        exit_codes=_QUANTIZE_CODES,
    )
    parser.add_argument(
        "model", metavar="MODEL", type=Path, help=".onnx file, or folder with model.onnx"
    )
    parser.add_argument("target", metavar="TARGET", type=Path, help="where the new file goes")
    options = Options(parser)
    options.add("--mode", "dynamic (weights), or static (activations too, needs --calibration)",
                kind=_mode, default="dynamic")  # fmt: skip
    options.add("--calibration", "rows as the model sees them in use, .npz or .csv", kind=Path,
                metavar="FILE")  # fmt: skip
    options.add("--labelled", "rows with their true labels, .npz or .csv; none: accuracy is not "
                "measured", kind=Path, metavar="FILE")  # fmt: skip
    options.add("--label", "column or array of the labels", default="label", metavar="NAME")
    options.add("--max-accuracy-loss", "most accuracy that may be lost, as a share of the rows",
                kind=share, default=0.01)  # fmt: skip
    options.add("--min-accuracy", "least accuracy of the new model, 0 to 1", kind=share)
    parser.add_argument(
        "--per-channel",
        action="store_true",
        help="quantise weights by channel: often more accurate, sometimes slower (default: no)",
    )
    options.add("--threads", "threads of one inference; none: the CPU limit", kind=positive)
    tools.common(parser)


def _mode(text: str) -> str:
    if text not in ("dynamic", "static"):
        raise argparse.ArgumentTypeError("must be dynamic or static")
    return text


def _quantize(args: argparse.Namespace) -> int:
    from fairlead_runtime.tools import quantize

    result = quantize(
        args.model,
        args.target,
        mode=args.mode,
        calibration=args.calibration,
        labelled=args.labelled,
        label=args.label,
        max_accuracy_loss=args.max_accuracy_loss,
        min_accuracy=args.min_accuracy,
        per_channel=args.per_channel,
        threads=args.threads,
        progress=tools.progress(args),
    )
    tools.show(args, result, _quantize_text(result))
    return 0


def _quantize_text(result: Quantized) -> str:
    rows = [_row("before", result.before), _row("after", result.after)]
    text = console.table(("", "SIZE", "P50_MS", "P99_MS", "ACCURACY"), rows)
    text += f"\nlargest difference of an output: {result.max_difference:.3g}\n"
    if result.after.accuracy is None:
        text += "accuracy was not measured: give --labelled rows to have it checked\n"
    return text + f"written to {result.model}\n"


def _row(name: str, side: Side) -> tuple[str, ...]:
    accuracy = f"{side.accuracy.share:.4f} ({side.accuracy.rows} rows)" if side.accuracy else "-"
    p50, p99 = console.number(side.latency.p50_ms), console.number(side.latency.p99_ms)
    return (name, console.size(side.size_bytes), p50, p99, accuracy)

"""The model tools' commands: their registration, and what all of them share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from fairlead_runtime.cli import console, logs, report
from fairlead_runtime.cli.options import Options

COMMANDS = ("export", "quantize", "benchmark", "validate", "inspect", "profile")
EXIT_CODES = """exit status:
  0    done
  1    the surroundings: a wrong flag, a missing file or package, too little memory
  2    the model is to blame: trying again cannot help
  130  interrupted
"""

Commands = Any
"""What `add_subparsers` returns; argparse keeps its class private."""


def register(commands: Commands) -> None:
    """Add the commands to the parser."""
    from fairlead_runtime.cli import convert, measure, profile, show

    convert.register(commands)
    measure.register(commands)
    show.register(commands)
    profile.register(commands)


def command(
    commands: Commands,
    name: str,
    work: Callable[[argparse.Namespace], int],
    *,
    text: str,
    description: str,
    exit_codes: str = EXIT_CODES,
) -> argparse.ArgumentParser:
    """Add one command with the flags that all tools have."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=description,
        epilog=exit_codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(work=work)
    return parser


def common(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every tool has, last in its help."""
    options = Options(parser)
    options.add("--output", "json or table", kind=output, default="table", metavar="FORMAT")
    parser.add_argument(
        "--progress",
        action="store_true",
        help="show progress even where standard error is no terminal (default: only there)",
    )
    logs.add_flags(options, otherwise="warning")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from fairlead_runtime.workbench.errors import ToolError

    try:
        status: int = args.work(args)
    except ToolError as error:
        console.progress_done()
        report.failed(error.reason, str(error))
        return 2 if error.blames_model else 1
    except MemoryError:
        console.progress_done()
        report.failed("OutOfMemory", "give this process more memory")
        return 1
    except KeyboardInterrupt:
        console.progress_done()
        return 130
    return status


def progress(args: argparse.Namespace) -> Callable[[str], None]:
    """Return what the command tells its progress to."""
    return console.progress(wanted=args.progress)


def show(args: argparse.Namespace, result: object, text: str) -> None:
    """Print a result as the user wants it."""
    console.progress_done()
    sys.stdout.write(console.to_json(result) if args.output == "json" else text)


def output(text: str) -> str:
    """Parse a format of output."""
    if text not in ("json", "table"):
        raise argparse.ArgumentTypeError("must be json or table")
    return text

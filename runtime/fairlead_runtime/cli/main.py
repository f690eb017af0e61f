"""The commands and their flags."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fairlead_runtime.cli import fetching, flags, logs, serving, tools
from fairlead_runtime.cli.options import Parser
from fairlead_runtime.cli.version import version


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 2 (the model is to blame) or 1."""
    args = _parser().parse_args(argv)
    logs.set_up(args)
    if args.command in tools.COMMANDS:
        return tools.run(args)
    return serving.run(args) if args.command == "serve" else fetching.run(args)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fairlead-runtime",
        description="Make, check, measure, fetch and serve one ONNX model.",
    )
    parser.add_argument("--version", action="version", version=f"fairlead-runtime {version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    flags.register(commands)
    fetching.register(commands)
    tools.register(commands)
    return parser

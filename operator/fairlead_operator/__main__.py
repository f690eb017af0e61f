"""`fairlead-operator`: run the operator, or write what is generated from its models."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence

from fairlead_operator import settings as settings_module


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="fairlead-operator",
        description="Serves ONNX models: makes Deployments of ModelDeployments.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run the operator (in a pod, or by KUBECONFIG)",
        description="Run the operator: in a pod with its ServiceAccount, else by KUBECONFIG.",
    )
    settings_module.add_arguments(run)
    crds = commands.add_parser("crds", help="write or check the CustomResourceDefinitions")
    reference = commands.add_parser("reference", help="write or check the reference pages")
    for generator in (crds, reference):
        generator.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["crds"]:
        from fairlead_operator.api import crds as crds_module

        return crds_module.main(arguments[1:])
    if arguments[:1] == ["reference"]:
        from fairlead_operator.api import reference as reference_module

        return reference_module.main(arguments[1:])
    return _run(parser, parser.parse_args(arguments))


def _run(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    try:
        chosen = settings_module.from_arguments(args)
    except ValueError as error:
        parser.error(str(error))
    from fairlead_operator.handlers import operator
    from fairlead_operator.telemetry import configure_logging

    configure_logging(chosen.log_level)
    try:
        asyncio.run(operator.run(chosen))
    except Exception:
        logging.getLogger(__name__).critical("the operator cannot go on", exc_info=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

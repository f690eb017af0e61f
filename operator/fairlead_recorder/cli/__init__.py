"""`fairlead-recorder`: serve, or look after the database."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence

from fairlead_recorder.cli import settings
from fairlead_recorder.http.recorder import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="fairlead-recorder",
        description="Records exposures and outcomes of Experiments, and counts them.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="take exposures and outcomes, answer summaries")
    settings.add_serve_arguments(serve)
    migrate = commands.add_parser("migrate", help="bring the tables up to date, and stop")
    settings.add_database_argument(migrate)
    recount = commands.add_parser(
        "recount",
        help="count the events again and compare with the sums; exit status 1 where they differ",
    )
    settings.add_database_argument(recount)
    settings.add_experiment_argument(recount, optional=True)
    report = commands.add_parser("report", help="write the page of an experiment to a file")
    settings.add_database_argument(report)
    settings.add_experiment_argument(report)
    report.add_argument(
        "--output", default="-", help="the file; `-` is standard output (default: %(default)s)"
    )
    export = commands.add_parser(
        "export", help="write the events of an experiment as CSV or Parquet, row by row"
    )
    settings.add_database_argument(export)
    settings.add_experiment_argument(export)
    settings.add_export_arguments(export)
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "serve":
            return _serve(settings.from_arguments(arguments))
        if arguments.command == "export":
            from fairlead_recorder.cli.exporting import export as write

            return write(arguments)
        from fairlead_recorder.cli import commands as others

        return int(getattr(others, arguments.command)(arguments))
    except ValueError as error:
        parser.error(str(error))


def _serve(chosen: Settings) -> int:
    from fairlead_recorder.http import server

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(server.run(chosen))
    except Exception:
        logging.getLogger(__name__).critical("the recorder cannot go on", exc_info=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the recorder is told at its start: flags, each also as an environment variable."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping

from fairlead_recorder.http.recorder import Settings

DEFAULT_DATABASE = "sqlite:////var/lib/fairlead-recorder/recorder.db"
_DAY_S = 86_400


def add_database_argument(
    parser: argparse.ArgumentParser, env: Mapping[str, str] = os.environ
) -> None:
    """Add `--database`. A URL with a password is better given as the variable."""
    parser.add_argument(
        "--database",
        default=env.get("FAIRLEAD_DATABASE") or DEFAULT_DATABASE,
        help="sqlite:///<absolute path> or postgresql://... "
        f"(default: {DEFAULT_DATABASE}; env FAIRLEAD_DATABASE)",
    )


def add_experiment_argument(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Add the experiment's name."""
    parser.add_argument(
        "experiment",
        metavar="NAMESPACE/NAME",
        nargs="?" if optional else None,
        help="the experiment that has this name" + (" (default: all)" if optional else ""),
    )


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `fairlead-recorder export` takes."""
    parser.add_argument(
        "--table", choices=("units", "outcomes"), default="outcomes",
        help="units: each user's first exposure; outcomes: each, with what became of it "
        "(default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=("csv", "parquet"), default="csv",
        help="Parquet needs pyarrow (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--output", default="-", help="the file; `-` is standard output (default: %(default)s)"
    )


def add_serve_arguments(
    parser: argparse.ArgumentParser, env: Mapping[str, str] = os.environ
) -> None:
    """Add the flags of `fairlead-recorder serve`, with defaults from the environment."""
    add_database_argument(parser, env)

    def flag(name: str, default: float | str, text: str) -> None:
        variable = "FAIRLEAD_RECORDER_" + name.lstrip("-").replace("-", "_").upper()
        kind = type(default)
        parser.add_argument(
            name,
            type=kind,
            default=kind(env[variable]) if env.get(variable) else default,
            help=f"{text} (default: {'none' if default == '' else default}; env {variable})",
        )

    flag("--host", "0.0.0.0", "address to listen at")  # noqa: S104 - a pod's is not known before
    flag("--port", 8080, "port of outcomes, summaries, pages, metrics and health")
    flag("--exposures-port", 4318, "port at which routers send exposures")
    flag(
        "--operators",
        "",
        "user names that register experiments, separated by commas: "
        "system:serviceaccount:<namespace>:<name>",
    )
    flag("--tls-dir", "", "folder with tls.crt and tls.key: both ports serve https")
    flag("--retention-days", 90.0, "days for which data of ended experiments is kept")
    flag("--outcomes-per-second", 50_000.0, "outcomes that one writer may send in a second")
    flag("--requests-per-second", 500.0, "requests that one writer may make in a second")
    flag("--most-waiting", 200_000, "rows that may wait to be written; more are refused")
    flag("--replica", 0, "number of this recorder among those that share one PostgreSQL, from 0")
    parser.add_argument(
        "--no-authentication",
        action="store_true",
        help="let everybody write, without tokens: for tries on one machine",
    )


def from_arguments(args: argparse.Namespace) -> Settings:
    """Return the settings that the parsed flags give.

    Raises:
        ValueError: A value makes no sense; the message names the flag.
    """
    for name in ("retention_days", "outcomes_per_second", "requests_per_second", "most_waiting"):
        if getattr(args, name) <= 0:
            raise ValueError(f"--{name.replace('_', '-')} must be more than 0")
    if args.replica < 0:
        raise ValueError("--replica must be a number from 0")
    operators = frozenset(name.strip() for name in args.operators.split(",") if name.strip())
    if not operators and not args.no_authentication:
        raise ValueError("--operators must name the operator's user: nobody else may register")
    return Settings(
        database=args.database,
        host=args.host,
        port=args.port,
        exposures_port=args.exposures_port,
        tls_dir=args.tls_dir,
        operators=operators,
        authenticate=not args.no_authentication,
        retention_s=args.retention_days * _DAY_S,
        outcomes_per_second=args.outcomes_per_second,
        requests_per_second=args.requests_per_second,
        most_waiting=args.most_waiting,
        replica=args.replica,
    )

"""The commands and their flags."""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import logging
import sys
from collections.abc import Sequence

from fairlead_runtime.cli import fetching, report, tools
from fairlead_runtime.cli.options import Options, Parser, port, positive, seconds

_LEVELS = ("debug", "info", "warning", "error")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 2 (the model is to blame) or 1."""
    args = _parser().parse_args(argv)
    level = str(args.log_level).lower()
    if level not in _LEVELS:
        sys.stderr.write(f"fairlead-runtime: log level must be one of {', '.join(_LEVELS)}\n")
        return 1
    logging.basicConfig(
        level=level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    if args.command in tools.COMMANDS:
        return tools.run(args)
    return _serve(args) if args.command == "serve" else fetching.run(args)


def version() -> str:
    """Return the version of the installed distribution."""
    return importlib.metadata.version("fairlead")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fairlead-runtime",
        description="Make, check, measure, fetch and serve one ONNX model.",
    )
    parser.add_argument("--version", action="version", version=f"fairlead-runtime {version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="serve a model over HTTP",
        description=(
            "Serve a model over HTTP: POST /predict, GET /health, GET /metrics, and the Open "
            "Inference Protocol v2 under /v2. SIGTERM drains; a second one stops at once."
        ),
    )
    serve.add_argument(
        "model",
        metavar="MODEL",
        help=".onnx file, folder with model.onnx, or a URI as `fetch` takes it, with its variables",
    )
    options = Options(serve)
    options.add(
        "--model-name", "name of the model in the protocol", default="model", metavar="NAME"
    )
    options.add("--model-version", "label on metrics and answers", default="1", metavar="VERSION")
    options.add("--host", "address to listen on", default="0.0.0.0")  # noqa: S104 - it serves
    options.add("--http-port", "port to listen on", kind=port, default=8080, also=("PORT",))
    options.add("--threads", "threads of one inference; none: the CPU limit", kind=positive)
    options.add("--max-body-mib", "largest request body in MiB", kind=positive, default=64)
    options.add(
        "--drain-seconds", "most seconds between SIGTERM and the end", kind=seconds, default=20.0
    )
    options.add(
        "--max-connection-age-s",
        "seconds after which a connection is asked to end, with 10 %% of jitter",
        kind=seconds,
        default=60.0,
    )
    options.add("--log-level", "debug, info, warning or error", default="info", also=("LOG_LEVEL",))
    fetching.register(commands)
    tools.register(commands)
    return parser


def _serve(args: argparse.Namespace) -> int:
    from fairlead_runtime.dataplane.model import ServedModel
    from fairlead_runtime.engine.session import EngineError, OnnxEngine, cpu_limit, load
    from fairlead_runtime.http.server import serve
    from fairlead_runtime.metrics.counters import Metrics
    from fairlead_runtime.repository.fetch import digest_of

    path = fetching.resolve(args.model)
    threads = args.threads or cpu_limit()

    def make() -> tuple[OnnxEngine, str]:
        if not path.is_file():
            raise EngineError(f"there is no file {path}")
        return load(path, threads=threads), digest_of(path)

    model = ServedModel(
        name=args.model_name,
        version=args.model_version,
        metrics=Metrics(model_name=args.model_name, model_version=args.model_version),
        workers=max(1, cpu_limit() // threads),
    )
    try:
        asyncio.run(
            serve(
                model,
                load=make,
                host=args.host,
                port=args.http_port,
                server_version=version(),
                max_body_bytes=args.max_body_mib << 20,
                drain_s=args.drain_seconds,
                max_connection_age_s=args.max_connection_age_s,
            )
        )
    except EngineError as error:
        report.failed("InvalidModel", str(error))
        return 2
    except SystemExit:  # uvicorn's way to say that the port cannot be opened
        report.failed("Crashed", f"cannot listen on port {args.http_port}")
        return 1
    return 0

"""The commands and their flags."""

from __future__ import annotations

import argparse
import importlib.metadata
import logging
import sys
from collections.abc import Sequence

from fairlead_runtime.cli import fetching, report, tools
from fairlead_runtime.cli.options import (
    Options,
    Parser,
    milliseconds,
    one_of,
    port,
    positive,
    seconds,
)

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
        help="serve a model over HTTP and gRPC",
        description=(
            "Serve a model over HTTP: POST /predict, GET /health, GET /metrics, GET /docs, and the "
            "Open Inference Protocol v2 under /v2; and over gRPC, with health and reflection. "
            "SIGTERM drains; a second one stops at once."
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
    options.add("--grpc-port", "port to listen on for gRPC; 0 for no gRPC", kind=port, default=9000)
    options.add(
        "--metrics-port",
        "port for /metrics, /health and inner pages alone; 0: /metrics and /health are on the HTTP "
        "port only, and inner pages nowhere",
        kind=port,
        default=0,
        also=("METRICS_PORT",),
    )
    options.add("--threads", "threads of one inference; none: the CPU limit", kind=positive)
    options.add(
        "--batching",
        "where requests run together: auto (measured at start), inline (on the event loop, for "
        "fast models), worker (in a thread) or off",
        kind=one_of("auto", "inline", "worker", "off"),
        default="auto",
        metavar="MODE",
    )
    options.add("--max-batch-size", "rows of the largest batch", kind=positive, default=64)
    options.add(
        "--max-batch-delay-ms",
        "how long a request may wait for others; 0 makes a batch of what is there",
        kind=milliseconds,
        default="0",
    )
    options.add(
        "--max-queue",
        "requests that may wait for the model; more are refused with 429",
        kind=positive,
        default=1024,
    )
    options.add(
        "--http-edge",
        "HTTP server: own (the fast one) or asgi (uvicorn)",
        kind=one_of("own", "asgi"),
        default="own",
        metavar="EDGE",
    )
    options.add(
        "--keep-alive-s",
        "seconds that a connection may be idle; longer than the proxy's in front",
        kind=seconds,
        default=75.0,
    )
    options.add(
        "--header-timeout-s",
        "seconds that a request's headers may take",
        kind=seconds,
        default=10.0,
    )
    options.add(
        "--body-timeout-s",
        "seconds that a body may take, and one more for each 16 KiB",
        kind=seconds,
        default=30.0,
    )
    options.add(
        "--write-timeout-s",
        "seconds that a client may take nothing of its answer",
        kind=seconds,
        default=30.0,
    )
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
    options.add(
        "--check-outputs",
        "count answers with NaN or infinities, aside and never in their way: on or off",
        kind=one_of("on", "off"),
        default="on",
        metavar="SWITCH",
    )
    options.add("--log-level", "debug, info, warning or error", default="info", also=("LOG_LEVEL",))
    fetching.register(commands)
    tools.register(commands)
    return parser


def _serve(args: argparse.Namespace) -> int:
    import uvloop

    from fairlead_runtime.batching.settings import Mode, Settings
    from fairlead_runtime.cli.companions import companions
    from fairlead_runtime.cli.watching import watch
    from fairlead_runtime.dataplane.model import ServedModel
    from fairlead_runtime.engine.session import EngineError, OnnxEngine, cpu_limit, load
    from fairlead_runtime.http.internal import Internal
    from fairlead_runtime.http.lifecycle import ListenError
    from fairlead_runtime.http.limits import Limits
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
        batching=Settings(
            mode=Mode(args.batching),
            max_rows=args.max_batch_size,
            max_delay_s=args.max_batch_delay_ms,
            max_waiting=args.max_queue,
            workers=max(1, cpu_limit() // threads),
        ),
    )
    internal = Internal(host=args.host, port=args.metrics_port)
    watch(args, model, path, internal)
    try:
        uvloop.run(
            serve(
                model,
                load=make,
                host=args.host,
                port=args.http_port,
                server_version=version(),
                edge=args.http_edge,
                limits=Limits(
                    max_body_bytes=args.max_body_mib << 20,
                    keep_alive_s=args.keep_alive_s,
                    header_s=args.header_timeout_s,
                    body_s=args.body_timeout_s,
                    write_s=args.write_timeout_s,
                ),
                drain_s=args.drain_seconds,
                max_connection_age_s=args.max_connection_age_s,
                internal=internal,
                companions=companions(args, model, version()),
            )
        )
    except EngineError as error:
        report.failed("InvalidModel", str(error))
        return 2
    except ListenError as error:
        report.failed("Crashed", str(error))
        return 1
    return 0

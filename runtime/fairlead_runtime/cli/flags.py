"""The flags of `serve`."""

from __future__ import annotations

from pathlib import Path

from fairlead_runtime.cli import logs
from fairlead_runtime.cli.options import (
    Options,
    milliseconds,
    one_of,
    port,
    positive,
    seconds,
    share,
    words,
)
from fairlead_runtime.cli.tools import Commands


def add_providers(options: Options) -> None:
    """Add where the model runs, and whether another place will do."""
    options.add(
        "--provider",
        "where the model runs: cpu, cuda (needs onnxruntime-gpu and CUDA's libraries) or auto",
        kind=one_of("auto", "cpu", "cuda"),
        default="auto",
        metavar="PROVIDER",
    )
    options.add(
        "--provider-fallback",
        "whether the CPU will do where cuda was asked for and cannot be had: on, or off to end",
        kind=one_of("on", "off"),
        default="on",
        metavar="SWITCH",
    )


def register(commands: Commands) -> None:
    """Add the command to a parser."""
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
        "--spinning",
        "whether threads of an inference spin while they wait: quicker by a little on cores of "
        "one's own, much CPU time for nothing elsewhere: on or off",
        kind=one_of("on", "off"),
        default="off",
        metavar="SWITCH",
    )
    add_providers(options)
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
        "--max-queue-mib",
        "MiB of inputs that may wait for the model, and again of bodies that are being read; more "
        "are refused with 429",
        kind=positive,
        default=256,
    )
    options.add(
        "--max-queue-ms",
        "how long a request may have to wait for those before it, going by what the last ones "
        "took; where it would be longer it is refused with 429 at once, unless nothing waits; 0: "
        "no limit",
        kind=milliseconds,
        default="10000",
    )
    options.add(
        "--max-connections",
        "connections to the HTTP port, and calls at the same time over gRPC; more are refused",
        kind=positive,
        default=4096,
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
        "seconds that a client may take nothing of its answer; each 16 KiB gives one back",
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
        "count answers with NaN or infinities, in at most a hundredth of the time: on or off",
        kind=one_of("on", "off"),
        default="on",
        metavar="SWITCH",
    )
    options.add(
        "--profile",
        "what the model saw in training, to count drift against, aside: a file that `profile` has "
        "written, auto (profile.json beside the model, where there is one) or off",
        default="auto",
        metavar="FILE",
    )
    options.add(
        "--prediction-log",
        "where each answer is logged as a CloudEvent in JSON, aside and never in its way: off, "
        "stdout, a file, or an http:// or https:// URL that takes batches",
        default="off",
        metavar="WHERE",
    )
    options.add(
        "--prediction-log-token-file",
        "a file with a token that is sent to the URL, read anew for each batch",
        kind=Path,
    )
    options.add(
        "--prediction-log-share", "share of the answers that are logged", kind=share, default=1.0
    )
    options.add(
        "--prediction-log-inputs",
        "log inputs and the router's unit too, which may be personal: on or off",
        kind=one_of("on", "off"),
        default="off",
        metavar="SWITCH",
    )
    options.add(
        "--prediction-log-redact",
        "inputs and outputs of which no value is logged, with commas between them; NAME[COLUMN] "
        "hides one position of the last axis",
        kind=words,
        metavar="NAMES",
    )
    options.add(
        "--access-log",
        "log each request: on or off",
        kind=one_of("on", "off"),
        default="off",
        metavar="SWITCH",
    )
    options.add(
        "--otlp-endpoint",
        "where spans of requests are sent, by OTLP over HTTP, such as http://collector:4318; none: "
        "no traces",
        metavar="URL",
    )
    options.add(
        "--trace-share",
        "share of the requests that are traced where no caller has decided, by traceparent",
        kind=share,
        default=1.0,
    )
    logs.add_flags(options)

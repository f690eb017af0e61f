"""The command `serve`: makes the server that its flags ask for, and runs it."""

from __future__ import annotations

import argparse
import atexit
import faulthandler
import logging
import math
import os
import sys
import threading
import time

from fairlead_runtime.cli import fetching, report
from fairlead_runtime.cli.version import version

log = logging.getLogger(__name__)
MODEL_THREADS = "model"
_LAST_RUN_S = 1.0
_SWITCH_S = 0.0005


def run(args: argparse.Namespace) -> int:
    """Serve a model and return the exit status: 0, 2 (the model is to blame) or 1."""
    import uvloop

    from fairlead_runtime.batching.settings import Mode, Settings
    from fairlead_runtime.cli.companions import companions
    from fairlead_runtime.cli.watching import WatchError, watch
    from fairlead_runtime.dataplane.model import ServedModel
    from fairlead_runtime.engine.providers import Asked, ProviderError
    from fairlead_runtime.engine.session import EngineError, OnnxEngine, cpu_limit, load
    from fairlead_runtime.http.internal import Internal
    from fairlead_runtime.http.lifecycle import ListenError
    from fairlead_runtime.http.limits import Limits
    from fairlead_runtime.http.server import serve
    from fairlead_runtime.metrics.counters import Metrics
    from fairlead_runtime.repository.fetch import digest_of

    path = fetching.resolve(args.model)
    threads = args.threads or cpu_limit()

    engines: list[OnnxEngine] = []

    def make() -> tuple[OnnxEngine, str]:
        if not path.is_file():
            raise EngineError(f"there is no file {path}")
        engine = load(
            path,
            threads=threads,
            asked=Asked(args.provider),
            fallback=args.provider_fallback == "on",
            spinning=args.spinning == "on",
        )
        engines.append(engine)
        model.runs_with(engine.provider)
        return engine, digest_of(path)

    model = ServedModel(
        name=args.model_name,
        version=args.model_version,
        metrics=Metrics(model_name=args.model_name, model_version=args.model_version),
        batching=Settings(
            mode=Mode(args.batching),
            max_rows=args.max_batch_size,
            max_delay_s=args.max_batch_delay_ms,
            max_waiting=args.max_queue,
            max_waiting_bytes=args.max_queue_mib << 20,
            max_wait_s=args.max_queue_ms or math.inf,
            workers=max(1, cpu_limit() // threads),
        ),
    )
    internal = Internal(host=args.host, port=args.metrics_port)
    try:
        watch(args, model, path, internal)
    except WatchError as error:
        report.failed("Crashed", str(error))
        return 1
    # Whoever else has work in Python, such as rendering metrics, lets the event loop go on after
    # this time. Python's own 5 ms is a hundred requests long.
    sys.setswitchinterval(_SWITCH_S)
    # A model that crashes takes the process with it; where, the log should say.
    faulthandler.enable()
    status = 0
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
                    max_connections=args.max_connections,
                    max_held_bytes=max(args.max_queue_mib, args.max_body_mib) << 20,
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
        status = 2
    except (ListenError, ProviderError) as error:
        report.failed("Crashed", str(error))
        status = 1
    finally:
        for engine in engines:
            engine.stop()
    _end_without_the_model(status)
    return status


def _end_without_the_model(status: int) -> None:
    """End the process where loading or a run goes on for long: Python would wait for it."""
    deadline = time.monotonic() + _LAST_RUN_S
    for thread in threading.enumerate():
        if thread.name.startswith(MODEL_THREADS):
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                log.warning("the model is still at work: the process ends without it")
                atexit._run_exitfuncs()  # noqa: SLF001 - what was fetched is deleted all the same
                os._exit(status)

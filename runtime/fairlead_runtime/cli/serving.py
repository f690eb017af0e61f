"""The command `serve`: makes the server that its flags ask for, and runs it."""

from __future__ import annotations

import argparse

from fairlead_runtime.cli import fetching, report
from fairlead_runtime.cli.version import version


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

    def make() -> tuple[OnnxEngine, str]:
        if not path.is_file():
            raise EngineError(f"there is no file {path}")
        engine = load(
            path,
            threads=threads,
            asked=Asked(args.provider),
            fallback=args.provider_fallback == "on",
        )
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
            workers=max(1, cpu_limit() // threads),
        ),
    )
    internal = Internal(host=args.host, port=args.metrics_port)
    try:
        watch(args, model, path, internal)
    except WatchError as error:
        report.failed("Crashed", str(error))
        return 1
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
    except (ListenError, ProviderError) as error:
        report.failed("Crashed", str(error))
        return 1
    return 0

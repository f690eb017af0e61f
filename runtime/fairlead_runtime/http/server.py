"""The server process: port open first, then the model, then traffic, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import Callable, Sequence

from fairlead_runtime.dataplane.model import ServedModel
from fairlead_runtime.engine.session import Engine
from fairlead_runtime.http.access import Logged
from fairlead_runtime.http.edge import Answering
from fairlead_runtime.http.internal import Internal
from fairlead_runtime.http.lifecycle import Companion, ListenError, Server
from fairlead_runtime.http.limits import Limits
from fairlead_runtime.http.routes import Routes

log = logging.getLogger(__name__)
_GC_THRESHOLD = 10_000


async def serve(
    model: ServedModel,
    *,
    load: Callable[[], tuple[Engine, str]],
    host: str,
    port: int,
    server_version: str,
    limits: Limits,
    drain_s: float,
    max_connection_age_s: float,
    edge: str = "own",
    internal: Internal | None = None,
    companions: Sequence[Companion] = (),
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        model: What to serve.
        load: See `ServedModel.load`.
        host: Address to listen on.
        port: Port to listen on.
        server_version: Shown to clients.
        limits: Of clients.
        drain_s: Most seconds between the signal and the end.
        max_connection_age_s: After which a connection is asked to end.
        edge: `own` or `asgi`.
        internal: The port of metrics and inner pages, which is there from first to last.
        companions: Servers of other protocols.

    Raises:
        ListenError: A port cannot be opened.
        Exception: What `load` raised; the server has stopped then.
    """
    draining: list[asyncio.Task[None]] = []

    def drain_companions() -> None:
        draining.extend(asyncio.ensure_future(each.stop(drain_s)) for each in companions)

    routes = Routes(model, server_version=server_version, max_body_bytes=limits.max_body_bytes)
    answering: Answering = routes
    if model.tracing is not None:
        from fairlead_runtime.http.tracing import Traced

        answering = Traced(answering, model.tracing)
    if model.access is not None:
        answering = Logged(answering, model.access)
    server = _server(edge)(
        answering,
        model,
        host=host,
        port=port,
        limits=limits,
        drain_s=drain_s,
        max_connection_age_s=max_connection_age_s,
        on_drain=drain_companions,
    )
    try:
        if internal is not None:
            await internal.start(routes)
        for each in companions:
            await each.start()
    except OSError as error:
        raise ListenError(str(error)) from error
    serving = asyncio.create_task(server.serve())
    loading = asyncio.create_task(model.load(load))
    try:
        done, _ = await asyncio.wait({serving, loading}, return_when=asyncio.FIRST_COMPLETED)
        if loading in done:
            try:
                loading.result()
            except Exception:
                server.stop()
                await serving
                raise
            log.info("model %s version %s is loaded (%s)", model.name, model.version, model.digest)
            # What is there now stays: the collector need not look at it again and again.
            gc.collect()
            gc.freeze()
            # Answers that wait to be looked at are no garbage: at Python's own threshold of 700
            # the collector would go through them again and again.
            gc.set_threshold(_GC_THRESHOLD)
        await serving
        await asyncio.gather(*draining)
    finally:
        loading.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await loading
        if not draining:
            await asyncio.gather(*(each.stop(0) for each in companions))
        if internal is not None:
            await internal.stop()
        model.close()


def _server(edge: str) -> Callable[..., Server]:
    if edge == "asgi":
        from fairlead_runtime.http.asgi_server import asgi_server

        return asgi_server
    from fairlead_runtime.http.edge_server import EdgeServer

    return EdgeServer

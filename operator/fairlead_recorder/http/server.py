"""The recorder as a server: one port for everybody, one for routers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from fairlead_operator import certificate
from fairlead_recorder.http import errors, openapi
from fairlead_recorder.http.access import Access
from fairlead_recorder.http.errors import answer
from fairlead_recorder.http.ingest import Ingest
from fairlead_recorder.http.modelroutes import ModelRoutes
from fairlead_recorder.http.pages import Pages
from fairlead_recorder.http.recorder import Recorder, Settings
from fairlead_recorder.http.routes import Routes
from fairlead_recorder.http.upkeep import Upkeep
from fairlead_recorder.store import database, schema
from fairlead_recorder.store.errors import UnavailableError

if TYPE_CHECKING:
    from fairlead_recorder.http.tokenreview import TokenReviews

log = logging.getLogger(__name__)
MOST_BYTES = 8 * 1024 * 1024
_RETRY_S = 2.0
_GRACE_S = 10.0


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then write what waits."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    reviews: TokenReviews | None = None
    if settings.authenticate:
        from fairlead_recorder.http.tokenreview import TokenReviews

        reviews = await TokenReviews.connect()
    recorder = Recorder(settings, Access(reviews, settings.operators))
    try:
        async with certificate.served(settings.tls_dir) as tls:
            if await _migrated(settings, stop):
                await _serve(recorder, stop, tls)
    finally:
        await asyncio.to_thread(recorder.close)
        if reviews is not None:
            await reviews.close()


async def _migrated(settings: Settings, stop: asyncio.Event) -> bool:
    """Bring the tables up to date, as soon as the database answers."""

    def migrate() -> None:
        session = database.connect(settings.database)
        try:
            schema.migrate(session)
        finally:
            session.close()

    while not stop.is_set():
        try:
            await asyncio.to_thread(migrate)
        except UnavailableError as error:
            log.warning("%s; trying again", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_S):
                    await stop.wait()
        else:
            return True
    return False


async def _serve(recorder: Recorder, stop: asyncio.Event, tls: ssl.SSLContext | None) -> None:
    recorder.writer.start()
    upkeep = asyncio.create_task(Upkeep(recorder).run(), name="upkeep")
    stopping = asyncio.create_task(stop.wait(), name="signal")
    runners = []
    try:
        settings = recorder.settings
        for app, port in (
            (application(recorder), settings.port),
            (exposures_application(recorder), settings.exposures_port),
        ):
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE_S)
            await runner.setup()
            runners.append(runner)
            await web.TCPSite(runner, settings.host, port, ssl_context=tls).start()
        log.info("listening at %s and, for exposures, %s", settings.port, settings.exposures_port)
        await asyncio.wait({stopping, upkeep}, return_when=asyncio.FIRST_COMPLETED)
        if upkeep.done():
            upkeep.result()
    finally:
        for runner in runners:
            await runner.cleanup()
        for task in (upkeep, stopping):
            task.cancel()
        await asyncio.gather(upkeep, stopping, return_exceptions=True)


def application(recorder: Recorder) -> web.Application:
    """Return what is served to everybody but routers."""
    routes, models, pages = Routes(recorder), ModelRoutes(recorder), Pages(recorder)
    app = web.Application(
        client_max_size=MOST_BYTES, middlewares=[_counting(recorder), errors.middleware]
    )
    one = "/v1/experiments/{namespace}/{name}"
    model = "/v1/modeldeployments/{namespace}/{name}"
    app.router.add_routes([
        web.get("/v1/experiments", routes.listed, allow_head=False),
        web.put(one, routes.register),
        web.get(one, routes.experiment, allow_head=False),
        web.delete(one, routes.end),
        web.put(f"{one}/judgement", routes.judge),
        web.post(f"{one}/outcomes", routes.outcomes),
        web.get(f"{one}/summary", routes.summary, allow_head=False),
        web.delete(f"{one}/units", routes.forget),
        web.put(model, models.register),
        web.post(f"{model}/predictions", models.predictions),
        web.post(f"{model}/outcomes", models.outcomes),
        web.get(f"{model}/performance", models.performance, allow_head=False),
        web.get("/experiments", pages.index),
        web.get("/experiments/{namespace}/{name}", pages.experiment),
        web.get("/openapi.json", _openapi, allow_head=False),
        web.get("/healthz", _healthz),
        web.get("/readyz", _readyz(recorder)),
        web.get("/metrics", _metrics(recorder)),
    ])  # fmt: skip
    return app


def exposures_application(recorder: Recorder) -> web.Application:
    """Return what is served to routers."""
    app = web.Application(
        client_max_size=MOST_BYTES, middlewares=[_counting(recorder), errors.middleware]
    )
    app.router.add_routes([web.post("/v1/logs", Ingest(recorder).logs)])
    return app


_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _counting(recorder: Recorder) -> Middleware:
    @web.middleware
    async def count(request: web.Request, handler: _Handler) -> web.StreamResponse:
        response = await handler(request)
        recorder.metrics.requests.labels(str(response.status)).inc()
        return response

    return count


async def _openapi(_: web.Request) -> web.Response:
    return answer(openapi.document())


async def _healthz(_: web.Request) -> web.Response:
    return answer({"status": "ok"})


def _readyz(recorder: Recorder) -> _Handler:
    async def readyz(_: web.Request) -> web.StreamResponse:
        ready = recorder.ready
        return answer({"ready": ready}, 200 if ready else 503)

    return readyz


def _metrics(recorder: Recorder) -> _Handler:
    async def metrics(_: web.Request) -> web.StreamResponse:
        return web.Response(
            body=generate_latest(recorder.metrics.registry),
            headers={"Content-Type": CONTENT_TYPE_LATEST},
        )

    return metrics

"""The operator's two ports: probes, and its own Prometheus metrics."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


@asynccontextmanager
async def serve(
    *,
    stale: Callable[[], str | None],
    ready: Callable[[], bool],
    registry: CollectorRegistry,
    health_port: int,
    metrics_port: int,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[None]:
    """Serve `/healthz` and `/readyz` on one port and `/metrics` on another; 0 takes none.

    Args:
        stale: Says why the loop no longer works; None while it does.
        ready: Whether the caches are warm.
        registry: The metrics.
        health_port: Port of the probes.
        metrics_port: Port of the metrics.
        tls: What both serve https with; None serves http.
    """

    async def healthz(_: web.Request) -> web.Response:
        why = stale()
        return web.json_response(
            {"status": "stale", "reason": why} if why else {"status": "ok"},
            status=503 if why else 200,
        )

    async def readyz(_: web.Request) -> web.Response:
        warm = ready()
        return web.json_response({"ready": warm}, status=200 if warm else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    health = web.Application()
    health.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz)])
    numbers = web.Application()
    numbers.add_routes([web.get("/metrics", metrics)])
    runners: list[web.AppRunner] = []
    try:
        for app, port in ((health, health_port), (numbers, metrics_port)):
            if port:
                runner = web.AppRunner(app, access_log=None)
                await runner.setup()
                runners.append(runner)
                await web.TCPSite(runner, port=port, ssl_context=tls).start()
        yield
    finally:
        for runner in runners:
            await runner.cleanup()

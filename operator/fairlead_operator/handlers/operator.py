"""The whole operator in one event loop: watches, control loop, ports, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Any

import kopf

from fairlead_operator.handlers import ports, watches
from fairlead_operator.kube.cache import Cache
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.lease import Lease
from fairlead_operator.reconcile.loop import Loop
from fairlead_operator.reconcile.passes import Reconciler
from fairlead_operator.settings import Settings
from fairlead_operator.telemetry import Metrics

log = logging.getLogger(__name__)


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; then stop working, and give the Lease back."""
    stop = asyncio.Event()
    running = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, stop.set)
    open_cluster = await Cluster.connect()
    try:
        lease = Lease(
            open_cluster,
            namespace=settings.lease_namespace,
            name=settings.lease_name,
            identity=settings.identity,
        )
        cluster = open_cluster.gated(lease)
        cache, metrics = Cache(), Metrics()
        reconciler = Reconciler(cluster, cache, settings, metrics)
        loop = Loop(cluster, cache, reconciler, lease, settings, metrics)
        async with ports.serve(
            stale=loop.stale,
            ready=loop.ready,
            registry=metrics.registry,
            health_port=settings.health_port,
            metrics_port=settings.metrics_port,
        ):
            scope = ", ".join(settings.namespaces) or "the whole cluster"
            log.info("started, watching %s as %s", scope, settings.identity)
            await _until(stop, loop, settings)
    finally:
        await open_cluster.close()


async def _until(stop: asyncio.Event, loop: Loop, settings: Settings) -> None:
    kopf_stop = asyncio.Event()
    tasks: set[asyncio.Task[Any]] = {
        asyncio.create_task(loop.run(), name="loop"),
        asyncio.create_task(
            kopf.operator(
                registry=watches.registry(loop.observe),
                settings=watches.settings(),
                namespaces=settings.namespaces,
                clusterwide=not settings.namespaces,
                standalone=True,
                stop_flag=kopf_stop,
            ),
            name="watches",
        ),
    }
    stopping = asyncio.create_task(stop.wait(), name="signal")
    done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
    kopf_stop.set()
    log.info("stopping")
    for task in tasks:
        if task.get_name() == "loop":
            task.cancel()
    await asyncio.wait(tasks, timeout=10)
    for task in (*tasks, stopping):
        task.cancel()
    for task in done - {stopping}:
        if task.cancelled():
            continue
        error = task.exception()
        if error is not None:
            raise error
        raise RuntimeError(f"{task.get_name()} ended by itself")

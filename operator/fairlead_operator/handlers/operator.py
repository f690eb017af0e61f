"""The whole operator: watches, control loop, ports, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal

from fairlead_operator import certificate
from fairlead_operator.evidence.direct import Direct
from fairlead_operator.evidence.prometheus import Prometheus
from fairlead_operator.evidence.recorder import Recorder
from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.handlers import ports
from fairlead_operator.handlers.watches import Watches
from fairlead_operator.kube.cache import Cache
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.lease import Lease
from fairlead_operator.reconcile import counting, drift, latency, routers
from fairlead_operator.reconcile.experimentfacts import Facts, inputs_reader, requests_reader
from fairlead_operator.reconcile.experiments import Experimenter
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
        scraper = Scraper()
        recorder = Recorder(
            settings.recorder_url, settings.recorder_token_file, settings.recorder_ca
        )
        prometheus = Prometheus(settings.prometheus_url) if settings.prometheus_url else None
        reconciler = Reconciler(
            cluster,
            cache,
            settings,
            metrics,
            routers.reader(scraper),
            drift.reader(scraper),
            counting.Counter(scraper, prometheus),
            recorder,
            latency.reader(scraper),
        )
        facts = Facts(
            cluster,
            cache,
            inputs_reader(scraper),
            requests_reader(Direct(scraper)),
            cluster_domain=settings.cluster_domain,
        )
        experimenter = Experimenter(cluster, cache, settings, metrics, recorder, facts)
        loop = Loop(cluster, cache, reconciler, lease, settings, metrics, experimenter)
        async with (
            certificate.served(settings.tls_dir) as tls,
            ports.serve(
                stale=loop.stale,
                ready=loop.ready,
                registry=metrics.registry,
                health_port=settings.health_port,
                metrics_port=settings.metrics_port,
                tls=tls,
            ),
            scraper,
            recorder,
            prometheus or contextlib.nullcontext(),
            Watches(loop.observe, open_cluster.credentials, settings.namespaces),
        ):
            scope = ", ".join(settings.namespaces) or "the whole cluster"
            log.info("started, watching %s as %s", scope, settings.identity)
            await _until(stop, loop)
    finally:
        await open_cluster.close()


async def _until(stop: asyncio.Event, loop: Loop) -> None:
    working = asyncio.create_task(loop.run(), name="loop")
    stopping = asyncio.create_task(stop.wait(), name="signal")
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        working.result()
        raise RuntimeError("the control loop ended by itself")
    log.info("stopping")
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working

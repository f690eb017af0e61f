"""What the operator reads from the real Envoy: what is live, and who is connected."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fairlead_operator.evidence.exposition import samples
from fairlead_operator.evidence.routers import RouterPod, observe
from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.traffic import documents
from fairlead_operator.traffic.split import only
from fairlead_operator.traffic.states import Router
from tests.router.asking import a_client, a_split, ask, eventually
from tests.router.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def _pod(world: World) -> RouterPod:
    return RouterPod(name="r", ip="127.0.0.1", ready=True, port=world.envoy.settings.metrics_port)


async def _router(world: World, scraper: Scraper) -> Router:
    [router] = await observe([_pod(world)], scraper)
    return router


async def test_a_written_split_is_confirmed_by_what_the_router_publishes(world: World) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    await world.route(only(control))
    async with Scraper() as scraper:
        for share in (0, 5_000):
            split = a_split(control, bigger, control=10_000 - share, bigger=share)
            configuration = documents.of(split)
            world.envoy.write(configuration)
            wanted = documents.versions(configuration, world.envoy.settings)

            async def confirmed(wanted: documents.Versions = wanted) -> bool:
                return (await _router(world, scraper)).versions == wanted

            await eventually(confirmed, 5)


async def test_clients_are_counted_on_both_ports_and_scrapers_are_not(world: World) -> None:
    await world.route(only(await world.arm("control")))
    async with Scraper() as scraper, a_client() as one, a_client(http2=True) as two:
        assert (await _router(world, scraper)).connections == 0
        await ask(one, world.envoy.url)
        await ask(two, world.envoy.grpc_url)
        assert (await _router(world, scraper)).connections == 2
    async with Scraper() as scraper:

        async def alone() -> bool:
            return (await _router(world, scraper)).connections == 0

        await eventually(alone, 5)


async def test_a_router_that_is_gone_cannot_be_asked(world: World) -> None:
    await world.route(only(await world.arm("control")))
    async with Scraper() as scraper:
        assert (await _router(world, scraper)).versions is not None
        await world.envoy.stop()
        assert await _router(world, scraper) == Router(name="r", ready=True)


async def test_the_whole_page_reads_as_prometheus_client_reads_it(world: World) -> None:
    await world.route(only(await world.arm("control")))
    text = await world.envoy.statistics()
    ours = [(s.name, dict(s.labels), s.value) for s in samples(text.encode(), re.compile(".*"))]
    families = text_string_to_metric_families(text)
    # Their parser calls each counter `_total`, which Envoy's are not.
    theirs = [(s.name, dict(s.labels), float(s.value)) for f in families for s in f.samples]
    assert len(ours) > 500
    assert [_without_total(*each) for each in ours] == [_without_total(*each) for each in theirs]


def _without_total(
    name: str, labels: dict[str, str], value: float
) -> tuple[str, dict[str, str], float]:
    return name.removesuffix("_total"), labels, value

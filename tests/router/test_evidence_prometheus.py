"""The same counts out of a real Prometheus as read from the pods: with restarts in between."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import aiohttp
import pytest

from fairlead_operator.evidence import direct, prometheus, saved
from fairlead_operator.evidence import ledger as ledgers
from fairlead_operator.evidence.direct import Pods
from fairlead_operator.evidence.prometheus import Prometheus as Provider
from fairlead_operator.evidence.prometheus import PrometheusError
from fairlead_operator.evidence.routers import RouterPod
from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.reconcile.counting import Counter
from fairlead_operator.traffic.counts import Window
from tests import models
from tests.router.asking import a_client, a_split, eventually
from tests.router.prometheus import Prometheus
from tests.router.test_evidence_models import infer
from tests.router.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # it is built once


async def test_counts_are_those_of_the_pods_themselves(world: World, tmp_path: Path) -> None:
    model = models.root(tmp_path / "model.onnx")
    control = await world.serving("control", model)
    bigger = await world.serving("bigger", model)
    await world.route(a_split(control, bigger, control=5_000, bigger=5_000))
    port = world.envoy.settings.metrics_port
    router = RouterPod(name="r", ip="127.0.0.1", ready=True, port=port)
    pods = Pods(
        keys=(control.key, bigger.key),
        routers=[router],
        models=[each.pod for arm in (control, bigger) for each in world.models[arm.name]],
    )
    targets = {"r": (f"127.0.0.1:{port}", "/stats/prometheus")}
    targets |= {pod.name: (f"{pod.ip}:{pod.port}", "/metrics") for pod in pods.models}
    server = Prometheus(tmp_path)
    try:
        await server.start(targets)
        await asyncio.sleep(2)
        async with Scraper() as scraper, aiohttp.ClientSession() as session, a_client() as client:
            begin = dt.datetime.now(dt.UTC)
            read = ledgers.new(begin)
            asked = ledgers.new(begin)

            async def look() -> tuple[Window, Window]:
                nonlocal read, asked
                now = dt.datetime.now(dt.UTC)
                read = await direct.read(read, pods, scraper)
                asked = await prometheus.read(asked, pods, "t", server.url, session, now=now)
                return read.window(), asked.window()

            async def load(number: int, value: float) -> None:
                for _ in range(number):
                    (await infer(client, world, [[value, 1.0]])).raise_for_status()

            async def the_same() -> bool:
                one, two = await look()
                ours, theirs = one.arms, two.arms
                done = sum(each.requests for each in ours.values())
                measured = [each.latency.count for each in ours.values() if each.latency]
                return ours == theirs and done == asked_for and sum(measured) == done

            await look()

            # Until Prometheus has scraped everybody since the beginning as well.
            async def everybody() -> bool:
                await look()
                return len(asked.seen) == 3

            await eventually(everybody, 15)
            asked_for = 40
            await load(30, 4.0)
            for _ in range(10):
                await load(1, -4.0)
                await asyncio.sleep(0.2)
            await eventually(the_same, 30)
            window = asked.window()
            # Only a sample of the answers is looked at.
            assert 0 < sum(each.non_finite for each in window.arms.values()) <= 10
            assert window.unread == ()
            assert window.end > begin

            # A process of each kind begins anew; what was scraped of them before stays.
            await asyncio.sleep(6)
            await world.models["bigger"][0].restart()
            await world.envoy.stop()
            await world.envoy.start()
            asked_for = 60
            await load(20, 4.0)
            await eventually(the_same, 30)

            # As operators do it: one goes on with what was stored, one knows nothing and asks anew.
            async with Provider(server.url) as goes_on, Provider(server.url) as asks_anew:
                counters = {
                    saved.pack(asked): Counter(scraper, goes_on),
                    "": Counter(scraper, asks_anew),
                }

                async def counted(readings: str) -> Window:
                    found = await counters[readings](
                        "t/fraud", pods, begin, compare=False, readings=readings
                    )
                    assert found is not None
                    return found.window

                for readings in counters:
                    window = await counted(readings)
                    assert (window.arms, window.trouble) == (asked.window().arms, "")
                    assert window.end >= asked.end
                await server.stop()
                for readings in counters:
                    window = await counted(readings)
                    assert window.arms == asked.window().arms
                    assert "cannot be asked" in window.trouble
            before = asked
            with pytest.raises(PrometheusError, match="cannot be asked"):
                await look()
            assert asked == before
    finally:
        await server.stop()

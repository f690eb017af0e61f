"""The operator's documents on the real Envoy: what it takes, refuses, publishes and writes."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json

import httpx
import pytest

from fairlead_operator.traffic import documents
from fairlead_operator.traffic.documents import Configuration
from fairlead_operator.traffic.split import only
from fairlead_runtime.contract import assignment
from tests.router.asking import SALT, a_client, a_split, arm_of, ask, eventually
from tests.router.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


async def test_envoy_accepts_the_configuration_without_a_warning(world: World) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    split = a_split(control, bigger, control=5_000, bigger=5_000)
    world.envoy.write(documents.of(split))
    code, said = await world.envoy.validate()
    assert code == 0, said
    await world.envoy.start()
    assert await world.envoy.versions() == documents.versions(
        documents.of(split), world.envoy.settings
    )
    assert world.envoy.log.read_text() == ""


async def test_a_new_split_is_live_within_five_seconds_and_fails_nobody(world: World) -> None:
    # httpx takes a GOAWAY for the end of what is under way, so that no age may come in between.
    world.envoy.settings = dataclasses.replace(world.envoy.settings, connection_age_s=3_600)
    control, bigger = await world.arm("control"), await world.arm("bigger")
    await world.route(a_split(control, bigger, control=10_000))
    failed: list[str] = []
    stop = asyncio.Event()

    async def load(*, http2: bool) -> None:
        async with a_client(http2=http2) as client:
            while not stop.is_set():
                try:
                    arm_of(await ask(client, world.envoy.url, "alice"))
                except (httpx.HTTPError, AssertionError) as error:
                    failed.append(repr(error))
                await asyncio.sleep(0.02)

    clients = [asyncio.create_task(load(http2=each)) for each in (False, True)]
    for share in (1_000, 5_000, 10_000, 0):
        split = a_split(control, bigger, control=10_000 - share, bigger=share)
        world.envoy.write(documents.of(split))
        await world.envoy.until_live(documents.of(split), 5)
        async with a_client() as client:
            for i in range(50):
                arm = arm_of(await ask(client, world.envoy.url, f"u{i}"))
                assert arm == assignment.arm(split.table, SALT, f"u{i}")
    stop.set()
    await asyncio.gather(*clients)
    assert failed == []


async def test_new_arms_come_and_go_without_a_restart(world: World) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    await world.route(only(control))
    split = a_split(control, bigger, control=0, bigger=10_000)
    base = a_split(control, bigger, control=10_000)
    wider = Configuration(split=base, arms=(control, bigger))
    for each in (wider, documents.of(split), documents.of(only(control))):
        world.envoy.write(each)
        await world.envoy.until_live(each, 5)
        async with a_client() as client:
            arm = arm_of(await ask(client, world.envoy.url, "alice"))
        assert arm == ("bigger" if each.split == split else "control")


async def test_a_route_to_a_cluster_that_is_not_there_is_refused_by_envoy_too(world: World) -> None:
    control = await world.arm("control")
    await world.route(only(control))
    texts = documents.files(documents.of(only(control)), world.envoy.settings)
    routes = json.loads(texts["routes-http.json"])
    action = routes["resources"][0]["virtual_hosts"][0]["routes"][-1]["route"]
    action["cluster"] = "nobody_http"
    routes["version_info"] = "broken"
    before = await world.envoy.versions()
    world.envoy.write_texts({**texts, "routes-http.json": json.dumps(routes)})
    await eventually(lambda: "nobody_http" in world.envoy.log.read_text(), 10)
    assert await world.envoy.versions() == before
    async with a_client() as client:
        assert arm_of(await ask(client, world.envoy.url, "alice")) == "control"


async def test_only_health_and_statistics_are_published(world: World) -> None:
    await world.route(only(await world.arm("control")))
    assert (await world.envoy.metrics("/ready")).status_code == 200
    text = (await world.envoy.metrics("/stats/prometheus")).text
    assert "envoy_cluster_upstream_rq_total" in text
    others = ["/", "/stats", "/config_dump", "/quitquitquit", "/clusters", "/ready/", "/help"]
    for other in others:
        assert (await world.envoy.metrics(other)).status_code == 404, other
    async with a_client() as client:
        assert (await client.post(f"{world.envoy.metrics_url}/ready")).status_code == 404


async def test_latencies_are_counted_ten_percent_apart_by_cluster(world: World) -> None:
    await world.route(only(await world.arm("control")))
    async with a_client() as client:
        await ask(client, world.envoy.url, "alice")
    text = await world.envoy.statistics()
    name = 'envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="fraud-control_http",le="'
    edges = [line.split(name)[1].split('"')[0] for line in text.splitlines() if name in line]
    numbers = [float(edge) for edge in edges if edge != "+Inf"]
    assert len(numbers) > 90
    steps = [b / a for a, b in itertools.pairwise(numbers) if a >= 10]
    assert max(steps) < 1.12


async def test_the_access_log_has_users_arms_and_who_answered_and_no_anonymous(
    world: World,
) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    del world.names.addresses[bigger.host]
    await world.route(a_split(control, bigger, control=0, bigger=10_000))
    async with a_client() as client:
        await ask(client, world.envoy.url)
        await ask(client, world.envoy.url, "")
        await ask(client, world.envoy.url, "alice")
    await eventually(lambda: world.envoy.log.read_text().endswith("}\n"), 20)
    [entry] = [json.loads(line) for line in world.envoy.log.read_text().splitlines()]
    assert entry["unit"] == assignment.unit(SALT, "alice")
    assert entry["arm"] == "fraud-bigger_http"
    assert entry["variant"] == "control"
    assert entry["code"] == 200

"""What the operator counts at the real Envoy, beside what really happened."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator

import grpc.aio
import pytest

from fairlead_operator.evidence import ledger as ledgers
from fairlead_operator.evidence.direct import Pods, read
from fairlead_operator.evidence.routers import RouterPod
from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.traffic import documents
from fairlead_operator.traffic.counts import Counts, Window
from fairlead_operator.traffic.documents import Configuration
from fairlead_operator.traffic.split import Arm, Mirror, Split, only
from tests.router.asking import HEADER, a_client, a_split, arm_of, ask, eventually
from tests.router.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
INFER = "/inference.GRPCInferenceService/ModelInfer"


class Operator:
    """Reads one router, as a pass does."""

    def __init__(self, world: World, scraper: Scraper) -> None:
        self.world, self.scraper = world, scraper
        self.ledger = ledgers.new(dt.datetime.now(dt.UTC))

    async def look(self, *arms: Arm) -> Window:
        port = self.world.envoy.settings.metrics_port
        router = RouterPod(name="r", ip="127.0.0.1", ready=True, port=port)
        pods = Pods(keys=tuple(arm.key for arm in arms), routers=[router])
        self.ledger = await read(self.ledger, pods, self.scraper)
        return self.ledger.window()


@pytest.fixture
async def operator(world: World) -> AsyncIterator[Operator]:
    """Return an operator that began before anything happened."""
    async with Scraper() as scraper:
        yield Operator(world, scraper)


async def call(world: World, times: int, *, patience_s: float = 5) -> list[grpc.StatusCode]:
    """Call with gRPC, as so many users, and return how it ended."""
    found = []
    target = f"127.0.0.1:{world.envoy.settings.grpc_port}"
    async with grpc.aio.insecure_channel(target) as channel:
        infer = channel.unary_unary(INFER)
        for i in range(times):
            made = infer(b"{}", metadata=((HEADER, f"u{i}"),), timeout=patience_s)
            try:
                await made
            except grpc.aio.AioRpcError as error:
                found.append(error.code())
            else:
                found.append(grpc.StatusCode.OK)
    return found


async def users(world: World, times: int, wanted: int = 200) -> None:
    """Ask over HTTP, as so many users."""
    async with a_client() as client:
        for i in range(times):
            response = await ask(client, world.envoy.url, f"u{i}")
            assert response.status_code == wanted


async def test_a_candidate_that_fails_only_in_grpc_trailers_is_seen(
    world: World, operator: Operator
) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    await world.route(a_split(control, bigger, control=0, bigger=10_000))
    await operator.look(control, bigger)
    for status, times in (("0", 5), ("13", 20), ("8", 3), ("3", 7), ("1", 2)):
        world.pods["bigger"][0].grpc_status = status
        await call(world, times)
    counts = (await operator.look(control, bigger)).arms[bigger.key]
    assert (counts.requests, counts.errors, counts.client_errors) == (37, 23, 7)


async def test_a_candidate_that_answers_400_to_everything_is_seen(
    world: World, operator: Operator
) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    split = a_split(control, bigger, control=5_000, bigger=5_000)
    await world.route(split)
    await operator.look(control, bigger)
    world.pods["bigger"][0].status = 400
    async with a_client() as client:
        answers = [await ask(client, world.envoy.url, f"u{i}") for i in range(200)]
    refused = sum(1 for each in answers if each.status_code == 400)
    window = await operator.look(control, bigger)
    assert 60 < refused < 140
    assert window.arms[bigger.key] == dataclasses.replace(
        window.arms[bigger.key], requests=refused, errors=0, client_errors=refused
    )
    assert window.arms[control.key].requests == 200 - refused
    assert window.arms[control.key].client_errors == 0


async def test_what_the_control_answered_for_an_arm_is_no_evidence_for_it(
    world: World, operator: Operator
) -> None:
    control, bigger = await world.arm("control", pods=2), await world.arm("bigger")
    await world.route(a_split(control, bigger, control=0, bigger=10_000))
    await operator.look(control, bigger)
    await users(world, 10)
    await call(world, 5)
    del world.names.addresses[bigger.host]

    async def fallen_back() -> bool:
        async with a_client() as client:
            return arm_of(await ask(client, world.envoy.url, "alice")) == "control"

    await eventually(fallen_back, 10)
    before = (await operator.look(control, bigger)).arms[bigger.key]
    assert before.requests >= 15
    world.pods["control"][0].grpc_status = world.pods["control"][1].grpc_status = "13"
    await users(world, 30)
    assert await call(world, 30) == [grpc.StatusCode.INTERNAL] * 30
    window = await operator.look(control, bigger)
    after = window.arms[bigger.key]
    assert (after.requests, after.errors) == (before.requests, 0)
    # They are not the control's either: nobody drew the control for these users.
    assert window.arms.get(control.key, Counts()).requests == 0


async def test_a_request_that_was_tried_again_is_a_failure_of_the_arm(
    world: World, operator: Operator
) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    await world.route(a_split(control, bigger, control=0, bigger=10_000))
    await operator.look(control, bigger)
    await users(world, 10)
    await world.pods["bigger"][0].kill()
    await users(world, 20)
    counts = (await operator.look(control, bigger)).arms[bigger.key]
    # Users saw no failure. Two in a row, and the router asks the dead pod no more for a while.
    assert 1 <= counts.errors <= 6
    assert counts.requests == 10 + counts.errors


async def test_errors_and_timeouts_over_http_are_seen_in_latency_too(
    world: World, operator: Operator
) -> None:
    world.envoy.settings = dataclasses.replace(world.envoy.settings, timeout_s=1)
    control, bigger = await world.arm("control"), await world.arm("bigger")
    await world.route(a_split(control, bigger, control=0, bigger=10_000))
    await operator.look(control, bigger)
    await users(world, 6)
    world.pods["bigger"][0].status = 503
    await users(world, 4, wanted=503)
    world.pods["bigger"][0].status, world.pods["bigger"][0].hangs = 200, True
    await users(world, 2, wanted=504)

    async def measured() -> bool:
        counts = (await operator.look(control, bigger)).arms[bigger.key]
        return counts.latency is not None and counts.latency.count >= 10

    await eventually(measured, 15)
    counts = operator.ledger.window().arms[bigger.key]
    assert (counts.requests, counts.errors, counts.client_errors) == (12, 6, 0)
    assert counts.latency is not None
    assert counts.latency.above(900.0).surely.successes <= 2


async def test_grpc_calls_that_hang_are_seen_whoever_loses_patience(
    world: World, operator: Operator
) -> None:
    world.envoy.settings = dataclasses.replace(world.envoy.settings, timeout_s=2)
    control, bigger = await world.arm("control"), await world.arm("bigger")
    await world.route(a_split(control, bigger, control=0, bigger=10_000))
    await operator.look(control, bigger)
    await call(world, 4)
    world.pods["bigger"][0].hangs = True
    late = [grpc.StatusCode.DEADLINE_EXCEEDED]
    assert await call(world, 3, patience_s=0.3) == late * 3
    assert await call(world, 1, patience_s=30) == late
    counts = (await operator.look(control, bigger)).arms[bigger.key]
    # The router has ten milliseconds to be first; on a busy machine it is not always.
    assert 2 <= counts.errors <= 4
    assert counts.requests == 4 + counts.errors


async def test_copies_that_hang_are_ended(world: World, operator: Operator) -> None:
    world.envoy.settings = dataclasses.replace(world.envoy.settings, timeout_s=1)
    control, bigger = await world.arm("control"), await world.arm("bigger")
    mirror = Mirror(arm=bigger, share=10_000, compared=10_000)
    base = only(control)
    await world.route(Split(arms=base.arms, table=base.table, mirror=mirror))
    await operator.look(control, bigger)
    world.pods["bigger"][0].hangs = True
    await call(world, 3)
    await users(world, 3)
    active = "envoy_cluster_upstream_rq_active{envoy_cluster_name"

    async def ended() -> bool:
        lines = [x for x in (await world.envoy.statistics()).splitlines() if active in x]
        mirrors = [line for line in lines if "_mirror" in line]
        assert len(mirrors) == 2
        return all(line.endswith(" 0") for line in mirrors)

    await eventually(lambda: len(world.pods["bigger"][0].seen) == 6, 5)
    await eventually(ended, 10)


async def test_a_pod_that_dies_with_a_request_in_its_hands_failed_it(
    world: World, operator: Operator
) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    await world.route(a_split(control, bigger, control=0, bigger=10_000))
    await operator.look(control, bigger)
    world.pods["bigger"][0].hangs = True
    async with a_client() as client:
        asked = asyncio.create_task(ask(client, world.envoy.url, "alice"))
        await eventually(lambda: len(world.pods["bigger"][0].seen) == 1, 5)
        await world.pods["bigger"][0].kill()
        assert (await asked).status_code == 503
    counts = (await operator.look(control, bigger)).arms[bigger.key]
    assert (counts.requests, counts.errors) == (1, 1)


async def test_copies_are_counted_apart_with_their_failures(
    world: World, operator: Operator
) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    mirror = Mirror(arm=bigger, share=10_000, compared=10_000)
    base = only(control)
    await world.route(Split(arms=base.arms, table=base.table, mirror=mirror))
    await operator.look(control, bigger)
    world.pods["bigger"][0].grpc_status = "13"
    assert await call(world, 20) == [grpc.StatusCode.OK] * 20
    world.pods["bigger"][0].status = 500
    await users(world, 10)

    async def copied() -> bool:
        return (await operator.look(control, bigger)).mirrored[bigger.key].requests == 30

    await eventually(copied, 10)
    window = operator.ledger.window()
    assert window.mirrored[bigger.key].errors == 30
    assert bigger.key not in window.arms
    assert window.arms[control.key].requests == 30
    assert window.arms[control.key].errors == 0


async def test_a_router_that_restarts_and_a_cluster_that_comes_back_lose_nothing_that_was_read(
    world: World, operator: Operator
) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    split = a_split(control, bigger, control=0, bigger=10_000)
    await world.route(split)
    await operator.look(control, bigger)
    await users(world, 7)
    assert (await operator.look(control, bigger)).arms[bigger.key].requests == 7
    # Without the arm, and with it again: its counters begin anew.
    without, wider = (
        documents.of(only(control)),
        Configuration(split=only(control), arms=split.arms),
    )
    for each in (wider, without, wider, documents.of(split)):
        world.envoy.write(each)
        await world.envoy.until_live(each, 5)
    await users(world, 4)
    assert (await operator.look(control, bigger)).arms[bigger.key].requests == 11
    await asyncio.sleep(6)  # Envoy tells its age in whole seconds; see `ledger`
    await world.envoy.stop()
    window = await operator.look(control, bigger)
    assert (window.arms[bigger.key].requests, window.unread) == (11, ("r",))
    await world.envoy.start()
    await users(world, 20)
    window = await operator.look(control, bigger)
    assert (window.arms[bigger.key].requests, window.unread) == (31, ())

"""Pods that are gone and pods that answer badly, behind the real Envoy."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import grpc.aio
import pytest

from fairlead_operator.traffic.split import Mirror, Split, only
from fairlead_runtime.contract import names
from tests.router.asking import HEADER, a_client, a_split, arm_of, ask, eventually
from tests.router.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


async def test_an_arm_without_pods_falls_back_to_the_control_and_says_so(world: World) -> None:
    control, bigger = await world.arm("control", pods=2), await world.arm("bigger", pods=2)
    del world.names.addresses[bigger.host]
    await world.route(a_split(control, bigger, control=0, bigger=10_000))
    async with a_client() as client:
        for _ in range(20):
            response = await ask(client, world.envoy.url, "alice")
            assert arm_of(response) == "control"
            assert response.headers[names.VARIANT_HEADER] == "control"
        world.names.addresses[bigger.host] = [pod.host for pod in world.pods["bigger"]]

        async def back() -> bool:
            return arm_of(await ask(client, world.envoy.url, "alice")) == "bigger"

        await eventually(back, 10)


async def test_an_arm_keeps_its_users_until_its_last_pod_is_gone(world: World) -> None:
    control, bigger = await world.arm("control", pods=2), await world.arm("bigger", pods=3)
    await world.route(a_split(control, bigger, control=0, bigger=10_000))
    async with a_client() as client:
        for pod in world.pods["bigger"][:2]:
            await pod.kill()
        # A request that meets one of the two is tried again, until they are found out: no failure.
        for i in range(50):
            arm_of(await ask(client, world.envoy.url, f"u{i}"))
        dead = {pod.host for pod in world.pods["bigger"][:2]}
        living = [p.host for p in world.pods["bigger"] if p.host not in dead]
        world.names.addresses[bigger.host] = living
        await asyncio.sleep(2.5)
        after = Counter([arm_of(await ask(client, world.envoy.url, f"u{i}")) for i in range(50)])
        assert set(after) == {"bigger"}
        await world.pods["bigger"][2].kill()
        last = Counter([arm_of(await ask(client, world.envoy.url, f"u{i}")) for i in range(50)])
        assert set(last) == {"control"}


async def test_a_pod_that_answers_errors_keeps_its_users(world: World) -> None:
    """Otherwise the control would answer for a bad candidate, and nobody would see it."""
    control, bigger = await world.arm("control"), await world.arm("bigger")
    world.pods["bigger"][0].status = 503
    await world.route(a_split(control, bigger, control=0, bigger=10_000))
    async with a_client() as client:
        for i in range(60):
            response = await ask(client, world.envoy.url, f"u{i}")
            assert response.status_code == 503
            assert response.headers[names.VARIANT_HEADER] == "bigger"
    assert len(world.pods["bigger"][0].seen) == 60


async def test_a_failure_in_a_grpc_trailer_is_counted(world: World) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    world.pods["bigger"][0].grpc_status = "13"
    await world.route(a_split(control, bigger, control=0, bigger=10_000))
    async with a_client(http2=True) as client:
        for i in range(20):
            response = await client.post(
                f"{world.envoy.grpc_url}/inference.GRPCInferenceService/ModelInfer",
                headers={HEADER: f"u{i}", "content-type": "application/grpc", "te": "trailers"},
                content=b"\0\0\0\0\0",
            )
            assert response.status_code == 200
    lines = (await world.envoy.statistics()).splitlines()
    grpc = [x for x in lines if "_grpc" in x and 'cluster_name="fraud-bigger_grpc"' in x]
    assert [x for x in grpc if "failure{" in x and x.endswith(" 20")], grpc
    assert [x for x in grpc if "_13{" in x and x.endswith(" 20")], grpc


async def test_copies_go_to_the_mirror_marked_as_wanted_and_with_the_same_id(world: World) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    mirror = Mirror(arm=bigger, share=5_000, compared=2_000)
    base = only(control)
    await world.route(Split(arms=base.arms, table=base.table, mirror=mirror))
    forged = {names.COMPARE_HEADER: names.COMPARED}
    started = time.monotonic()
    async with a_client() as client:
        for i in range(1_000):
            headers = {"x-request-id": f"r{i}", **forged}
            response = await ask(client, world.envoy.url, f"u{i}", **headers)
            assert arm_of(response) == "control"
    seconds = time.monotonic() - started
    await asyncio.sleep(2)
    seen, copies = world.pods["control"][0].seen, world.pods["bigger"][0].seen
    copied = [each["x-request-id"] for each in copies]
    marks = {each["x-request-id"]: each.get(names.COMPARE_HEADER) for each in seen}
    # Binomial, 1000 requests at 50 % and at 20 %: outside of this once in a million runs.
    assert 420 < len(copied) < 580
    assert 135 < sum(1 for mark in marks.values() if mark is not None) < 270
    assert len(set(copied)) == len(copied)
    # What is marked is copied, with the same mark; a client's own mark is gone.
    assert {each["x-request-id"]: each.get(names.COMPARE_HEADER) for each in copies} == {
        key: marks[key] for key in copied
    }
    assert {key for key, mark in marks.items() if mark is not None} <= set(copied)
    assert {each["host"] for each in copies} == {each["host"] for each in seen}
    # A router's part of 20 a second over two routers with two listeners each, and a full bucket.
    compared = sum(1 for mark in marks.values() if mark == names.COMPARED)
    assert 0 < compared <= 5 * seconds + 6


async def test_a_copy_of_a_grpc_call_is_one_too(world: World) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    mirror = Mirror(arm=bigger, share=10_000, compared=10_000)
    base = only(control)
    await world.route(Split(arms=base.arms, table=base.table, mirror=mirror))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.envoy.settings.grpc_port}") as channel:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        for i in range(10):
            await infer(b"{}", metadata=(("x-request-id", f"r{i}"),), timeout=5)
    copies = world.pods["bigger"][0].seen
    await eventually(lambda: len(copies) == 10, 5)
    assert {each[":protocol"] for each in copies} == {"HTTP/2"}
    assert {each["content-type"] for each in copies} == {"application/grpc"}
    assert {each["x-request-id"] for each in copies} == {f"r{i}" for i in range(10)}
    assert copies[0][names.COMPARE_HEADER] == names.COMPARED


async def test_a_dead_mirror_harms_nobody(world: World) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    await world.pods["bigger"][0].kill()
    base = only(control)
    mirror = Mirror(arm=bigger, share=10_000, compared=10_000)
    await world.route(Split(arms=base.arms, table=base.table, mirror=mirror))
    async with a_client() as client:
        for i in range(50):
            assert arm_of(await ask(client, world.envoy.url, f"u{i}")) == "control"

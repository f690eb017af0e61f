"""The age of connections at the real Envoy: all of them end, and no request is lost by it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time

import grpc.aio
import pytest

from fairlead_operator.traffic.split import only
from fairlead_runtime.contract import assignment
from tests.router.asking import HEADER, SALT, a_client, a_split, arm_of, ask
from tests.router.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def _client_connections(statistics: str, listener: str) -> int:
    name = f'envoy_http_downstream_cx_total{{envoy_http_conn_manager_prefix="{listener}"}}'
    [total] = [line for line in statistics.splitlines() if line.startswith(name)]
    return int(total.split()[1])


async def test_a_keep_alive_client_moves_on_by_age_and_loses_no_request(world: World) -> None:
    envoy = world.envoy
    envoy.settings = dataclasses.replace(envoy.settings, connection_age_s=2)
    await world.route(only(await world.arm("control")))
    ends = time.monotonic() + 7
    asked = 0
    async with a_client() as client:
        while time.monotonic() < ends:
            assert arm_of(await ask(client, envoy.url, f"u{asked}")) == "control"
            asked += 1
            await asyncio.sleep(0.02)
    assert _client_connections(await envoy.statistics(), "http") >= 2


async def test_a_grpc_client_moves_on_by_age_and_loses_no_call(world: World) -> None:
    envoy = world.envoy
    envoy.settings = dataclasses.replace(envoy.settings, connection_age_s=2)
    control, bigger = await world.arm("control"), await world.arm("bigger")
    split = a_split(control, bigger, control=5_000, bigger=5_000)
    await world.route(split)
    ends = time.monotonic() + 7
    asked = 0
    async with grpc.aio.insecure_channel(f"127.0.0.1:{envoy.settings.grpc_port}") as channel:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        while time.monotonic() < ends:
            user = f"u{asked}"
            answer = json.loads(await infer(b"{}", metadata=((HEADER, user),), timeout=5))
            arm = answer["pod"].rsplit("-", maxsplit=1)[0]
            assert arm == assignment.arm(split.table, SALT, user)
            asked += 1
            await asyncio.sleep(0.02)
    assert _client_connections(await envoy.statistics(), "grpc") >= 2

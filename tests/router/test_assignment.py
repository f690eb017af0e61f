"""The operator's documents on the real Envoy: who gets which arm."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from fairlead_operator.traffic.split import Split
from fairlead_runtime.contract import assignment, names
from fairlead_runtime.contract.assignment import Run
from tests.router.asking import HEADER, SALT, a_client, a_split, arm_of, ask
from tests.router.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("runs", ["few", "256"])
async def test_a_thousand_users_get_the_arm_that_the_contract_says(world: World, runs: str) -> None:
    arms = [await world.arm(name) for name in ("control", "a", "b")]
    split = a_split(*arms, control=7_000, a=2_000, b=1_000)
    if runs == "256":
        table = [Run(("control", "a", "b")[i % 3], 39) for i in range(255)]
        table.append(Run("a", assignment.SLOTS - 39 * 255))
        split = Split(arms=split.arms, table=tuple(table), header=HEADER, salt=SALT)
    await world.route(split)
    async with a_client() as client:
        for i in range(1_000):
            response = await ask(client, world.envoy.url, f"user-{i}")
            wanted = assignment.arm(split.table, SALT, f"user-{i}")
            assert arm_of(response) == wanted
            assert response.headers[names.VARIANT_HEADER] == wanted
            unit = response.json()["headers"][names.UNIT_HEADER]
            assert unit == assignment.unit(SALT, f"user-{i}")


@pytest.mark.parametrize(
    "user",
    ["zo\u00eb", "a b", "100%", "%REQ(:path)%", "x" * 2_000, '"', "a,b", "-", ":"],
)
async def test_odd_users_get_the_arm_that_the_contract_says(world: World, user: str) -> None:
    arms = [await world.arm(name) for name in ("control", "a")]
    table = tuple(Run(("control", "a")[i % 2], 40) for i in range(250))
    await world.route(Split(arms=tuple(arms), table=table, header=HEADER, salt=SALT))
    async with a_client() as client:
        response = await client.get(world.envoy.url, headers=[(b"x-user-id", user.encode())])
        assert arm_of(response) == assignment.arm(table, SALT, user)
        unit = response.json()["headers"][names.UNIT_HEADER]
        assert unit == assignment.unit(SALT, user)


async def test_white_space_around_a_user_counts_neither_here_nor_there(world: World) -> None:
    arms = [await world.arm(name) for name in ("control", "a")]
    await world.route(a_split(*arms, control=5_000, a=5_000))
    reader, writer = await asyncio.open_connection("127.0.0.1", world.envoy.settings.http_port)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-user-id: \t bob \t\r\n\r\n")
    answer = (await reader.read()).decode()
    writer.close()
    got = json.loads(answer.split("\r\n\r\n", 1)[1])["headers"]
    assert got[names.UNIT_HEADER] == assignment.unit(SALT, "\t bob \t") == f"{SALT}:bob"


async def test_requests_without_a_user_go_to_the_control(world: World) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    await world.route(a_split(control, bigger, control=100, bigger=9_900))
    async with a_client() as client:
        for _ in range(50):
            assert arm_of(await ask(client, world.envoy.url)) == "control"
            assert arm_of(await ask(client, world.envoy.url, "")) == "control"


async def test_a_client_cannot_choose_its_arm_or_the_routers_behaviour(world: World) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    split = a_split(control, bigger, control=5_000, bigger=5_000)
    await world.route(split)
    async with a_client() as client:
        for i in range(100):
            forged = {
                names.UNIT_HEADER: f"forged:{i}",
                names.COMPARE_HEADER: "1",
                "x-envoy-max-retries": "9",
                "x-request-id": f"mine-{i}",
            }
            response = await ask(client, world.envoy.url, "alice", **forged)
            assert arm_of(response) == assignment.arm(split.table, SALT, "alice")
            got = response.json()["headers"]
            assert got[names.UNIT_HEADER] == assignment.unit(SALT, "alice")
            assert got["x-request-id"] == f"mine-{i}"
            assert names.COMPARE_HEADER not in got
            assert not [name for name in got if name.startswith("x-envoy")]


async def test_a_split_without_users_is_random_in_the_wanted_shares(world: World) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    await world.route(a_split(control, bigger, header=None, control=8_000, bigger=2_000))
    async with a_client() as client:
        found = Counter([arm_of(await ask(client, world.envoy.url, "alice")) for _ in range(1_000)])
    # Binomial, 1000 requests at 20 %: outside of this once in a million runs.
    assert 135 < found["bigger"] < 270


async def test_answers_name_variant_and_experiment_whatever_the_pod_says(world: World) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    await world.route(a_split(control, bigger, control=0, bigger=10_000))
    async with a_client() as client:
        response = await ask(client, world.envoy.url, "alice")
    assert response.headers.get_list(names.VARIANT_HEADER) == ["bigger"]
    assert response.headers[names.EXPERIMENT_HEADER] == "checkout"
    assert not [name for name in response.headers if name.startswith(("x-envoy", "server"))]


@pytest.mark.parametrize("port", ["http", "grpc"])
async def test_a_pod_is_told_which_variant_it_is_also_where_it_stands_in_for_another(
    world: World, port: str
) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    await world.route(a_split(control, bigger, control=0, bigger=10_000))
    url = world.envoy.url if port == "http" else world.envoy.grpc_url
    forged = dict.fromkeys((names.VARIANT_HEADER, names.EXPERIMENT_HEADER, "x-fairlead-model"), "x")
    async with a_client(http2=port == "grpc") as client:

        async def told() -> tuple[str, str, str, str]:
            response = await ask(client, url, "alice", **forged)
            got = response.json()["headers"]
            return (
                arm_of(response),
                got[names.VARIANT_HEADER],
                got[names.EXPERIMENT_HEADER],
                got[names.MODEL_HEADER],
            )

        assert await told() == ("bigger", "bigger", "checkout", "fraud")
        for pod in world.pods["bigger"]:
            await pod.kill()
        assert await told() == ("control", "control", "checkout", "fraud")


@pytest.mark.parametrize(("port", "spoken"), [("http", "HTTP/1.1"), ("grpc", "HTTP/2")])
async def test_clients_of_both_versions_reach_pods_that_speak_one(
    world: World, port: str, spoken: str
) -> None:
    control, bigger = await world.arm("control"), await world.arm("bigger")
    split = a_split(control, bigger, control=5_000, bigger=5_000)
    await world.route(split)
    url = world.envoy.url if port == "http" else world.envoy.grpc_url
    for http2 in (False, True):
        async with a_client(http2=http2) as client:
            for i in range(30):
                response = await ask(client, url, f"u{i}")
                assert arm_of(response) == assignment.arm(split.table, SALT, f"u{i}")
                version = "HTTP/2" if http2 else "HTTP/1.1"
                assert response.http_version == version
                assert response.json()["protocol"] == spoken

"""Evidence from real runtimes behind the real Envoy: what they answer, and how two differ."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import itertools
import random
import time
from pathlib import Path

import grpc.aio
import httpx
import pytest
from scipy import stats

from fairlead_operator.evidence import compared
from fairlead_operator.evidence import ledger as ledgers
from fairlead_operator.evidence.compared import Comparison
from fairlead_operator.evidence.direct import Pods, read
from fairlead_operator.evidence.ledger import Ledger
from fairlead_operator.evidence.routers import RouterPod
from fairlead_operator.evidence.scrape import Scraper, Target
from fairlead_operator.traffic.counts import p99_ms
from fairlead_operator.traffic.split import Arm, Mirror, Split, only
from fairlead_runtime.grpc.messages import INFERENCE
from tests import models
from tests.router.asking import HEADER, a_client, a_split, eventually
from tests.router.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
_ids = itertools.count()


def _pods(world: World, *arms: Arm) -> Pods:
    port = world.envoy.settings.metrics_port
    return Pods(
        keys=tuple(arm.key for arm in arms),
        routers=[RouterPod(name="r", ip="127.0.0.1", ready=True, port=port)],
        models=[each.pod for arm in arms for each in world.models[arm.name]],
    )


async def infer(client: httpx.AsyncClient, world: World, rows: list[list[float]]) -> httpx.Response:
    """Ask for a prediction of some rows, as a user of one's own."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [len(rows), len(rows[0])], "data": rows}
    number = next(_ids)
    headers = {HEADER: f"u{number}", "x-request-id": f"r{number}"}
    url = f"{world.envoy.url}/v2/models/m/infer"
    return await client.post(url, json={"inputs": [tensor]}, headers=headers)


async def test_nan_restarts_and_speed_are_read_from_the_models_pods(
    world: World, tmp_path: Path
) -> None:
    model = models.root(tmp_path / "model.onnx")
    control = await world.serving("control", model, pods=2)
    bigger = await world.serving("bigger", model)
    await world.route(a_split(control, bigger, control=0, bigger=10_000))
    ledger = ledgers.new(dt.datetime.now(dt.UTC))
    [pod] = world.models["bigger"]

    async def look(ledger: Ledger, scraper: Scraper) -> Ledger:
        return await read(ledger, _pods(world, control, bigger), scraper)

    async def asked(number: int, value: float) -> None:
        async with a_client() as client:
            for _ in range(number):
                (await infer(client, world, [[value, 1.0]])).raise_for_status()

    async with Scraper() as scraper:
        ledger = await look(ledger, scraper)
        assert ledger.unread == ()
        await asked(10, 4.0)
        await asked(5, -4.0)

        async def checked() -> bool:
            nonlocal ledger
            ledger = await look(ledger, scraper)
            return ledger.window().arms[bigger.key].predictions == 15

        await eventually(checked, 10)
        counts = ledger.window().arms[bigger.key]
        assert (counts.requests, counts.errors, counts.non_finite) == (15, 0, 5)
        assert counts.restarts == 0
        served = ledger.window().served[bigger.key]
        assert (served.requests, served.errors) == (15, 0)
        assert p99_ms(served) is not None
        assert ledger.window().requests_per_second(bigger.key) is not None

        # The process ends and begins anew: its counters are small again, and nothing is lost.
        await pod.restart()
        await asked(6, -1.0)

        async def again() -> bool:
            nonlocal ledger
            ledger = await look(ledger, scraper)
            return ledger.window().arms[bigger.key].predictions == 21

        await eventually(again, 10)
        counts = ledger.window().arms[bigger.key]
        assert (counts.non_finite, counts.restarts) == (11, 1)
        # What the control answered meanwhile is not the arm's.
        assert 21 <= counts.requests <= 15 + 6 + counts.errors

        # A pod that is ready and cannot be read makes the evidence old.
        end = ledger.end
        await pod.kill()
        ledger = await look(ledger, scraper)
        assert ledger.unread == (pod.name,)
        assert ledger.end <= end + dt.timedelta(seconds=1)


async def test_a_model_that_differs_on_seven_percent_of_the_rows_reads_seven_percent(
    world: World, tmp_path: Path
) -> None:
    """Rows are 0 to 99 at random: the copies' model says otherwise of 7 in 100."""
    world.envoy.settings = dataclasses.replace(world.envoy.settings, routers=1)
    control = await world.serving("control", models.threshold(tmp_path / "a" / "m.onnx", -1))
    other = await world.serving("other", models.threshold(tmp_path / "b" / "m.onnx", 6.5))
    base = only(control)
    mirror = Mirror(arm=other, share=10_000, compared=10_000)
    await world.route(Split(arms=base.arms, table=base.table, mirror=mirror))
    draw = random.Random(7)  # noqa: S311 - no secret
    known = Comparison(begin=dt.datetime.now(dt.UTC))
    expected = sent = 0
    started = time.monotonic()
    async with a_client() as client, Scraper() as scraper:
        while time.monotonic() < started + 8:
            rows = [[float(draw.randrange(100))] for _ in range(50)]
            (await infer(client, world, rows)).raise_for_status()
            sent += 1
            expected += sum(1 for [value] in rows if value < 7)
            await asyncio.sleep(0.05)
            if sent % 20 == 0:
                known = await _compared(world, known, scraper)
        await asyncio.sleep(1)
        known = await _compared(world, known, scraper)
    found = known.found
    assert (found.unmatched, found.ambiguous, found.mismatched) == (0, 0, 0)
    # 10 a second for the one listener in use, and a full bucket.
    assert 40 <= found.pairs <= min(sent, 10 * 10 + 11)
    assert found.rows == 50 * found.pairs
    assert found.differing_labels == found.differing_rows
    low, high = stats.binom.interval(0.999, found.rows, 0.07)
    assert low <= found.differing_labels <= high, found
    assert abs(expected / (50 * sent) - 0.07) < 0.02


async def test_pairs_of_grpc_calls_are_joined_too(world: World, tmp_path: Path) -> None:
    control = await world.serving("control", models.threshold(tmp_path / "a" / "m.onnx", 0))
    other = await world.serving("other", models.threshold(tmp_path / "b" / "m.onnx", 10))
    base = only(control)
    mirror = Mirror(arm=other, share=10_000, compared=10_000)
    await world.route(Split(arms=base.arms, table=base.table, mirror=mirror))
    known = Comparison(begin=dt.datetime.now(dt.UTC))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.envoy.settings.grpc_port}") as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        for value in (5.0, -5.0, 50.0, 5.0):
            request = INFERENCE["ModelInferRequest"](model_name="m")
            tensor = request.inputs.add(name="x", datatype="FP32", shape=[1, 1])
            tensor.contents.fp32_contents.append(value)
            await call(request.SerializeToString(), timeout=5)
    async with Scraper() as scraper:

        async def joined() -> bool:
            nonlocal known
            known = await _compared(world, known, scraper)
            return known.found.pairs == 4

        await eventually(joined, 10)
    assert known.found.differing_labels == 2
    assert known.found.unmatched == 0


async def _compared(world: World, known: Comparison, scraper: Scraper) -> Comparison:
    known, unread = await compared.read(
        known, _targets(world, "control"), _targets(world, "other"), scraper
    )
    assert unread == ()
    return known


def _targets(world: World, arm: str) -> list[Target]:
    return [compared.target(each.name, each.host, each.pod.port) for each in world.models[arm]]

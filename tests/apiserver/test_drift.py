"""Drift from the pods' counts to the resource's status: real counters, on a clock of the test."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.kube.kinds import MODEL_DEPLOYMENT, POD
from fairlead_operator.planning.podtemplate import METRICS_PORT
from fairlead_operator.reconcile import drift
from fairlead_runtime.contract.drift_names import PATH
from fairlead_runtime.contract.drift_profile import Profile
from fairlead_runtime.contract.drift_report import to_document
from fairlead_runtime.drift.monitor import Monitor
from fairlead_runtime.drift.reference import Draft
from fairlead_runtime.drift.watch import nothing
from fairlead_runtime.protocol.types import Signature, TensorSpec
from tests.apiserver.api import Api, a_model, condition
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.rig import Rig
from tests.apiserver.story import events
from tests.builders import NOW, later

SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, 20)),),
    outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1,)),),
)


def profile() -> Profile:
    draft = Draft(SIGNATURE)
    rows = np.random.default_rng(0).standard_normal((5000, 20), dtype=np.float32)
    for step in (draft.add, draft.count):
        step({"x": rows}, {"y": rows[:, 0]})
    return draft.finish("sha256:" + "a" * 64)


@dataclass
class Pods:
    """Pods that answer on this machine, each at an address and with counters of its own."""

    monitors: dict[str, Monitor] = field(default_factory=dict)
    seconds: float = 0.0
    asked: int = 0
    has_profile: bool = True
    refusing: set[str] = field(default_factory=set)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    def now_s(self) -> float:
        return float(later(self.seconds).timestamp())

    def traffic(self, minutes: int, *, shift: float = 0.0, rows: int = 300) -> None:
        """Let every pod count so many minutes of rows, the fourth feature shifted."""
        for _ in range(minutes):
            self.rows(shift=shift, rows=rows)
            self.seconds += 60

    def rows(self, *, shift: float, rows: int) -> None:
        """Let every pod count so many rows."""
        for monitor in self.monitors.values():
            x = self.random.standard_normal((rows, 20), dtype=np.float32)
            x[:, 3] += shift
            monitor.count({"x": x}, {"y": x[:, 0]})

    async def answer(self, address: str, monitor: Monitor, _: web.Request) -> web.Response:
        self.asked += 1
        if address in self.refusing:
            document = nothing("ProfileRefused", "its profile has no bins")
        elif self.has_profile:
            document = to_document(monitor.report())
        else:
            document = nothing("NoProfile", "")
        return web.Response(body=json.dumps(document).encode())

    @classmethod
    @contextlib.asynccontextmanager
    async def answering(cls) -> AsyncIterator[Pods]:
        """Answer at two loopback addresses that no other test on this machine has."""
        found = cls()
        known = profile()
        process = os.getpid()
        async with contextlib.AsyncExitStack() as stack:
            for place in (1, 2):
                address = f"127.{process >> 8 & 127}.{process & 255}.{place}"
                monitor = Monitor(known, version="1", wall=found.now_s)
                found.monitors[address] = monitor
                app = web.Application()
                app.router.add_get(PATH, functools.partial(found.answer, address, monitor))
                runner = web.AppRunner(app)
                await runner.setup()
                stack.push_async_callback(runner.cleanup)
                await web.TCPSite(runner, address, METRICS_PORT).start()
            yield found


@pytest.fixture
async def pods() -> AsyncIterator[Pods]:
    """Two pages, at loopback addresses of their own."""
    async with Pods.answering() as found:
        yield found


async def serving(api: Api, kubelet: Kubelet, rig: Rig, pods: Pods, **spec: Any) -> None:
    """Serve a model on two pods that have these addresses."""
    model = a_model()
    model["spec"] |= {"scaling": {"minReplicas": 2, "maxReplicas": 2}, **spec}
    await api.create(MODEL_DEPLOYMENT, rig.namespace, model)
    await rig.settle(NOW)
    name = rig.revision("1")
    await kubelet.scale(name, 2)
    for pod, address in zip(await kubelet.some_pods(name, 2), pods.monitors, strict=True):
        status = {"status": {"podIP": address, "podIPs": [{"ip": address}]}}
        await api.merge(POD, rig.namespace, pod["metadata"]["name"], status, "status")
    await kubelet.start(name, 2)
    await rig.settle(later(10))


async def passes(rig: Rig, pods: Pods, minutes: int, *, shift: float = 0.0) -> None:
    for _ in range(minutes):
        pods.traffic(1, shift=shift)
        await rig.run(later(pods.seconds))


async def told(api: Api, namespace: str) -> tuple[str, str, str]:
    live = await api.model(namespace)
    found = condition(live, "Drifted")
    return found["status"], found["message"], live["status"]["drift"]


async def test_drift_reaches_the_status_names_the_feature_and_ends(
    api: Api, kubelet: Kubelet, rig: Rig, pods: Pods
) -> None:
    async with Scraper() as scraper:
        rig.drift = drift.reader(scraper)
        rig.restart()
        await serving(api, kubelet, rig, pods)
        await passes(rig, pods, 6)
        assert await told(api, rig.namespace) == (
            "False", "none of 21 features has drifted", "no",
        )  # fmt: skip
        writes = rig.cluster.writes
        await passes(rig, pods, 12)
        assert rig.cluster.writes == writes, "nothing has changed"
        await passes(rig, pods, 12, shift=1.0)
        status, message, word = await told(api, rig.namespace)
        assert (status, word) == ("True", "x[3]")
        assert message.startswith("1 of 21 features: x[3] (PSI ")
        assert "of 2 replicas" in message
        assert ("Warning", "Drifted") in await events(api, rig.namespace)

        pods.refusing = {next(iter(pods.monitors))}
        await passes(rig, pods, 2, shift=1.0)
        status, message, word = await told(api, rig.namespace)
        assert (status, word) == ("True", "x[3]"), "the other one's requests still drift"
        assert message.endswith("not all replicas count: its profile has no bins")
        pods.refusing.clear()
        await passes(rig, pods, 1, shift=1.0)
        assert "not all" not in (await told(api, rig.namespace))[1]

        rig.restart()  # the alarm outlives the operator
        await rig.loop.resync()
        await passes(rig, pods, 2, shift=1.0)
        assert (await told(api, rig.namespace))[0] == "True"

        await passes(rig, pods, 45)
        assert (await told(api, rig.namespace))[0] == "False"
        assert ("Normal", "NoDrift") in await events(api, rig.namespace)


async def test_a_pod_that_goes_between_two_minutes_takes_less_than_one_with_it(
    api: Api, kubelet: Kubelet, rig: Rig, pods: Pods
) -> None:
    # Ten rows a second, read every 50 s, in the middle of minutes: all of the pod that stays, and
    # a hundred seconds of the one that goes after 118.
    needed = 10 * 200 + 10 * 100
    look = {"minRows": needed, "lookEvery": "1m", "raiseAfter": 1}
    async with Scraper() as scraper:
        rig.drift = drift.reader(scraper)
        rig.restart()
        await serving(api, kubelet, rig, pods, drift=look)
        gone = list(pods.monitors)[1]
        pods.seconds = 10
        for second in range(200):
            pods.rows(shift=1.0, rows=10)
            pods.seconds += 1
            if second == 117:
                del pods.monitors[gone]
                for pod in await api.list(POD, rig.namespace):
                    if pod["status"].get("podIP") == gone:
                        await api.delete(POD, rig.namespace, pod["metadata"]["name"])
                        assert await api.get(POD, rig.namespace, pod["metadata"]["name"]) is None
            if pods.seconds % 50 == 10:
                before = (await api.model(rig.namespace))["status"].get("drift")
                await rig.run(later(pods.seconds))
        assert before != "x[3]", "not before all of it is read"
        status, message, word = await told(api, rig.namespace)
        assert (status, word) == ("True", "x[3]")
        assert f"{needed} rows of 1 replica " in message


async def test_a_model_without_a_profile_is_asked_once(
    api: Api, kubelet: Kubelet, rig: Rig, pods: Pods
) -> None:
    pods.has_profile = False
    async with Scraper() as scraper:
        rig.drift = drift.reader(scraper)
        rig.restart()
        await serving(api, kubelet, rig, pods)
        await passes(rig, pods, 3)
        asked, requests = pods.asked, rig.cluster.requests
        assert 1 <= asked <= 2
        await passes(rig, pods, 10)
        assert (pods.asked, rig.cluster.requests) == (asked, requests)
        live = await api.model(rig.namespace)
        assert not condition(live, "Drifted")
        assert "drift" not in live["status"]

"""Drift from the pods' counts to the resource's status: real counters, on a clock of the test."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from aiohttp import web

from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.kube.kinds import DEPLOYMENT, MODEL_DEPLOYMENT, POD
from fairlead_operator.reconcile import drift
from fairlead_runtime.contract.drift_names import PATH
from fairlead_runtime.contract.drift_profile import Profile
from fairlead_runtime.contract.drift_report import to_document
from fairlead_runtime.drift.monitor import Monitor
from fairlead_runtime.drift.reference import Draft
from fairlead_runtime.drift.watch import nothing
from fairlead_runtime.protocol.types import Signature, TensorSpec
from tests.apiserver.api import JSON, Api, a_model, condition, until
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
    """Pages of pods that answer on this machine, each with counters of its own."""

    monitors: list[Monitor] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    seconds: float = 0.0
    asked: int = 0
    has_profile: bool = True
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    def now_s(self) -> float:
        return float(later(self.seconds).timestamp())

    def traffic(self, minutes: int, *, shift: float = 0.0, rows: int = 300) -> None:
        """Let every pod count so many minutes of rows, the fourth feature shifted."""
        for _ in range(minutes):
            for monitor in self.monitors:
                x = self.random.standard_normal((rows, 20), dtype=np.float32)
                x[:, 3] += shift
                monitor.count({"x": x}, {"y": x[:, 0]})
            self.seconds += 60

    async def page(self, monitor: Monitor) -> web.Response:
        self.asked += 1
        document = to_document(monitor.report()) if self.has_profile else nothing("NoProfile", "")
        return web.Response(body=json.dumps(document).encode())


@pytest.fixture
async def pods() -> AsyncIterator[Pods]:
    """One page, where both pods of a test are asked: they have the same address and port."""
    found = Pods()
    known = profile()
    found.monitors = [Monitor(known, version="1", wall=found.now_s) for _ in range(2)]
    turns = {"next": 0}

    async def answer(_: web.Request) -> web.Response:
        turns["next"] += 1
        return await found.page(found.monitors[turns["next"] % len(found.monitors)])

    app = web.Application()
    app.router.add_get(PATH, answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.ports = [runner.addresses[0][1]]
    yield found
    await runner.cleanup()


async def serving(api: Api, kubelet: Kubelet, rig: Rig, pods: Pods) -> None:
    """Serve a model on two pods that have the page's port as their inner one."""
    model = a_model()
    model["spec"]["scaling"] = {"minReplicas": 2, "maxReplicas": 2}
    await api.create(MODEL_DEPLOYMENT, rig.namespace, model)
    await rig.settle(NOW)
    name = rig.revision("1")
    await kubelet.scale(name, 0)

    async def gone() -> bool:
        return not await kubelet.pods(name)

    await until("no pods", gone)
    live = await api.get(DEPLOYMENT, rig.namespace, name)
    assert live is not None
    containers = live["spec"]["template"]["spec"]["containers"]
    port = {"name": "metrics", "containerPort": pods.ports[0], "protocol": "TCP"}
    containers[0]["ports"].append(port)
    spec = {"replicas": 2, "template": {"spec": {"containers": containers}}}
    await api.merge(DEPLOYMENT, rig.namespace, name, {"spec": spec})

    async def new() -> list[JSON] | None:
        found = [pod for pod in await kubelet.pods(name) if _inner(pod)]
        return found if len(found) == 2 else None

    for pod in await until("two pods with the inner port", new):
        status = {"status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}}
        await api.merge(POD, rig.namespace, pod["metadata"]["name"], status, "status")
    await kubelet.start(name, 2)
    await rig.settle(later(10))


def _inner(pod: JSON) -> bool:
    ports = pod["spec"]["containers"][0]["ports"]
    return any(port.get("name") == "metrics" for port in ports)


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

        rig.restart()  # the alarm outlives the operator
        await rig.loop.resync()
        await passes(rig, pods, 2, shift=1.0)
        assert (await told(api, rig.namespace))[0] == "True"

        await passes(rig, pods, 45)
        assert (await told(api, rig.namespace))[0] == "False"
        assert ("Normal", "NoDrift") in await events(api, rig.namespace)


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


async def test_pods_without_an_inner_port_are_never_asked(
    api: Api, kubelet: Kubelet, rig: Rig, pods: Pods
) -> None:
    async with Scraper() as scraper:
        rig.drift = drift.reader(scraper)
        rig.restart()
        await api.create(MODEL_DEPLOYMENT, rig.namespace, a_model())
        await rig.settle(NOW)
        await kubelet.start(rig.revision("1"))
        await rig.settle(later(10))
        result = await rig.run(later(300))
        assert result.requeue_after_s is None
        assert pods.asked == 0

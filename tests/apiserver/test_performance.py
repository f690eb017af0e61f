"""Outcomes to the resource's status: a real recorder and API server, pods are played."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from cluster.controlplane import ControlPlane
from fairlead_operator.kube.kinds import MODEL_DEPLOYMENT
from fairlead_operator.planning import names
from tests.apiserver.api import JSON, Api, a_model, condition
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.rig import SETTINGS, Rig
from tests.apiserver.story import events
from tests.builders import NOW, later
from tests.recorder.process import Recorder
from tests.recorder.test_performance import TYPE, event

JUDGED: JSON = {
    "runtime": {"recordPredictionsPercent": 100},
    "performance": {"window": "1m", "reference": {"outcomes": 1000, "errors": 50}},
}
"""Of a ModelDeployment whose outcomes are looked at."""


@pytest.fixture
async def rig(plane: ControlPlane, namespace: str, counting: Recorder) -> AsyncIterator[Rig]:
    """An operator that knows the recorder."""
    settings = dataclasses.replace(SETTINGS, recorder_url=counting.url)
    async with await Rig.connect(plane, namespace, settings) as made:
        yield made


async def serving(api: Api, kubelet: Kubelet, rig: Rig, **spec: Any) -> str:
    """Serve a model whose predictions are recorded; return its revision's short hash."""
    model = a_model()
    model["spec"] |= {**JUDGED, **spec}
    await api.create(MODEL_DEPLOYMENT, rig.namespace, model)
    await rig.settle(NOW)
    await kubelet.start(rig.revision("1"))
    await rig.settle(later(10))
    return await revision_of(api, rig.namespace)


async def revision_of(api: Api, namespace: str) -> str:
    """Return the short hash of the first revision."""
    live = await api.model(namespace)
    return names.short(live["status"]["revisions"][0]["hash"])


def happened(counting: Recorder, path: str, revision: str, name: str, errors: int) -> None:
    """Let a hundred predictions meet their outcomes, so many of them wrong."""
    batch = [event(f"{name}-{place}", 1) for place in range(100)]
    answer = httpx.post(
        f"{counting.url}{path}/predictions?revision={revision}", json=batch,
        headers={"content-type": TYPE}, trust_env=False,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    outcomes = [
        {"requestId": f"{name}-{place}", "outcome": 0 if place < errors else 1}
        for place in range(100)
    ]
    answer = counting.post(f"{path}/outcomes", {"outcomes": outcomes})
    assert answer.json()["joined"] == 100


async def test_a_model_that_gets_worse_is_degraded_in_status(
    api: Api, kubelet: Kubelet, rig: Rig, counting: Recorder
) -> None:
    revision = await serving(api, kubelet, rig)
    path = f"/v1/modeldeployments/{rig.namespace}/fraud"
    happened(counting, path, revision, "well", 5)
    await rig.run(later(100))
    live = await api.model(rig.namespace)
    found = condition(live, "Degraded")
    assert (found["status"], found["reason"]) == ("False", "AsGoodAsBefore")
    assert live["status"]["performance"]["recentErrorBasisPoints"] == 500

    writes = rig.cluster.writes
    for minutes in range(3, 13):
        await rig.run(later(60 * minutes))
    assert rig.cluster.writes == writes, "nothing has changed"

    happened(counting, path, revision, "worse", 60)
    await rig.run(later(900))
    live = await api.model(rig.namespace)
    found = condition(live, "Degraded")
    assert (found["status"], found["reason"]) == ("True", "ErrorsIncreased")
    assert found["message"].startswith("32.5 % of the last 200 outcomes were predicted wrongly")
    assert live["status"]["performance"]["degradedSince"]
    assert ("Warning", "ErrorsIncreased") in await events(api, rig.namespace)

    rig.restart()  # it is all in the recorder
    await rig.loop.resync()
    await rig.run(later(960))
    assert condition(await api.model(rig.namespace), "Degraded")["status"] == "True"


async def test_without_a_recorder_the_condition_says_so_and_the_model_is_served(
    api: Api, kubelet: Kubelet, rig: Rig, counting: Recorder
) -> None:
    counting.kill()
    await serving(api, kubelet, rig)
    await rig.run(later(100))
    live = await api.model(rig.namespace)
    found = condition(live, "Degraded")
    assert (found["status"], found["reason"]) == ("Unknown", "RecorderUnavailable")
    assert condition(live, "Ready")["status"] == "True"
    counting.start()
    await rig.run(later(200))
    assert condition(await api.model(rig.namespace), "Degraded")["reason"] == "TooFewOutcomes"

"""A rollout on a real API server, steered by Argo CD's own code alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairlead_operator.kube.kinds import MODEL_DEPLOYMENT
from tests.apiserver.api import Api
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.rig import Rig
from tests.apiserver.rolling import PASSED, Cluster
from tests.gitops import engine

pytestmark = pytest.mark.apiserver


class ArgoCD:
    """What a person sees of `fraud`, and does about it, in Argo CD's interface."""

    def __init__(self, world: Cluster, folder: Path) -> None:
        self._world, self._path = world, folder / "live.json"

    async def _live(self) -> Path:
        self._path.write_text(json.dumps(await self._world.model()))
        return self._path

    async def health(self) -> str:
        path = await self._live()
        return str(engine.health([path])[path]["status"])

    async def offered(self) -> set[str]:
        path = await self._live()
        return engine.enabled([path])[path]

    async def click(self, action: str) -> str:
        """Patch as Argo CD does, let the operator look; return what came of it."""
        wanted = engine.act(action, await self._live())
        note = {"metadata": {"annotations": wanted["metadata"]["annotations"]}}
        namespace = self._world.rig.namespace
        await self._world.api.merge(MODEL_DEPLOYMENT, namespace, "fraud", note)
        live = await self._world.go(1)
        return str(live["status"]["lastAction"]["result"])


async def test_the_operator_obeys_every_action_as_often_as_it_is_clicked(
    api: Api, rig: Rig, kubelet: Kubelet, tmp_path: Path
) -> None:
    world = Cluster(api, rig, kubelet)
    argo = ArgoCD(world, tmp_path)
    await world.first()
    assert (await argo.health(), await argo.offered()) == ("Healthy", set())
    await world.second()
    await world.split()
    assert await argo.health() == "Progressing"
    for _ in range(2):
        assert await argo.offered() == {"promote", "pause", "abort"}
        assert await argo.click("pause") == "paused"
        assert await argo.health() == "Suspended"
        assert await argo.offered() == {"promote", "resume", "abort"}
        assert await argo.click("resume") == "resumed"
        assert await argo.health() == "Progressing"
    assert await argo.click("abort") == "aborted"
    for _ in range(30):
        await world.go(5)
    assert (await argo.health(), await argo.offered()) == ("Degraded", {"retry"})
    assert await argo.click("retry") == "retried from validation on"
    assert await world.phase() == "Validating"
    assert await argo.health() == "Progressing"
    await world.kubelet.tries(f"{rig.revision('2')}-validate", 0, PASSED)
    await world.go(6)
    await world.kubelet.start(rig.revision("2"))
    await world.go(6)
    await world.split()
    assert await argo.click("promote") == "promoted"
    for _ in range(60):
        await world.go(5)
    assert await argo.health() == "Healthy"

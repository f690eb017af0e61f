"""A candidate beside a stable revision, and the split between them, step by step."""

from __future__ import annotations

import json
from typing import Any

from fairlead_operator.kube.kinds import MODEL_DEPLOYMENT, SERVICE
from fairlead_operator.planning import names
from tests.apiserver.api import JSON, Api
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.rig import Rig
from tests.apiserver.routers import PlayedRouters
from tests.apiserver.story import change, serving
from tests.builders import later

ROUTER = "fraud-fl-router"


async def split(api: Api, namespace: str, weights: dict[str, int] | None, **more: Any) -> None:
    """Ask for a split by hand, or for none."""
    text = None if weights is None else json.dumps({"weights": weights, **more})
    patch = {"metadata": {"annotations": {names.SPLIT_ANNOTATION: text}}}
    await api.merge(MODEL_DEPLOYMENT, namespace, "fraud", patch)


async def selector(api: Api, namespace: str) -> dict[str, str]:
    live = await api.get(SERVICE, namespace, "fraud")
    assert live is not None
    found: dict[str, str] = live["spec"]["selector"]
    return found


async def status(api: Api, namespace: str) -> JSON:
    found: JSON = (await api.model(namespace))["status"]
    return found


class Story:
    """A candidate beside a stable revision, and time that passes when told."""

    def __init__(self, api: Api, rig: Rig, kubelet: Kubelet) -> None:
        self.api, self.rig, self.kubelet = api, rig, kubelet
        self.namespace = rig.namespace
        self.seconds = 20.0
        self.routers = PlayedRouters(api, rig.namespace)
        rig.routers = self.routers

    async def begin(self, replicas: int = 1) -> None:
        """Serve version 1, and bring version 2 up beside it under a split that gives it nothing."""
        self.stable = await serving(self.api, self.kubelet, self.rig)
        if replicas > 1:  # as an autoscaler would
            await self.kubelet.scale(self.stable, replicas)
            await self.kubelet.start(self.stable, replicas)
        await split(self.api, self.namespace, {})
        await change(self.api, self.namespace, version="2")
        await self.go()
        self.candidate = self.rig.revision("2")
        await self.kubelet.start(self.candidate)

    async def go(self, seconds: float = 0.0) -> None:
        """Let time pass, and passes run until there is nothing to do."""
        self.seconds += seconds
        await self.rig.settle(later(self.seconds))

    async def passes(self, count: int) -> None:
        """Run so many passes, a second apart."""
        for _ in range(count):
            self.seconds += 1
            await self.rig.run(later(self.seconds))

    async def shares(self) -> dict[str, int]:
        found = await self.routers.shares()
        return {
            {self.stable: "stable", self.candidate: "candidate"}[key]: slots
            for key, slots in found.items()
        }

    async def until_split(self, **weights: int) -> None:
        """Get the router ready, flip, settle, and reach a split."""
        await split(self.api, self.namespace, weights)
        await self.go()
        await self.routers.start(self.kubelet)
        await self.go(1)
        await self.go(75)
        await self.go(1)

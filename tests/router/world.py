"""Pods by arm, their names, and a router in front."""

from __future__ import annotations

from pathlib import Path

from fairlead_operator.traffic import documents
from fairlead_operator.traffic.split import Arm, Split
from tests.router.envoy import Envoy
from tests.router.names import NameServer
from tests.router.pods import Pod


class World:
    """One address."""

    def __init__(self, folder: Path) -> None:
        self.names = NameServer()
        self.folder = folder
        self.pods: dict[str, list[Pod]] = {}
        self._envoy: Envoy | None = None

    @property
    def envoy(self) -> Envoy:
        assert self._envoy is not None
        return self._envoy

    async def begin(self, *, recorder: str | None = None) -> None:
        await self.names.start()
        self._envoy = Envoy(self.folder, self.names.port, recorder=recorder)

    async def arm(self, name: str, *, pods: int = 1) -> Arm:
        """Return a new arm with so many pods."""
        arm = Arm(name=name, key=f"fraud-{name}", host=f"fraud-{name}.team.svc.cluster.test")
        third = 1 + len(self.pods)
        made = [Pod(name=f"{name}-{i}", host=f"127.0.{third}.{i + 1}") for i in range(pods)]
        for pod in made:
            await pod.start(self.envoy.settings.http_port, self.envoy.settings.grpc_port)
        self.pods[name] = made
        self.names.addresses[arm.host] = [pod.host for pod in made]
        return arm

    async def route(self, split: Split) -> None:
        """Start the router with a split."""
        self.envoy.write(documents.of(split))
        await self.envoy.start()

    async def end(self) -> None:
        await self.envoy.stop()
        for pods in self.pods.values():
            for pod in pods:
                await pod.kill()
        self.names.close()

"""Pods by arm, their names, and a router in front."""

from __future__ import annotations

from pathlib import Path

from fairlead_operator.traffic import documents
from fairlead_operator.traffic.split import Arm, Split
from tests.router.envoy import Envoy, free_ports
from tests.router.names import NameServer
from tests.router.pods import Pod
from tests.router.served import ModelProcess


class World:
    """One address."""

    def __init__(self, folder: Path) -> None:
        self.names = NameServer()
        self.folder = folder
        self.pods: dict[str, list[Pod]] = {}
        self.models: dict[str, list[ModelProcess]] = {}
        self._envoy: Envoy | None = None

    @property
    def envoy(self) -> Envoy:
        assert self._envoy is not None
        return self._envoy

    async def begin(
        self, *, recorder: str | None = None, recorder_ca: str = "", collector: str | None = None
    ) -> None:
        await self.names.start()
        self._envoy = Envoy(
            self.folder,
            self.names.port,
            recorder=recorder,
            recorder_ca=recorder_ca,
            collector=collector,
        )

    async def arm(self, name: str, *, pods: int = 1) -> Arm:
        """Return a new arm with so many pods."""
        arm, third = self._new(name)
        made = [Pod(name=f"{name}-{i}", host=f"127.0.{third}.{i + 1}") for i in range(pods)]
        for pod in made:
            await pod.start(self.envoy.settings.http_port, self.envoy.settings.grpc_port)
        self.pods[name] = made
        self.names.addresses[arm.host] = [pod.host for pod in made]
        return arm

    async def serving(self, name: str, model: Path, *flags: str, pods: int = 1) -> Arm:
        """Return a new arm with so many real runtimes that serve a model."""
        arm, third = self._new(name)
        metrics = free_ports(1)[0]
        self.models[name] = [
            ModelProcess(f"{arm.key}-{i}", arm.key, f"127.0.{third}.{i + 1}", model, self.folder)
            for i in range(pods)
        ]
        settings = self.envoy.settings
        for each in self.models[name]:
            await each.start(settings.http_port, settings.grpc_port, metrics, *flags)
        self.names.addresses[arm.host] = [each.host for each in self.models[name]]
        return arm

    def _new(self, name: str) -> tuple[Arm, int]:
        arm = Arm(name=name, key=f"fraud-{name}", host=f"fraud-{name}.team.svc.cluster.test")
        return arm, 1 + len(self.pods) + len(self.models)

    async def route(self, split: Split) -> None:
        """Start the router with a split."""
        self.envoy.write(documents.of(split))
        await self.envoy.start()

    async def end(self) -> None:
        await self.envoy.stop()
        for pods in self.pods.values():
            for pod in pods:
                await pod.kill()
        for models in self.models.values():
            for model in models:
                await model.kill()
        self.names.close()

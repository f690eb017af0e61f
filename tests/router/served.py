"""Real runtimes as the pods of an arm: processes on loopback, each on an address of its own."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import sys
from pathlib import Path

import httpx

from fairlead_operator.evidence.direct import ModelPod


class ModelProcess:
    """One pod: `fairlead-runtime serve` under an address of its own."""

    def __init__(self, name: str, arm: str, host: str, model: Path, folder: Path) -> None:
        self.name, self.arm, self.host = name, arm, host
        self.restarts = 0
        self._model, self._log = model, folder / f"{name}.log"
        self._ports: tuple[int, int, int] = (0, 0, 0)
        self._flags: tuple[str, ...] = ()
        self._created = dt.datetime.now(dt.UTC)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pod(self) -> ModelPod:
        """What the operator knows of it."""
        return ModelPod(
            name=self.name,
            ip=self.host,
            arm=self.arm,
            ready=True,
            created=self._created,
            restarts=self.restarts,
            port=self._ports[2],
        )

    async def start(self, http: int, grpc: int, metrics: int, *flags: str) -> None:
        """Serve, and return once it is ready."""
        self._ports, self._flags = (http, grpc, metrics), flags
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "fairlead_runtime.cli", "serve", str(self._model),
                "--model-name", "m", "--host", self.host, "--http-port", str(http),
                "--grpc-port", str(grpc), "--metrics-port", str(metrics), "--threads", "1",
                *flags,
                stdout=log, stderr=asyncio.subprocess.STDOUT, env=dict(os.environ),
            )  # fmt: skip
        async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
            while True:
                assert self._process.returncode is None, self._log.read_text()
                try:
                    url = f"http://{self.host}:{http}/health/ready"
                    if (await client.get(url)).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """End at once."""
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def restart(self) -> None:
        """End at once and begin anew, as a container does."""
        await self.kill()
        self.restarts += 1
        await self.start(*self._ports, *self._flags)

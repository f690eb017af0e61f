"""The real Envoy as a process on loopback, with the operator's documents as a mounted ConfigMap."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import socket
from pathlib import Path

import httpx

from cluster import pyenv
from fairlead_operator.traffic import bootstrap, documents
from fairlead_operator.traffic.documents import Configuration, Versions
from fairlead_operator.traffic.split import Settings
from tests.router.asking import eventually

_serial = itertools.count()


def binary() -> Path:
    """Return the program; it is installed once."""
    return pyenv.environment("envoy") / "bin" / "envoy"


def free_ports(count: int) -> list[int]:
    """Return ports that nobody has."""
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in held]


class Envoy:
    """One router."""

    def __init__(
        self,
        folder: Path,
        name_server_port: int,
        *,
        recorder: str | None = None,
        recorder_ca: str = "",
        collector: str | None = None,
    ) -> None:
        http, grpc, metrics, admin = free_ports(4)
        self.mount = folder / "mount"
        self.mount.mkdir(parents=True)
        self.log = folder / "log"
        self.settings = Settings(
            name="fraud",
            folder=str(self.mount),
            listen="127.0.0.1",
            http_port=http,
            grpc_port=grpc,
            metrics_port=metrics,
            admin_port=admin,
            timeout_s=10,
            recorder=recorder,
            recorder_ca=recorder_ca,
            collector=collector,
        )
        self._file = folder / "bootstrap.json"
        document = json.loads(documents.bootstrap_file(self.settings))
        # The one thing that differs from a pod: who tells the pods' addresses.
        resolver = {"socket_address": {"address": "127.0.0.1", "port_value": name_server_port}}
        document["typed_dns_resolver_config"] = {
            "name": "envoy.network.dns_resolver.cares",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3"
                ".CaresDnsResolverConfig",
                "resolvers": [resolver],
                "dns_resolver_options": {"no_default_search_domain": True},
            },
        }
        self._file.write_text(json.dumps(document))
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.http_port}"

    @property
    def grpc_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.grpc_port}"

    @property
    def metrics_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.metrics_port}"

    def write(self, configuration: Configuration) -> None:
        """Have the router read a configuration."""
        self.write_texts(documents.files(configuration, self.settings))

    def write_texts(self, texts: dict[str, str]) -> None:
        """Swap the documents as the kubelet does: a new folder, and a link renamed to it."""
        fresh = self.mount / f"..{next(_serial)}"
        fresh.mkdir()
        for name, text in texts.items():
            (fresh / name).write_text(text)
            if not (self.mount / name).is_symlink():
                (self.mount / name).symlink_to(f"..data/{name}")
        link = self.mount / "..data_tmp"
        link.symlink_to(fresh.name)
        link.rename(self.mount / "..data")

    async def validate(self) -> tuple[int, str]:
        """Return how `--mode validate` ends and what it says."""
        process = await asyncio.create_subprocess_exec(
            binary(), "--mode", "validate", "--config-path", self._file, "--disable-hot-restart",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    async def start(self) -> None:
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                binary(), *bootstrap.arguments(self.settings, str(self._file)),
                stdout=log, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
        async with asyncio.timeout(30):
            while not await self._ready():
                assert self._process.returncode is None, self.log.read_text()[-2000:]
                await asyncio.sleep(0.1)

    async def _ready(self) -> bool:
        try:
            return (await self.metrics("/ready")).status_code == 200
        except httpx.TransportError:
            return False

    async def stop(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def metrics(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.get(f"{self.metrics_url}{path}")

    async def statistics(self) -> str:
        return (await self.metrics("/stats/prometheus?text_readouts")).text

    async def versions(self) -> Versions:
        """Return what is live."""
        text = await self.statistics()

        def of(name: str, labels: str = "{") -> str:
            found = re.search(re.escape(name + labels) + r'.*text_value="([^"]*)"', text)
            return found.group(1) if found else ""

        rds = "envoy_http_rds_version_text"
        return Versions(
            clusters=of("envoy_cluster_manager_cds_version_text"),
            listeners=of("envoy_listener_manager_lds_version_text"),
            routes_http=of(rds, '{envoy_rds_route_config="fairlead_http"'),
            routes_grpc=of(rds, '{envoy_rds_route_config="fairlead_grpc"'),
        )

    async def until_live(self, configuration: Configuration, seconds: float) -> None:
        wanted = documents.versions(configuration, self.settings)

        async def live() -> bool:
            return await self.versions() == wanted

        await eventually(live, seconds)

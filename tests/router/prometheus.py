"""A real Prometheus as a process on loopback, scraping the pods of a test every second."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from cluster import build
from tests.router.envoy import free_ports


class Prometheus:
    """One Prometheus."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "prometheus"
        self._folder.mkdir()
        [self._port] = free_ports(1)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self, targets: Mapping[str, tuple[str, str]]) -> None:
        """Scrape each pod's `host:port` and path."""
        jobs: list[dict[str, Any]] = [
            {
                "job_name": pod,
                "metrics_path": path,
                "static_configs": [{"targets": [host], "labels": {"namespace": "t", "pod": pod}}],
            }
            for pod, (host, path) in targets.items()
        ]
        await self.start_jobs(jobs)

    async def start_jobs(self, jobs: Sequence[Mapping[str, Any]], *rules: Path) -> None:
        """Scrape by these jobs every second, and judge by these rules; JSON is YAML too."""
        every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config = self._folder / "prometheus.yml"
        document = {
            "global": every, "scrape_configs": jobs, "rule_files": [str(path) for path in rules],
        }  # fmt: skip
        config.write_text(json.dumps(document))
        program = shutil.which("prometheus") or str(build.program("prometheus"))
        with (self._folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                program, f"--config.file={config}", f"--storage.tsdb.path={self._folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self._port}",
                stdout=log, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
        async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
            while True:
                assert self._process.returncode is None, (self._folder / "log").read_text()
                try:
                    if (await client.get(f"{self.url}/-/ready")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)

    async def api(self, path: str, **query: str) -> Any:
        """Return the data of an answer of its API."""
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = (await client.get(f"{self.url}/api/v1/{path}", params=query)).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    async def stop(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

"""The runtime as a process of its own, for tests over real sockets."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from cluster.controlplane import free_ports
from tests import models


class Served:
    """A running `fairlead-runtime serve` that is ready."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process, self.port, self.log = process, port, log

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def metric(self, sample: str) -> float:
        """Return the value of a sample, named with its labels."""
        for line in self.get("/metrics")[1].decode().splitlines():
            if line.startswith(sample + " "):
                return float(line.rsplit(" ", 1)[1])
        raise AssertionError(f"no {sample}")

    def sockets(self) -> int:
        """Return how many sockets the process has open."""
        links = Path(f"/proc/{self.process.pid}/fd").iterdir()
        return sum(1 for link in links if _target(link).startswith("socket:"))


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""


@contextlib.contextmanager
def served(
    model: Path, log: Path, *flags: str, env: Mapping[str, str] | None = None
) -> Iterator[Served]:
    """Serve a model until the end of the block."""
    port = free_ports(1)[0]
    command = [
        sys.executable, "-m", "fairlead_runtime.cli", "serve", str(model),
        "--model-name", "m", "--host", "127.0.0.1", "--http-port", str(port),
        "--grpc-port", "0", "--threads", "1", *flags,
    ]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, **(env or {})}
        )
    try:
        this = Served(process, port, log)
        _wait(this)
        yield this
    finally:
        process.kill()
        process.wait()


def _wait(this: Served) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and this.process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if this.get("/health/ready")[0] == 200:
                return
        time.sleep(0.02)
    raise AssertionError(this.log.read_text())


@contextlib.contextmanager
def served_by_edge(edge: str, folder: Path) -> Iterator[Served]:
    """Serve a classifier with an HTTP edge and small limits; nothing may be raised unseen."""
    model = models.classifier(folder / "model.onnx")
    with served(model, folder / "log", "--http-edge", edge, "--max-body-mib", "1") as running:
        yield running
        assert "Traceback" not in running.log.read_text()

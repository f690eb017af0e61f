"""The servers under load: how to start one, and what it costs."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.controlplane import free_ports

HERE = Path(__file__).parent
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Running:
    """A server that is ready."""

    name: str
    port: int
    path: str
    pid: int
    ready_s: float
    host: str = "127.0.0.1"

    def cpu_s(self) -> float:
        """Return the CPU time of the process and its children so far."""
        total = 0
        for pid in _tree(self.pid):
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                total += int(fields[11]) + int(fields[12])
        return total / _TICKS

    def pss_mb(self) -> float:
        """Return the memory of the process and its children, shared pages divided."""
        total = 0
        for pid in _tree(self.pid):
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        return total / 1024


def fairlead(model: Path, *, edge: str) -> tuple[str, list[str], dict[str, str], str]:
    """Return how to start our server."""
    flags = ["--threads", "1", "--host", "127.0.0.1", "--log-level", "warning", "--grpc-port", "0"]
    command = [sys.executable, "-m", "fairlead_runtime.cli", "serve", str(model), *flags]
    return f"fairlead-{edge}", [*command, "--http-edge", edge, "--http-port"], {}, "/predict"


def fastapi(model: Path, python: str) -> tuple[str, list[str], dict[str, str], str]:
    """Return how to start the FastAPI app."""
    command = [python, str(HERE / "peers" / "fastapi_app.py")]
    return "fastapi", command, {"MODEL": str(model)}, "/predict"


def mosec(
    model: Path, python: str, *, batch: int = 1
) -> tuple[str, list[str], dict[str, str], str]:
    """Return how to start mosec, which waits a millisecond for others where it batches."""
    app = str(HERE / "peers" / "mosec_app.py")
    command = [python, app, "--address", "127.0.0.1", "--log-level", "error", "--port"]
    name = "mosec" if batch == 1 else "mosec-batched"
    return name, command, {"MODEL": str(model), "BATCH": str(batch)}, "/inference"


@contextlib.contextmanager
def running(
    how: tuple[str, list[str], dict[str, str], str],
    log: Path,
    body: bytes,
    *,
    host: str = "127.0.0.1",
) -> Iterator[Running]:
    """Start a server and wait until it answers a prediction; `host` is where it listens."""
    name, command, env, path = how
    port = free_ports(1)[0]
    started = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, str(port)], env={**os.environ, **env}, stdout=output, stderr=output
        )
    try:
        while not _answers(host, port, path, body):
            if process.poll() is not None or time.perf_counter() - started > 60:
                raise RuntimeError(f"{name} does not answer: {log.read_text()[-2000:]}")
            time.sleep(0.005)
        yield Running(name, port, path, process.pid, time.perf_counter() - started, host)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(host: str, port: int, path: str, body: bytes) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("POST", path, body, {"content-type": "application/json"})
        return connection.getresponse().status == 200
    return False


def _tree(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found

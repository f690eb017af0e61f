"""The servers under load: how to start one, what it speaks, and what it costs."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.runtime.bodies import Body, Kind
from cluster.controlplane import free_ports

HERE = Path(__file__).parent
FULL = "fairlead-full"
"""Our server with a prediction log and a drift profile."""
_TICKS = os.sysconf("SC_CLK_TCK")
_V2 = "/v2/models/model/infer"


@dataclass(frozen=True)
class How:
    """How to start a server, and at which path it takes which body.

    Attributes:
        name: What tables call it.
        command: Its command line; the port comes behind it.
        paths: Path of a prediction by the kind of body; a kind that is not there is not spoken.
        env: Environment beside this process's own.
        grpc: Whether it listens for gRPC as well.
    """

    name: str
    command: tuple[str, ...]
    paths: Mapping[Kind, str]
    env: Mapping[str, str] = field(default_factory=dict)
    grpc: bool = False


@dataclass(frozen=True)
class Running:
    """A server that is ready."""

    how: How
    port: int
    grpc_port: int
    pid: int
    ready_s: float
    host: str = "127.0.0.1"

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.how.name

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
        return self._memory_mb("Pss")

    def own_mb(self) -> float:
        """Return the memory that no file is behind: what a leak would be in.

        The rest is pages of files, mostly of libraries, that the kernel drops and reads as it
        likes, divided by how many processes happen to use them as well.
        """
        return self._memory_mb("Pss_Anon")

    def _memory_mb(self, what: str) -> float:
        total = 0
        for pid in _tree(self.pid):
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith(f"{what}:"):
                        total += int(line.split()[1])
        return total / 1024


def fairlead(
    model: Path, *, edge: str = "own", grpc: bool = False, extra: tuple[str, ...] = ()
) -> How:
    """Return how to start our server, with everything on that is on by default."""
    command = (
        sys.executable, "-m", "fairlead_runtime.cli", "serve", str(model), "--model-name", "model",
        "--threads", "1", "--host", "127.0.0.1", "--log-level", "warning", "--http-edge", edge,
        *extra, *(() if grpc else ("--grpc-port", "0")), "--http-port",
    )  # fmt: skip
    paths = {Kind.SIMPLE: "/predict", Kind.V2: _V2, Kind.BINARY: _V2}
    name = f"fairlead-{edge}" + ("-grpc" if grpc else "")
    return How(name, command, paths, grpc=grpc)


def full(model: Path, profile: Path, log: Path) -> How:
    """Return how to start our server with its prediction log, in a file, and drift counted."""
    extra = ("--prediction-log", str(log), "--profile", str(profile))
    return dataclasses.replace(fairlead(model, extra=extra), name=FULL)


def bare() -> How:
    """Return how to start what answers always the same, to whatever comes."""
    command = (sys.executable, str(HERE / "peers" / "bare_app.py"))
    return How("bare", command, {Kind.SIMPLE: "/predict", Kind.BINARY: _V2})


def fastapi(model: Path, python: str) -> How:
    """Return how to start the FastAPI app."""
    command = (python, str(HERE / "peers" / "fastapi_app.py"))
    return How("fastapi", command, {Kind.SIMPLE: "/predict"}, {"MODEL": str(model)})


def mosec(model: Path, python: str, *, batch: int = 1) -> How:
    """Return how to start mosec, which waits a millisecond for others where it batches."""
    app = str(HERE / "peers" / "mosec_app.py")
    command = (python, app, "--address", "127.0.0.1", "--log-level", "error", "--port")
    name = "mosec" if batch == 1 else "mosec-batched"
    env = {"MODEL": str(model), "BATCH": str(batch)}
    return How(name, command, {Kind.SIMPLE: "/inference"}, env)


def mlserver(model: Path, python: str) -> How:
    """Return how to start MLServer without its parallel workers, in which it is faster."""
    command = (python, str(HERE / "peers" / "mlserver_app.py"))
    return How("mlserver", command, {Kind.V2: _V2}, {"MODEL": str(model)}, grpc=True)


def kserve(model: Path, python: str, *, binary: bool = False) -> How:
    """Return how to start KServe's server; it answers in binary only where the model says so."""
    command = (python, str(HERE / "peers" / "kserve_app.py"))
    kind = Kind.BINARY if binary else Kind.V2
    env = {"MODEL": str(model), "BINARY": str(int(binary))}
    return How("kserve-binary" if binary else "kserve", command, {kind: _V2}, env, grpc=True)


@contextlib.contextmanager
def running(how: How, log: Path, bodies: Mapping[Kind, Body]) -> Iterator[Running]:
    """Start a server and wait until it answers a prediction."""
    port, grpc_port, spare = free_ports(3)
    ports = {"GRPC_PORT": grpc_port, "FAIRLEAD_GRPC_PORT": grpc_port, "SPARE_PORT": spare}
    env = {**os.environ, **how.env, **{name: str(each) for name, each in ports.items()}}
    kind, path = next(iter(how.paths.items()))
    started = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen([*how.command, str(port)], env=env, stdout=output, stderr=output)
    try:
        while not _answers(port, path, bodies[kind]):
            if process.poll() is not None or time.perf_counter() - started > 60:
                raise RuntimeError(f"{how.name} does not answer: {log.read_text()[-2000:]}")
            time.sleep(0.005)
        yield Running(how, port, grpc_port, process.pid, time.perf_counter() - started)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int, path: str, body: Body) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("POST", path, body.data, dict(body.headers))
        return connection.getresponse().status == 200
    return False


def _tree(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found

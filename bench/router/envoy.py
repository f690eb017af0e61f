"""Envoy as a router pod runs it: the operator's documents, arguments and settings."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.runtime.bodies import Kind
from bench.runtime.servers import How, Running
from cluster import pyenv
from fairlead_operator.traffic import bootstrap, documents
from fairlead_operator.traffic.split import Settings, Split


@contextlib.contextmanager
def routing(name: str, split: Split, settings: Settings, folder: Path) -> Iterator[Running]:
    """Start a router and wait until it is ready.

    Args:
        name: What it is called in the figures.
        split: What it does.
        settings: Its settings; its documents go to `settings.folder`.
        folder: Where its bootstrap document and its log go.
    """
    mount = Path(settings.folder)
    mount.mkdir(parents=True)
    for file, text in documents.files(documents.of(split), settings).items():
        (mount / file).write_text(text)
    first = folder / f"{name}-bootstrap.json"
    first.write_text(documents.bootstrap_file(settings))
    program = pyenv.environment("envoy") / "bin" / "envoy"
    log = folder / f"{name}.log"
    started = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, *bootstrap.arguments(settings, str(first))],
            # Each request is a line of the access log; it is thrown away, as by a fast collector.
            stdout=subprocess.DEVNULL,
            stderr=output,
        )
    try:
        while not _ready(settings):
            if process.poll() is not None or time.perf_counter() - started > 60:
                raise RuntimeError(f"{name} does not become ready: {log.read_text()[-2000:]}")
            time.sleep(0.01)
        ready_s = time.perf_counter() - started
        how = How(name, (), {Kind.SIMPLE: "/predict"})
        yield Running(
            how, settings.http_port, settings.grpc_port, process.pid, ready_s, settings.listen
        )
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no memory any more")


def _ready(settings: Settings) -> bool:
    connection = http.client.HTTPConnection(settings.listen, settings.metrics_port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    return False

"""wrk, and what it says."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.runtime.bodies import Body
from bench.runtime.servers import Running

OPTIONS = ("--latency", "--timeout", "10s")  # its own 2 s are short on a busy machine
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Load:
    """What one round of load gave.

    Attributes:
        rps: Answers a second, refusals left out.
        p50_ms: Median latency of all answers.
        p99_ms: 99th percentile of the same.
        cpu_us: The server's CPU time for each answer.
        refused: Share of the answers that were no success.
    """

    rps: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    refused: float = 0.0


def need_wrk() -> None:
    """End the process, and say what to do, where wrk is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed: install it (Debian: apt-get install wrk)")


def script(path: Path, body: Body) -> Path:
    """Write the Lua file that makes wrk post this body."""
    lines = ['wrk.method = "POST"']
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in body.headers.items()]
    text = "".join(
        f"\\{byte:03d}" if byte < 32 or byte > 126 or byte in b'"\\' else chr(byte)
        for byte in body.data
    )
    path.write_text("\n".join([*lines, f'wrk.body = "{text}"', ""]))
    return path


def press(
    server: Running, lua: Path, path: str, *, connections: int, seconds: int, refusals: bool = False
) -> Load:
    """Load a server for a while.

    Raises:
        RuntimeError: An answer was no success, and refusals were not expected.
    """
    before = server.cpu_s()
    url = f"http://{server.host}:{server.port}{path}"
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *OPTIONS, "-s", str(lua), url],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    cpu_s = server.cpu_s() - before
    unhappy = re.search(r"Non-2xx or 3xx responses: (\d+)", done)
    if "Socket errors" in done or (unhappy and not refusals):
        raise RuntimeError(f"{server.name}: {done}")
    requests = max(1, int(_find(r"(\d+) requests in", done)))
    refused = int(unhappy[1]) / requests if unhappy else 0.0
    return Load(
        rps=float(_find(r"Requests/sec:\s+([\d.]+)", done)) * (1 - refused),
        p50_ms=_latency("50", done),
        p99_ms=_latency("99", done),
        cpu_us=cpu_s / requests * 1e6,
        refused=refused,
    )


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"wrk said: {text}")
    return found[1]


def _latency(percent: str, text: str) -> float:
    found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s|m)\b", text)
    if found is None:
        raise RuntimeError(f"wrk said: {text}")
    return float(found[1]) * _UNITS_MS[found[2]]

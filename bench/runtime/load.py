"""wrk, and what it says."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.runtime.servers import Running

_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Load:
    """What one round of load gave."""

    rps: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


def script(path: Path, body: bytes, kind: str = "application/json", **headers: str) -> Path:
    """Write the Lua file that makes wrk post this body."""
    lines = ['wrk.method = "POST"', f'wrk.headers["Content-Type"] = "{kind}"']
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    text = "".join(
        f"\\{byte:03d}" if byte < 32 or byte > 126 or byte in b'"\\' else chr(byte) for byte in body
    )
    path.write_text("\n".join([*lines, f'wrk.body = "{text}"', ""]))
    return path


def press(
    server: Running, lua: Path, *, connections: int, seconds: int, path: str | None = None
) -> Load:
    """Load a server for a while.

    Raises:
        RuntimeError: An answer was no success.
    """
    before = server.cpu_s()
    url = f"http://{server.host}:{server.port}{path or server.path}"
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(lua), url],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    cpu_s = server.cpu_s() - before
    if "Non-2xx" in done or "Socket errors" in done:
        raise RuntimeError(f"{server.name}: {done}")
    requests = int(_find(r"(\d+) requests in", done))
    return Load(
        rps=float(_find(r"Requests/sec:\s+([\d.]+)", done)),
        p50_ms=_latency("50", done),
        p99_ms=_latency("99", done),
        cpu_us=cpu_s / max(1, requests) * 1e6,
    )


def row_json(width: int, rows: int = 0) -> bytes:
    """Return a prediction's body: one row, or several."""
    row = [round(0.001 * (index * 37 % 1000) - 0.5, 4) for index in range(width)]
    return json.dumps({"features": [row] * rows if rows else row}).encode()


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

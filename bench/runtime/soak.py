"""A soak: half of saturation for minutes, every answer right, memory flat. Loopback, needs wrk.

The server has everything on: both protocols, checks of outputs, the prediction log, the inner port.
wrk, with a pause before each request, gives the load; beside it real answers over every protocol
are compared with the first ones, wrong requests are refused, clients vanish, and metrics are read.

Memory must be flat: the line through its second half may rise by GROWTH_MB. Only memory that no
file is behind counts. An overload before the soak lets queues, and the allocator with them, reach
what they reach.

    python -m bench.runtime.soak --seconds 600
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import logging
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx

from bench.runtime.bodies import Kind, body
from bench.runtime.load import OPTIONS, need_wrk, press, script
from bench.runtime.servers import How, Running, running
from cluster.controlplane import free_ports
from fairlead_runtime.grpc.messages import INFERENCE
from tests import models
from tests.rawhttp import Raw, post

CONNECTIONS = 32
GROWTH_MB = 2.0
"""By how much memory may grow in the second half: noise of the allocator."""
_OVERLOAD = 512  # connections, at first
_EVERY_S = 2.0
_BATCH = 20
_TRIES = 5


@dataclass
class Seen:
    """What went wrong, and memory over time."""

    wrong: list[str] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    checks: int = 0


def main() -> int:
    """Soak, print figures, and return 1 where a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--edge", choices=["own", "asgi"], default="own")
    args = parser.parse_args()
    need_wrk()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        return soak(Path(folder), args.seconds, args.edge)


def soak(folder: Path, seconds: int, edge: str) -> int:
    """Run it; see `main`."""
    model = models.classifier(folder / "model.onnx")
    inner, rpc = free_ports(2)
    command = (
        sys.executable, "-m", "fairlead_runtime.cli", "serve", str(model), "--model-name", "m",
        "--threads", "1", "--host", "127.0.0.1", "--log-level", "warning", "--http-edge", edge,
        "--grpc-port", str(rpc), "--metrics-port", str(inner),
        "--prediction-log", "/dev/null", "--http-port",
    )  # fmt: skip
    row = body(Kind.SIMPLE, 3, 0)
    log = folder / "log"
    how = How("fairlead", command, {Kind.SIMPLE: "/predict"})
    with running(how, log, {Kind.SIMPLE: row}) as server:
        lua = script(folder / "full.lua", row)
        full = statistics.median(
            press(server, lua, "/predict", connections=CONNECTIONS, seconds=3).rps for _ in range(3)
        )
        press(server, lua, "/predict", connections=_OVERLOAD, seconds=10, refusals=True)
        paced = _paced(server, lua, full / 2)
        seen = Seen()
        done, rate = _half_load(server, paced, seconds, seen, rpc=rpc, inner=inner)
        errors = _complaints(done)
        pss = server.pss_mb()
        alive = httpx.get(f"http://127.0.0.1:{server.port}/health").status_code == 200
    complaints = log.read_text()
    growth = slope_mb(seen.memory[len(seen.memory) // 2 :])
    print(f"saturation_rps: {full:.0f}")
    print(f"soak_rps: {rate:.0f}")
    print(f"soak_seconds: {seconds}")
    print(f"answers_checked: {seen.checks}")
    print(f"memory_mb_by_tenth: {' '.join(f'{each:.1f}' for each in _tenths(seen.memory))}")
    print(f"pss_mb: {pss:.1f}")
    print(f"growth_mb_second_half: {growth:.2f}")
    print(f"errors: {len(seen.wrong) + len(errors)}")
    for each in [*errors, *seen.wrong[:20], complaints[-2000:]]:
        if each:
            print(f"wrong: {each}", file=sys.stderr)
    sound = not (seen.wrong or errors or complaints) and alive and growth <= GROWTH_MB
    return 0 if sound else 1


def _paced(server: Running, lua: Path, wanted: float) -> Path:
    """Return a script by which wrk sends about so many requests a second.

    A connection's requests are a pause and an answer's time apart, which is found out by trying.
    """
    path = lua.with_name("paced.lua")
    apart_ms = 1000 * CONNECTIONS / wanted
    pause_ms = apart_ms / 2
    for _ in range(_TRIES):
        # wrk waits whole milliseconds: a fraction is the chance of one more.
        pace = f"local p = {pause_ms}\nfunction delay() return math.floor(p + math.random()) end\n"
        path.write_text(lua.read_text() + pace)
        found = press(server, path, "/predict", connections=CONNECTIONS, seconds=3).rps
        if 0.9 * wanted < found < 1.1 * wanted:
            break
        pause_ms = max(0.0, pause_ms + apart_ms - 1000 * CONNECTIONS / found)
    return path


def _half_load(
    server: Running, lua: Path, seconds: int, seen: Seen, *, rpc: int, inner: int
) -> tuple[str, float]:
    """Return what wrk said, and its rate."""
    over = threading.Event()
    threads = [
        threading.Thread(target=_watch_memory, args=(server, seen, over)),
        threading.Thread(target=_check, args=(server, seen, over, rpc, inner)),
    ]
    for each in threads:
        each.start()
    try:
        out = subprocess.run(
            ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *OPTIONS, "-s", str(lua),
             f"http://127.0.0.1:{server.port}/predict"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    finally:
        over.set()
        for each in threads:
            each.join()
    found = re.search(r"Requests/sec:\s+([\d.]+)", out)
    print(out)
    return out, float(found[1]) if found else 0.0


def _complaints(said: str) -> list[str]:
    return [line.strip() for line in said.splitlines() if "Non-2xx" in line or "errors" in line]


def _watch_memory(server: Running, seen: Seen, over: threading.Event) -> None:
    started = time.monotonic()
    while not over.wait(_EVERY_S):
        seen.memory.append((time.monotonic() - started, server.own_mb()))


def _check(server: Running, seen: Seen, over: threading.Event, rpc: int, inner: int) -> None:
    """Ask over every protocol, again and again; the first answers are the right ones."""
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=10) as client,
        grpc.insecure_channel(f"127.0.0.1:{rpc}") as channel,
    ):
        ways: dict[str, Callable[[], object]] = {
            "predict": lambda: _predict(client),
            "v2": lambda: _v2(client),
            "grpc": lambda: _grpc(channel),
            "wrong": lambda: client.post("/predict", content=b'{"features": [1]}').json()["code"],
            "broken": lambda: client.post("/predict", content=b"{").json()["code"],
            "metrics": lambda: "model_info" in httpx.get(f"http://127.0.0.1:{inner}/metrics").text,
            "vanish": lambda: _vanish(server.port),
        }
        first = {name: way() for name, way in ways.items()}
        while not over.wait(0.05):
            for name, way in ways.items():
                try:
                    answer = way()
                except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
                    seen.wrong.append(f"{name}: {type(error).__name__}: {error}")
                    continue
                seen.checks += 1
                if answer != first[name]:
                    seen.wrong.append(f"{name}: {answer} and not {first[name]}")


def _predict(client: httpx.Client) -> object:
    answer = client.post("/predict", json={"features": [[0.1, 0.2, 0.3]] * _BATCH})
    answer.raise_for_status()
    return answer.json()["probability"]


def _v2(client: httpx.Client) -> object:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [0.1, 0.2, 0.3]}
    answer = client.post("/v2/models/m/infer", json={"inputs": [tensor], "id": "soak"})
    answer.raise_for_status()
    return json.loads(answer.text)


def _grpc(channel: grpc.Channel) -> object:
    request = INFERENCE["ModelInferRequest"](model_name="m", id="soak")
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[1, 3])
    tensor.contents.fp32_contents.extend([0.1, 0.2, 0.3])
    call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    return call(request.SerializeToString(), timeout=10)


def _vanish(port: int) -> object:
    with contextlib.suppress(OSError):
        client = Raw(port)
        client.send(post(body(Kind.SIMPLE, 3, 0).data))
        client.vanish()
    return None


def slope_mb(memory: Sequence[tuple[float, float]]) -> float:
    """Return by how much memory grows over these points, in seconds and MB.

    The median of the slopes between all pairs of points (Theil and Sen): one step of the allocator
    is no growth that goes on, and moves it by less than its height.
    """
    slopes = [
        (later - earlier) / (end - start)
        for (start, earlier), (end, later) in itertools.combinations(memory, 2)
        if end > start
    ]
    return statistics.median(slopes) * (memory[-1][0] - memory[0][0]) if slopes else 0.0


def _tenths(memory: Sequence[tuple[float, float]]) -> list[float]:
    """Return the medians of ten equal parts."""
    size = max(1, len(memory) // 10)
    parts = [memory[start : start + size] for start in range(0, len(memory), size)]
    return [statistics.median(pss for _, pss in part) for part in parts[:10]]


if __name__ == "__main__":
    sys.exit(main())

"""Runs the scenarios: all servers of a model are up, and are visited in turns."""

from __future__ import annotations

import contextlib
import http.client
import re
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime as ort

from bench.runtime import models, profiles
from bench.runtime.bodies import all_kinds, body
from bench.runtime.calls import call
from bench.runtime.load import Load, press, script
from bench.runtime.scenarios import Scenario
from bench.runtime.servers import (
    FULL,
    How,
    Running,
    fairlead,
    fastapi,
    full,
    kserve,
    mlserver,
    mosec,
    running,
)

_BATCHES = (1, 32)


@dataclass(frozen=True)
class Peers:
    """Pythons that have the peers; those without are left out."""

    fast: str = ""
    mlserver: str = ""
    kserve: str = ""


@dataclass
class Results:
    """What was measured.

    Attributes:
        loads: Rounds by scenario and server, in the order of time.
        pss_mb: Memory after the load, by model and server.
        ready_s: Start to first answer, each repetition, by model and server.
        alone: Rows a second of onnxruntime without a server, by model and batch, each repetition.
        logged: Share of the answers that are in the prediction log of `fairlead-full`.
    """

    loads: dict[tuple[str, str], list[Load]] = field(default_factory=lambda: defaultdict(list))
    pss_mb: dict[tuple[str, str], float] = field(default_factory=dict)
    ready_s: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    alone: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    logged: float | None = None


def servers(model: Path, peers: Peers) -> list[How]:
    """Return all servers, ours first."""
    found = [fairlead(model), fairlead(model, edge="asgi"), fairlead(model, grpc=True)]
    if peers.fast:
        found += [fastapi(model, peers.fast), mosec(model, peers.fast)]
        found += [mosec(model, peers.fast, batch=32)]
    if peers.mlserver:
        found += [mlserver(model, peers.mlserver)]
    if peers.kserve:
        found += [kserve(model, peers.kserve), kserve(model, peers.kserve, binary=True)]
    return found


def measure(
    wanted: Sequence[Scenario], peers: Peers, folder: Path, *, seconds: int, repetitions: int
) -> Results:
    """Run the scenarios of each model, interleaved over its servers."""
    results = Results()
    for sizes in dict.fromkeys(each.sizes for each in wanted):
        mine = [each for each in wanted if each.sizes == sizes]
        path = models.mlp(folder / f"{mine[0].model}.onnx", sizes)
        hows = servers(path, peers)
        if any(each.full for each in mine):
            profile = profiles.made(path, sizes[0], folder)
            hows.insert(1, full(path, profile, folder / "predictions.log"))
        _of_model(path, mine, hows, results, seconds, repetitions)
    return results


def _of_model(
    path: Path,
    scenarios: Sequence[Scenario],
    hows: Sequence[How],
    results: Results,
    seconds: int,
    repetitions: int,
) -> None:
    model, width, folder = scenarios[0].model, scenarios[0].sizes[0], path.parent
    single = all_kinds(width, 0)
    needed = [how for how in hows if any(speaks(how, each) for each in scenarios)]
    for _ in range(repetitions):  # starts are measured alone, one server at a time
        for how in needed:
            with running(how, folder / f"{model}-{how.name}.log", single) as server:
                results.ready_s[model, how.name].append(server.ready_s)
    with contextlib.ExitStack() as stack:
        up = [
            stack.enter_context(running(how, folder / f"{model}-{how.name}.log", single))
            for how in needed
        ]
        for repetition in range(repetitions):
            print(f"# {model}: repetition {repetition + 1} of {repetitions}", file=sys.stderr)
            for batch in _BATCHES:
                rate = _alone(path, width, batch, min(1, seconds))
                results.alone[model, batch].append(rate)
            # Another order each time: nobody always runs after the same neighbour.
            turn = repetition % len(up)
            for scenario in scenarios:
                for server in up[turn:] + up[:turn]:
                    if speaks(server.how, scenario):
                        load = _round(server, scenario, folder, seconds)
                        results.loads[scenario.name, server.name].append(load)
        for server in up:
            results.pss_mb[model, server.name] = server.pss_mb()
            if server.name == FULL:
                results.logged = _logged(server)


def speaks(how: How, scenario: Scenario) -> bool:
    """Whether a server takes part in a scenario."""
    if how.name == FULL and not scenario.full:
        return False
    if scenario.grpc:
        return how.grpc and how.name != "kserve-binary"
    if how.name.startswith("fairlead") and how.grpc:
        return False  # it is there for gRPC, and the others without it for HTTP
    return any(kind in how.paths for kind in scenario.kinds)


def _round(server: Running, scenario: Scenario, folder: Path, seconds: int) -> Load:
    width, rows = scenario.sizes[0], scenario.rows
    if scenario.grpc:
        return call(
            server, connections=scenario.connections, seconds=seconds, width=width, count=rows
        )
    kind = next(kind for kind in scenario.kinds if kind in server.how.paths)
    lua = script(folder / f"{scenario.name}-{kind}.lua", body(kind, width, rows))
    path = server.how.paths[kind]
    return press(server, lua, path, connections=scenario.connections, seconds=seconds)


def _logged(server: Running) -> float:
    """Return which share of its answers a server has logged, once it has written what waits."""
    shares = [0.0]
    for _ in range(20):
        connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        logged = _metric(text, r"model_predictions_logged_total{.*}")
        answered = _metric(text, r'model_predictions_total{.*status="success".*}')
        shares.append(logged / max(1.0, answered))
        if shares[-1] == shares[-2] > 0:
            break
        time.sleep(0.5)
    return shares[-1]


def _metric(text: str, pattern: str) -> float:
    return sum(float(each) for each in re.findall(rf"^{pattern} (\S+)$", text, re.MULTILINE))


def _alone(path: Path, width: int, batch: int, seconds: float) -> float:
    """Return the rows a second of onnxruntime without any server."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    data = {"x": np.random.default_rng(0).random((batch, width), np.float32)}
    session.run(None, data)
    runs, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        session.run(None, data)
        runs += 1
    return runs * batch / (time.perf_counter() - started)

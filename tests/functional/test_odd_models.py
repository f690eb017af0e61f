"""Models that answer nonsense, take a minute, crash, or want files that are not theirs.

What each of them does is in docs/serving.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from onnx import TensorProto

from cluster.controlplane import free_ports
from tests import models
from tests.command import runtime
from tests.runtimes import Served, served

A_MINUTE = 60_000_000  # of the model that counts


def url(server: Served, path: str = "/predict") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def in_background(server: Served, rounds: int) -> tuple[threading.Thread, list[object]]:
    """Ask for a long count; the list gets the answer, or what came in its place."""
    result: list[object] = []

    def ask() -> None:
        try:
            answer = httpx.post(url(server), json={"features": [rounds]}, timeout=120)
            result.append(answer.status_code)
        except httpx.HTTPError as error:
            result.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while server.metric("model_requests_in_flight") < 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return thread, result


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[Served]:
    model = models.counting(tmp_path / "model.onnx")
    flags = ("--drain-seconds", "1", "--batching", "worker", "--max-batch-size", "1")
    one = ("--threads", str(os.cpu_count()))  # as many workers as that leaves: one
    with served(model, tmp_path / "log", *flags, *one) as running:
        yield running


def test_nan_is_null_in_json_itself_in_raw_bytes_and_counted(tmp_path: Path) -> None:
    model = models.root(tmp_path / "model.onnx")
    with served(model, tmp_path / "log") as server:
        answer = httpx.post(url(server), json={"features": [-1.0, 4.0]})
        assert answer.status_code == 200
        assert answer.json()["prediction"] == [None, 2.0]
        asked = {
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [-1.0, 4.0]}],
            "parameters": {"binary_data_output": True},
        }
        raw = httpx.post(url(server, "/v2/models/m/infer"), json=asked)
        head = int(raw.headers["inference-header-content-length"])
        first, second = struct.unpack("<2f", raw.content[head:])
        assert np.isnan(first)
        assert second == 2.0
        deadline = time.monotonic() + 10
        while server.metric('model_predictions_non_finite_total{model_version="1"}') < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_while_a_run_takes_a_minute_limits_hold_and_health_is_answered(counting: Served) -> None:
    in_background(counting, A_MINUTE)
    started = time.monotonic()
    late = httpx.post(
        url(counting), json={"features": [1]}, headers={"x-request-timeout-ms": "300"}, timeout=20
    )
    assert (late.status_code, late.json()["code"]) == (504, "DeadlineExceeded")
    assert time.monotonic() - started < 15
    assert counting.get("/health/live")[0] == 200
    assert counting.get("/health/ready")[0] == 200
    assert counting.get("/metrics")[0] == 200


def test_a_server_whose_model_takes_a_minute_ends_in_its_time(counting: Served) -> None:
    thread, result = in_background(counting, A_MINUTE)
    started = time.monotonic()
    counting.process.terminate()
    assert counting.process.wait(40) == 0
    assert time.monotonic() - started < 30  # one second of draining, and no minute
    thread.join(20)
    assert isinstance(result[0], httpx.HTTPError) or result[0] == 500


def test_a_server_that_is_told_to_end_while_it_loads_a_slow_model_ends(tmp_path: Path) -> None:
    model = models.slow(tmp_path / "model.onnx", rounds=100_000_000, size=64)  # many minutes
    port = free_ports(1)[0]
    command = [
        sys.executable, "-m", "fairlead_runtime.cli", "serve", str(model), "--host", "127.0.0.1",
        "--http-port", str(port), "--grpc-port", "0", "--drain-seconds", "2",
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 60
            told: dict[str, object] = {}
            while told.get("status") != "loading":
                assert time.monotonic() < deadline
                with contextlib.suppress(httpx.HTTPError):
                    told = httpx.get(f"http://127.0.0.1:{port}/health").json()
                time.sleep(0.05)
            started = time.monotonic()
            process.terminate()
            assert process.wait(40) == 0
            assert time.monotonic() - started < 30
        finally:
            process.kill()


def test_a_crash_ends_the_process_and_the_log_says_where(counting: Served) -> None:
    thread, result = in_background(counting, A_MINUTE)
    os.kill(counting.process.pid, signal.SIGSEGV)  # as a fault in a model's operator does
    assert counting.process.wait(40) == -signal.SIGSEGV
    thread.join(20)
    assert isinstance(result[0], httpx.HTTPError)
    text = counting.log.read_text()
    assert "Fatal Python error: Segmentation fault" in text
    assert "engine/session.py" in text


def test_a_model_that_no_processor_can_run_ends_the_process(tmp_path: Path) -> None:
    """What the rollouts on a node crash with does crash, with this onnxruntime."""
    model = models.table(tmp_path / "model.onnx", fatal=4)
    with served(model, tmp_path / "log") as server:
        assert httpx.post(url(server), json={"inputs": {"index": [1]}}).status_code == 200
        with pytest.raises(httpx.HTTPError):
            httpx.post(url(server), json={"inputs": {"index": [4]}}, timeout=30)
        assert server.process.wait(40) == -signal.SIGFPE


def test_a_run_that_finds_no_memory_fails_alone(tmp_path: Path) -> None:
    model = models.filling(tmp_path / "model.onnx")
    with served(model, tmp_path / "log") as server:
        asked = {"inputs": {"x": [1 << 55]}}
        answer = httpx.post(url(server), json=asked, timeout=30)
        assert answer.status_code == 500
        assert answer.json()["code"] == "InferenceFailed"
        assert httpx.post(url(server), json={"inputs": {"x": [9]}}).json()["prediction"] == 0


@pytest.mark.parametrize("way", ["above", "absolute", "link"])
def test_weights_outside_of_the_models_folder_are_not_read(way: str, tmp_path: Path) -> None:
    other = tmp_path / "other" / "secret.data"
    other.parent.mkdir()
    other.write_bytes(np.ones((64, 64), np.float32).tobytes())
    model = tmp_path / "mine" / "model.onnx"
    places = {"above": "../other/secret.data", "absolute": str(other), "link": "w.data"}
    models.weights_at(model, places[way])
    (model.parent / "w.data").symlink_to(other)
    done = runtime("serve", model, "--http-port", "0", "--grpc-port", "0")
    assert done.status == 2
    assert "InvalidModel" in done.err
    assert "xternal data path" in done.err or "Absolute path" in done.err


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    model = models.weights_at(tmp_path / "model.onnx", "nothing.data")
    done = runtime("serve", model, "--http-port", "0", "--grpc-port", "0")
    assert done.status == 2
    assert "nothing.data" in done.err


def test_weights_are_read_through_the_links_of_a_mounted_configmap(tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    models.outside(mount / "..2026" / "model.onnx")
    (mount / "..data").symlink_to("..2026")
    for name in ("model.onnx", "model.onnx.data"):
        (mount / name).symlink_to(f"..data/{name}")
    with served(mount, tmp_path / "log") as server:
        assert server.get("/health")[0] == 200


def test_a_model_that_takes_bfloat16_and_strings_is_served(tmp_path: Path) -> None:
    types = {"x": TensorProto.BFLOAT16, "town": TensorProto.STRING}
    model = models.echo(tmp_path / "model.onnx", types, casts={"x": TensorProto.FLOAT})
    with served(model, tmp_path / "log") as server:
        asked = {"inputs": {"x": [1.5, 2.0], "town": ["Ulm", "Bonn"]}}
        answer = httpx.post(url(server), json=asked)
        assert answer.status_code == 200, answer.text
        infer = {
            "inputs": [
                {"name": "x", "datatype": "BF16", "shape": [1, 2], "data": [1.5, 2.0]},
                {"name": "town", "datatype": "BYTES", "shape": [1, 2], "data": ["Ulm", "Bonn"]},
            ]
        }
        outputs = httpx.post(url(server, "/v2/models/m/infer"), json=infer).json()["outputs"]
        assert {each["name"]: each["data"] for each in outputs} == {
            "x_out": [1.5, 2.0],
            "town_out": ["Ulm", "Bonn"],
        }


def test_a_model_that_takes_strings_and_gives_bfloat16_is_refused_with_a_way_out(
    tmp_path: Path,
) -> None:
    types = {"x": TensorProto.BFLOAT16, "town": TensorProto.STRING}
    model = models.echo(tmp_path / "model.onnx", types)
    done = runtime("serve", model, "--http-port", "0", "--grpc-port", "0")
    assert done.status == 2
    assert "let it end with a Cast to FLOAT" in done.err


def test_onnxruntime_sends_nothing_home_and_leaves_no_file(tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    env = {"HOME": str(home), "TMPDIR": str(temporary), "XDG_CACHE_HOME": str(home / "cache")}
    with served(model, tmp_path / "log", env=env) as server:
        told = json.loads(httpx.post(url(server), json={"features": [1, 2, 3]}).text)
        assert told["prediction"] in (0, 1)
    assert list(home.rglob("*")) == []
    assert list(temporary.rglob("*")) == []

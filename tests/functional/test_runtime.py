"""The runtime as a process: real sockets, real signals, real models."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime as ort
import pytest

from cluster.controlplane import free_ports
from tests import models


class Runtime:
    """A running `fairlead-runtime serve`."""

    def __init__(self, model: Path, log: Path, *flags: str) -> None:
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self.termination_log = log.with_suffix(".termination")
        env = {**os.environ, "FAIRLEAD_TERMINATION_LOG": str(self.termination_log)}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "fairlead_runtime.cli", "serve", str(model),
                    "--model-name", "fraud", "--model-version", "7",
                    "--host", "127.0.0.1", "--http-port", str(self.port),
                    "--grpc-port", "0", *flags,
                ],
                stdout=output, stderr=output, env=env,
            )  # fmt: skip

    def wait(self, until: Callable[[httpx.Response], bool]) -> httpx.Response:
        """Ask for /health until the answer is as wanted."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                answer = httpx.get(f"{self.url}/health")
                if until(answer):
                    return answer
            time.sleep(0.02)
        raise AssertionError(self.log.read_text())

    def ready(self) -> Runtime:
        """Wait until it is ready."""
        self.wait(lambda answer: answer.status_code == 200)
        return self


Start = Callable[..., Runtime]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def begin(model: Path, *flags: str) -> Runtime:
            runtime = Runtime(model, tmp_path / "log", *flags)
            stack.callback(runtime.process.wait)
            stack.callback(runtime.process.kill)
            return runtime

        yield begin


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    return models.classifier(tmp_path / "model" / "model.onnx")


def rows(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(1).normal(size=(count, 3)).astype(np.float32)


def test_both_protocols_answer_with_onnxruntimes_own_numbers(
    start: Start, classifier: Path
) -> None:
    runtime = start(classifier.parent).ready()
    data = rows(50)
    session = ort.InferenceSession(str(classifier), providers=["CPUExecutionProvider"])
    labels, probabilities = session.run(["label", "probabilities"], {"x": data})
    answer = httpx.post(f"{runtime.url}/predict", json={"features": data.tolist()}).json()
    assert answer["prediction"] == labels.tolist()
    np.testing.assert_array_equal(np.float32(answer["probability"]), probabilities)
    assert answer["model_version"] == "7"
    tensor = {"name": "x", "datatype": "FP32", "shape": [50, 3], "data": data.ravel().tolist()}
    for path in ("fraud", "fraud/versions/7"):
        reply = httpx.post(
            f"{runtime.url}/v2/models/{path}/infer", json={"id": "a", "inputs": [tensor]}
        ).json()
        assert (reply["id"], reply["model_name"], reply["model_version"]) == ("a", "fraud", "7")
        assert reply["outputs"][0]["data"] == labels.tolist()
        np.testing.assert_array_equal(
            np.float32(reply["outputs"][1]["data"]).reshape(50, 2), probabilities
        )


def test_only_the_outputs_that_are_asked_for_come_back(start: Start, classifier: Path) -> None:
    runtime = start(classifier).ready()
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}
    body = {"inputs": [tensor], "outputs": [{"name": "label"}]}
    reply = httpx.post(f"{runtime.url}/v2/models/fraud/infer", json=body).json()
    assert [output["name"] for output in reply["outputs"]] == ["label"]


def test_an_arm_answers_to_the_name_of_the_address_that_it_shares(
    start: Start, classifier: Path
) -> None:
    runtime = start(classifier).ready()
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}
    shared = {"x-fairlead-model": "ranker"}
    with httpx.Client(base_url=runtime.url) as client:
        for name, headers, status in (
            ("ranker", shared, 200),
            ("fraud", shared, 200),
            ("ranker", {}, 404),
            ("ranker-large", shared, 404),
        ):
            path = f"/v2/models/{name}"
            got = client.post(f"{path}/infer", json={"inputs": [tensor]}, headers=headers)
            assert got.status_code == status, (name, headers)
            assert client.get(path, headers=headers).status_code == status
            got = client.get(f"{path}/versions/7/ready", headers=headers)
            assert got.status_code == status
        missing = client.post("/v2/models/ranker/versions/8/infer", json={}, headers=shared)
    assert missing.status_code == 404


def test_every_refusal_is_json_with_a_status(start: Start, classifier: Path) -> None:
    runtime = start(classifier, "--max-body-mib", "1").ready()
    with httpx.Client(base_url=runtime.url) as client:
        cases = [
            (client.post("/predict", json={"features": [1, 2]}), 400, "features: shape"),
            (client.post("/predict", content=b"{"), 400, "the body is not JSON"),
            (client.get("/predict"), 405, "use POST"),
            (client.post("/health"), 405, "use GET"),
            (client.get("/nothing"), 404, "there is nothing at /nothing"),
            (client.get("/v2/models/other"), 404, "model 'other' is not served here"),
            (client.get("/v2/models/fraud/versions/1"), 404, "version '1' of 'fraud'"),
            (client.post("/predict", content=b" " * (1 << 20) + b"{}"), 413, "the body has more"),
            (
                client.post("/predict", content=b"x", headers={"content-encoding": "br"}),
                400,
                "content-encoding: br is not supported",
            ),
        ]
    for answer, status, message in cases:
        assert answer.status_code == status
        assert answer.json()["error"].startswith(message)
        assert answer.headers["content-type"] == "application/json"


def test_health_metadata_and_metrics_say_what_is_served(start: Start, classifier: Path) -> None:
    runtime = start(classifier).ready()
    with httpx.Client(base_url=runtime.url) as client:
        assert client.get("/health").json() == {"status": "healthy", "model_loaded": True}
        for path in ("/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"):
            assert client.get(path).status_code == 200
        metadata = client.get("/v2/models/fraud").json()
        assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]
        assert client.get("/v2").json()["name"] == "fairlead"
        client.post("/predict", json={"features": [1, 2, 3]})
        client.post("/predict", json={"features": "no"})
        text = client.get("/metrics").text
    assert 'model_predictions_total{model_version="7",status="success"} 1.0' in text
    assert 'model_predictions_total{model_version="7",status="error"} 1.0' in text
    assert 'model_prediction_latency_seconds_count{model_version="7"} 1.0' in text
    assert 'model_info{digest="sha256:' in text


def test_while_the_model_loads_it_is_alive_but_not_ready(start: Start, tmp_path: Path) -> None:
    runtime = start(models.slow(tmp_path / "slow.onnx", rounds=30_000))
    runtime.wait(lambda answer: answer.status_code == 503)
    with httpx.Client(base_url=runtime.url) as client:
        assert client.get("/health").json() == {"status": "loading", "model_loaded": False}
        assert client.get("/health/live").status_code == 200
        assert client.get("/v2/health/ready").status_code == 503
        refused = client.post("/predict", json={"features": [1]})
        assert refused.status_code == 503
        assert "loading" in refused.json()["error"]
    runtime.ready()


def test_the_event_loop_answers_while_the_model_computes(start: Start, tmp_path: Path) -> None:
    runtime = start(models.slow(tmp_path / "slow.onnx", rounds=150_000, size=64)).ready()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        body = {"features": [0.1] * 64}
        slow = pool.submit(httpx.post, f"{runtime.url}/predict", json=body, timeout=60)
        answered = 0
        while not slow.done():
            assert httpx.get(f"{runtime.url}/health").status_code == 200
            answered += 1
        assert slow.result().status_code == 200
    assert answered > 1


@pytest.mark.parametrize("content", [b"", b"this is no model"], ids=["empty", "text"])
def test_what_is_no_model_is_refused_with_one_line(
    start: Start, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    runtime = start(path)
    assert runtime.process.wait(timeout=30) == 2
    report = json.loads(runtime.termination_log.read_text())
    assert report["reason"] == "InvalidModel"
    last = runtime.log.read_text().strip().splitlines()[-1]
    assert last == f"fairlead-runtime: InvalidModel: {report['message']}"
    assert "Traceback" not in runtime.log.read_text()


def test_a_taken_port_is_one_line_and_status_1(start: Start, classifier: Path) -> None:
    first = start(classifier).ready()
    second = start(classifier, "--http-port", str(first.port))
    assert second.process.wait(timeout=30) == 1


def test_sigterm_loses_no_request(start: Start, classifier: Path) -> None:
    runtime = start(classifier, "--drain-seconds", "10").ready()
    answers: list[int] = []
    closed = 0

    def client() -> tuple[list[int], int]:
        """Ask on one kept connection until the server ends it."""
        mine: list[int] = []
        connection = http.client.HTTPConnection("127.0.0.1", runtime.port, timeout=10)
        connection.connect()
        body = json.dumps({"features": [1, 2, 3]})
        while True:
            connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            mine.append(answer.status)
            if answer.getheader("connection") == "close":
                connection.close()
                return mine, 1

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(client) for _ in range(4)]
        while httpx.get(f"{runtime.url}/metrics").text.count("success") == 0:
            time.sleep(0.01)
        runtime.process.send_signal(signal.SIGTERM)
        for each in clients:
            statuses, ended = each.result(timeout=30)
            answers += statuses
            closed += ended
    assert set(answers) == {200}
    assert closed == 4
    assert runtime.process.wait(timeout=30) == 0


def test_a_request_in_flight_at_sigterm_is_answered(start: Start, tmp_path: Path) -> None:
    runtime = start(models.slow(tmp_path / "slow.onnx", rounds=300_000, size=64)).ready()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        body = {"features": [0.1] * 64}
        slow = pool.submit(httpx.post, f"{runtime.url}/predict", json=body, timeout=60)
        while "model_requests_in_flight 1.0" not in httpx.get(f"{runtime.url}/metrics").text:
            time.sleep(0.01)
        runtime.process.send_signal(signal.SIGTERM)
        assert slow.result().status_code == 200
    assert runtime.process.wait(timeout=30) == 0


def test_an_old_connection_is_asked_to_end(start: Start, classifier: Path) -> None:
    runtime = start(classifier, "--max-connection-age-s", "0.2").ready()
    connection = http.client.HTTPConnection("127.0.0.1", runtime.port, timeout=10)
    connection.request("GET", "/health")
    first = connection.getresponse()
    first.read()
    assert first.getheader("connection") is None
    time.sleep(0.3)  # the age itself
    connection.request("GET", "/health")
    second = connection.getresponse()
    second.read()
    assert second.getheader("connection") == "close"
    connection.close()


def test_flags_are_environment_variables_too(
    start: Start, classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRLEAD_MAX_BODY_MIB", "1")
    runtime = start(classifier).ready()
    answer = httpx.post(f"{runtime.url}/predict", content=b" " * (2 << 20))
    assert answer.status_code == 413


def test_fetch_reports_to_the_termination_log(tmp_path: Path, classifier: Path) -> None:
    env = {**os.environ, "FAIRLEAD_TERMINATION_LOG": str(tmp_path / "report")}
    command = [sys.executable, "-m", "fairlead_runtime.cli", "fetch"]
    good = subprocess.run(
        [*command, f"file://{classifier}", str(tmp_path / "out")],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert good.returncode == 0
    report = json.loads((tmp_path / "report").read_text())
    assert report["digest"].startswith("sha256:")
    assert report["sizeBytes"] == classifier.stat().st_size
    bad = subprocess.run(
        [*command, "file:///nowhere/model.onnx", str(tmp_path / "out")],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert bad.returncode == 1
    assert json.loads((tmp_path / "report").read_text())["reason"] == "SourceNotFound"
    assert bad.stderr.startswith("fairlead-runtime: SourceNotFound: there is no file")

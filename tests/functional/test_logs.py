"""What a running server writes down: its log, the access log and the prediction log."""

from __future__ import annotations

import http.server
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import grpc
import httpx
import pytest

from cluster.controlplane import free_ports
from fairlead_runtime.grpc.messages import INFERENCE
from tests import models
from tests.command import runtime
from tests.runtimes import Served, served

TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADERS = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "x-request-id": "r1"}
ROW = {"features": [1.0, 2.0, 3.0]}


def predict(server: Served, **headers: str) -> httpx.Response:
    answer = httpx.post(f"http://127.0.0.1:{server.port}/predict", json=ROW, headers=headers)
    return answer.raise_for_status()


def lines(path: Path, count: int) -> list[dict[str, Any]]:
    """Wait for so many lines of JSON."""
    deadline = time.monotonic() + 10
    while (text := path.read_text() if path.exists() else "").count("\n") < count:
        assert time.monotonic() < deadline, text
        time.sleep(0.02)
    return [json.loads(line) for line in text.splitlines()]


def test_every_line_of_a_json_log_is_json_and_names_the_model(tmp_path: Path) -> None:
    model, log = models.classifier(tmp_path / "model.onnx"), tmp_path / "log"
    with served(
        model,
        log,
        env={"LOG_FORMAT": "json"},
    ) as server:
        predict(server)
        server.process.terminate()
        server.process.wait(30)
    documents = [json.loads(line) for line in log.read_text().splitlines()]
    assert {document["model"] for document in documents} == {"m"}
    assert {document["version"] for document in documents} == {"1"}
    assert any("is loaded" in document["message"] for document in documents)
    assert any("draining" in document["message"] for document in documents)


def test_the_log_level_comes_from_the_environment(tmp_path: Path) -> None:
    model, log = models.classifier(tmp_path / "model.onnx"), tmp_path / "log"
    with served(model, log, env={"LOG_LEVEL": "WARNING"}):
        assert log.read_text() == ""


def test_why_a_model_is_refused_is_json_too(tmp_path: Path) -> None:
    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"no model")
    done = runtime("serve", str(broken), "--log-format", "json", "--http-port", "0")
    assert done.status == 2
    last = json.loads(done.err.splitlines()[-1])
    assert last["level"] == "error"
    assert last["reason"] == "InvalidModel"


@pytest.mark.parametrize("edge", ["own", "asgi"])
def test_the_access_log_has_a_line_for_each_request(edge: str, tmp_path: Path) -> None:
    model, log = models.classifier(tmp_path / "model.onnx"), tmp_path / "log"
    grpc_port = free_ports(1)[0]
    flags = ("--http-edge", edge, "--access-log", "on", "--log-format", "json")
    with served(model, log, *flags, "--grpc-port", str(grpc_port)) as server:
        predict(server, **HEADERS)
        refused = httpx.post(f"http://127.0.0.1:{server.port}/predict", content=b"{")
        assert refused.status_code == 400
        infer = INFERENCE["ModelInferRequest"](model_name="other").SerializeToString()
        with (
            grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
            pytest.raises(grpc.RpcError),
        ):
            channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(
                infer, metadata=[("x-request-id", "g1")]
            )
        server.process.terminate()
        server.process.wait(30)
    documents = [json.loads(line) for line in log.read_text().splitlines()]
    access = [each for each in documents if each["logger"] == "fairlead_runtime.access"]
    first, second = (each for each in access if each["path"] == "/predict")
    assert (first["status"], first["method"], first["protocol"]) == (200, "POST", "http")
    assert (first["request_id"], first["trace_id"]) == ("r1", TRACE)
    assert 0 < first["duration_ms"] < 10_000
    assert second["status"] == 400
    over_grpc = next(each for each in access if each["protocol"] == "grpc")
    assert (over_grpc["status"], over_grpc["request_id"]) == ("NOT_FOUND", "g1")


def test_without_the_flag_requests_are_not_logged(tmp_path: Path) -> None:
    model, log = models.classifier(tmp_path / "model.onnx"), tmp_path / "log"
    with served(model, log, "--log-level", "debug") as server:
        predict(server)
        server.process.terminate()
        server.process.wait(30)
    assert "/predict" not in log.read_text()


def test_answers_go_to_the_prediction_log_over_http_and_grpc(tmp_path: Path) -> None:
    model, events = models.classifier(tmp_path / "model.onnx"), tmp_path / "events"
    grpc_port = free_ports(1)[0]
    flags = ("--prediction-log", str(events), "--prediction-log-inputs", "on")
    with served(model, tmp_path / "log", *flags, "--grpc-port", str(grpc_port)) as server:
        predict(server, **HEADERS)
        infer = INFERENCE["ModelInferRequest"](model_name="m")
        tensor = infer.inputs.add(name="x", datatype="FP32", shape=[1, 3])
        tensor.contents.fp32_contents.extend([1.0, 2.0, 3.0])
        with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
            channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(
                infer.SerializeToString(),
                metadata=[("x-fairlead-variant", "candidate"), ("x-request-id", "g1")],
            )
        first, second = lines(events, 2)
        assert server.metric('model_predictions_logged_total{model_version="1"}') == 2
    assert first["data"]["request_id"] == "r1"
    assert first["traceparent"] == HEADERS["traceparent"]
    assert second["data"]["request_id"] == "g1"
    assert second["data"]["variant"] == "candidate"
    assert first["data"]["outputs"] == second["data"]["outputs"]
    assert second["data"]["inputs"][0]["data"] == [1.0, 2.0, 3.0]


def test_a_share_of_the_answers_goes_to_standard_output_without_what_is_redacted(
    tmp_path: Path,
) -> None:
    model, log = models.classifier(tmp_path / "model.onnx"), tmp_path / "log"
    flags = ("--prediction-log", "stdout", "--prediction-log-share", "0.25")
    hidden = ("--prediction-log-inputs", "on", "--prediction-log-redact", "x[1],probabilities")
    with served(model, log, *flags, *hidden) as server:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
            for number in range(400):
                row = {"features": [1.0, 31337.25, 3.0], "request_id": f"r{number}"}
                client.post("/predict", json=row).raise_for_status()
        server.process.terminate()
        assert server.process.wait(30) == 0
    text = log.read_text()
    events = [json.loads(line)["data"] for line in text.splitlines() if line.startswith("{")]
    assert 45 < len(events) < 155  # more than six standard deviations
    assert len({event["request_id"] for event in events}) == len(events)
    assert "31337" not in text
    for event in events:
        assert event["inputs"][0]["data"] == [1.0, None, 3.0]
        label, probabilities = event["outputs"]
        assert (label["name"], len(label["data"])) == ("label", 1)
        assert probabilities["redacted"]
        assert "data" not in probabilities


class Collector(http.server.BaseHTTPRequestHandler):
    """A server that takes batches of events, and refuses the first one."""

    protocol_version = "HTTP/1.1"
    batches: ClassVar[list[Any]] = []
    kinds: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        first = not self.kinds
        self.kinds.append(self.headers["content-type"])
        if not first:
            self.batches.append(json.loads(body))
        self.send_response(503 if first else 202)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


def test_events_are_sent_in_batches_and_what_is_refused_is_counted(tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        where = f"http://127.0.0.1:{collector.server_address[1]}/events"
        with served(model, tmp_path / "log", "--prediction-log", where) as server:
            lost = 'model_observations_dropped_total{reason="log_failed"}'
            predict(server)
            wait(lambda: server.metric(lost) == 1)
            for _ in range(20):
                predict(server)
            logged = 'model_predictions_logged_total{model_version="1"}'
            wait(lambda: server.metric(logged) == 20)
        collector.shutdown()
    assert sum(len(batch) for batch in Collector.batches) == 20
    assert set(Collector.kinds) == {"application/cloudevents-batch+json"}
    assert Collector.batches[0][0]["specversion"] == "1.0"


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_log_that_nobody_reads_holds_up_nothing(tmp_path: Path) -> None:
    model, pipe = models.classifier(tmp_path / "model.onnx"), tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # it never reads
    try:
        with served(model, tmp_path / "log", "--prediction-log", str(pipe)) as server:
            url = f"http://127.0.0.1:{server.port}/predict"
            rows = {"features": [[1.0, 2.0, 3.0]] * 1500}  # some 40 KB an event
            with httpx.Client() as client:
                for _ in range(20):  # the pipe holds 64 KiB
                    client.post(url, json=rows, timeout=10).raise_for_status()
            # Those who look at answers otherwise are not held up by the log.
            checked = 'model_predictions_checked_total{model_version="1"}'
            before = server.metric(checked)
            predict(server)
            wait(lambda: server.metric(checked) > before)
            server.process.terminate()
            assert server.process.wait(30) == 0
    finally:
        os.close(reader)


def test_a_prediction_log_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    done = runtime("serve", str(model), "--prediction-log", str(tmp_path))
    assert done.status == 1
    assert "--prediction-log: cannot write to" in done.err

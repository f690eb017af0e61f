"""Traces of the runtime, taken by a real collector; and that nothing of it is there without."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from cluster.paths import ROOT
from fairlead_runtime.grpc.messages import INFERENCE
from tests import models
from tests.monitoring.collector import Collector, Span, collector
from tests.runtimes import Served, served

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
ROW = {"features": [0.0] * 3}


@pytest.fixture
def traces(tmp_path: Path) -> Iterator[Collector]:
    with collector(tmp_path) as running:
        yield running


def only(spans: list[Span], name: str) -> Span:
    [found] = [span for span in spans if span["name"] == name]
    return found


def post(server: Served, path: str, body: object, **headers: str) -> httpx.Response:
    url = f"http://127.0.0.1:{server.port}{path}"
    return httpx.post(url, json=body, headers=headers, trust_env=False, timeout=30)


@pytest.mark.parametrize("edge", ["own", "asgi"])
def test_a_request_continues_the_callers_trace_with_spans_of_queue_and_model(
    edge: str, traces: Collector, tmp_path: Path
) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    flags = ("--otlp-endpoint", traces.url, "--http-edge", edge)
    with served(model, tmp_path / "log", *flags) as server:
        answer = post(server, "/predict", ROW, traceparent=SAMPLED, **{"x-request-id": "seven"})
        assert answer.status_code == 200, answer.text
        assert answer.headers["traceparent"] == SAMPLED
        assert post(server, "/predict", ROW, traceparent=UNSAMPLED).status_code == 200
        assert server.get("/health")[0] == 200
        spans = traces.wait({"POST /predict": 1, "queue": 1, "onnxruntime": 1})
    request = only(spans, "POST /predict")
    assert (request["trace"], request["parent"], request["kind"]) == (TRACE, PARENT, 2)
    assert request["service"] == "fairlead-runtime"
    assert request["attributes"] == {
        "fairlead.model.name": "m",
        "fairlead.model.version": "1",
        "fairlead.request.id": "seven",
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.path": "/predict",
    }
    queue, run = only(spans, "queue"), only(spans, "onnxruntime")
    assert {queue["parent"], run["parent"]} == {request["id"]}
    assert {queue["trace"], run["trace"]} == {TRACE}
    assert request["start"] <= queue["start"] <= queue["end"] <= run["start"] <= run["end"]
    assert run["end"] <= request["end"]
    assert run["attributes"]["fairlead.batch.requests"] == 1
    assert len(spans) == 3, "an unsampled trace, or a page, was traced"


async def test_requests_of_one_batch_are_linked_by_its_span(
    traces: Collector, tmp_path: Path
) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    # A request may wait for others, so that some are sure to run together.
    flags = ("--otlp-endpoint", traces.url, "--max-batch-delay-ms", "300", "--batching", "worker")
    with served(model, tmp_path / "log", *flags) as server:
        url = f"http://127.0.0.1:{server.port}/predict"
        async with httpx.AsyncClient(trust_env=False) as client:
            answers = await asyncio.gather(*(client.post(url, json=ROW) for _ in range(4)))
        assert {answer.status_code for answer in answers} == {200}
        spans = traces.wait({"POST /predict": 4, "onnxruntime": 4, "batch": 1})
    requests = {span["id"]: span for span in spans if span["name"] == "POST /predict"}
    assert len({span["trace"] for span in requests.values()}) == 4, "each has a trace of its own"
    for batch in (span for span in spans if span["name"] == "batch"):
        members = [ident for _, ident in batch["links"]]
        assert set(members) <= requests.keys()
        assert batch["attributes"]["fairlead.batch.requests"] == len(members) > 1
        runs = [s for s in spans if s["name"] == "onnxruntime" and s["parent"] in members]
        assert [run["links"] for run in runs] == [[[batch["trace"], batch["id"]]]] * len(members)


def test_errors_are_marked_where_they_blame_the_server(traces: Collector, tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    with served(model, tmp_path / "log", "--otlp-endpoint", traces.url) as server:
        assert post(server, "/predict", {"features": "no"}).status_code == 400
        late = post(server, "/predict", ROW, **{"x-request-timeout-ms": "1"})
        infer = post(server, "/v2/models/other/infer", {"inputs": []})
        assert infer.status_code == 404
        spans = traces.wait({"POST /predict": 2, "POST /v2/models/other/infer": 1})
    marked = {s["attributes"].get("http.response.status_code"): s["error"] for s in spans}
    assert not marked[400]
    assert not marked[404]
    assert marked[late.status_code] is (late.status_code >= 500)


async def test_grpc_calls_are_traced_too(traces: Collector, tmp_path: Path) -> None:
    from cluster.controlplane import free_ports

    model = models.classifier(tmp_path / "model.onnx")
    [port] = free_ports(1)
    flags = ("--otlp-endpoint", traces.url, "--grpc-port", str(port), "--access-log", "on")
    with served(model, tmp_path / "log", *flags):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            body = INFERENCE["ModelInferRequest"](model_name="other").SerializeToString()
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(body, metadata=(("traceparent", SAMPLED), ("x-request-id", "g1")))
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        name = "inference.GRPCInferenceService/ModelInfer"
        span = only(traces.wait({name: 1}), name)
    assert (span["trace"], span["parent"], span["error"]) == (TRACE, PARENT, False)
    assert span["attributes"]["rpc.grpc.status"] == "NOT_FOUND"
    assert span["attributes"]["fairlead.request.id"] == "g1"


def test_without_a_share_only_what_callers_sample_is_traced(
    traces: Collector, tmp_path: Path
) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    flags = ("--otlp-endpoint", traces.url + "/v1/traces", "--trace-share", "0.000001")
    with served(model, tmp_path / "log", *flags) as server:
        for _ in range(20):
            assert post(server, "/predict", ROW).status_code == 200
        assert post(server, "/predict", ROW, traceparent=SAMPLED).status_code == 200
        spans = traces.wait({"POST /predict": 1})
    assert {span["trace"] for span in spans} == {TRACE}


def test_spans_that_wait_are_sent_at_the_end_and_a_dead_collector_holds_nobody(
    traces: Collector, tmp_path: Path
) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    with served(model, tmp_path / "log", "--otlp-endpoint", traces.url) as server:
        assert post(server, "/predict", ROW).status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        traces.wait({"POST /predict": 1, "queue": 1, "onnxruntime": 1})
    dead = "http://127.0.0.1:9"
    with served(model, tmp_path / "log", "--otlp-endpoint", dead) as server:
        for _ in range(50):
            assert post(server, "/predict", ROW).status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0


def test_a_wrong_endpoint_ends_with_a_line_that_says_so(tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    done = subprocess.run(
        [sys.executable, "-m", "fairlead_runtime.cli", "serve", str(model),
         "--otlp-endpoint", "collector:4318"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "--otlp-endpoint: 'collector:4318' is no http:// or https:// URL" in done.stderr


def test_nothing_of_opentelemetry_is_loaded_where_nobody_traces(tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    with served(model, tmp_path / "log") as server:
        assert post(server, "/predict", ROW, traceparent=SAMPLED).status_code == 200
        maps = Path(f"/proc/{server.process.pid}/task").iterdir()
        names = {(thread / "comm").read_text().strip() for thread in maps}
    assert not any(name.startswith("Otel") for name in names)
    program = (
        "import sys; from fairlead_runtime.cli import serving, watching; "
        "import fairlead_runtime.http.server, fairlead_runtime.http.edge_server, "
        "fairlead_runtime.grpc.server; "
        "print([m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert json.loads(done.stdout.replace("'", '"')) == []

"""The port of metrics and inner pages, and what is counted aside."""

from __future__ import annotations

import time
from pathlib import Path

import grpc
import httpx
import pytest
from onnx import TensorProto

from cluster.controlplane import free_ports
from fairlead_runtime.grpc.messages import INFERENCE
from tests import models
from tests.runtimes import Served, served


def until(server: Served, sample: str, value: float) -> None:
    """Wait for what is counted in a thread."""
    deadline = time.monotonic() + 10
    while server.metric(sample) != value:
        assert time.monotonic() < deadline, (sample, server.metric(sample))
        time.sleep(0.05)


@pytest.mark.parametrize("edge", ["own", "asgi"])
def test_metrics_and_health_are_on_the_inner_port_and_predictions_are_not(
    edge: str, tmp_path: Path
) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    inner = free_ports(1)[0]
    flags = ("--http-edge", edge, "--metrics-port", str(inner))
    with served(model, tmp_path / "log", *flags) as server:
        base = f"http://127.0.0.1:{inner}"
        assert "model_predictions_total" in httpx.get(f"{base}/metrics").text
        assert httpx.get(f"{base}/health").json() == {"status": "healthy", "model_loaded": True}
        assert httpx.get(f"{base}/health/live").status_code == 200
        assert httpx.get(f"{base}/health/ready").status_code == 200
        for path in ("/predict", "/v2/models/m/infer"):
            refused = httpx.post(base + path, json={"features": [1, 2, 3]})
            assert refused.status_code == 404
            assert refused.json()["code"] == "NotFound"
        assert httpx.get(f"{base}/docs").status_code == 404
        assert server.get("/metrics")[0] == 200


def test_without_the_flag_there_is_no_inner_port(tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    with served(model, tmp_path / "log") as server:
        assert "for metrics" not in server.log.read_text()


def test_an_inner_port_that_is_taken_is_named(tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    with served(model, tmp_path / "log") as first:
        flags = ("--metrics-port", str(first.port))
        with (
            pytest.raises(AssertionError, match=f"cannot listen on port {first.port} for metrics"),
            served(model, tmp_path / "log2", *flags),
        ):
            pass


def test_answers_with_nan_are_counted_whichever_way_they_were_asked_for(tmp_path: Path) -> None:
    model = models.identity(tmp_path / "model.onnx", TensorProto.FLOAT, ["n", 2])
    port = free_ports(1)[0]
    with served(model, tmp_path / "log", "--grpc-port", str(port)) as server:
        base = f"http://127.0.0.1:{server.port}"
        httpx.post(f"{base}/predict", json={"features": [1.0, 2.0]}).raise_for_status()
        infer = INFERENCE["ModelInferRequest"](model_name="m")
        tensor = infer.inputs.add(name="x", datatype="FP32", shape=[1, 2])
        tensor.contents.fp32_contents.extend([1.0, float("nan")])
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(
                infer.SerializeToString()
            )
        body = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],'
        body += b'"parameters":{"binary_data_size":8}}]}'
        httpx.post(
            f"{base}/v2/models/m/infer",
            content=body + b"\x00\x00\x80\x7f" * 2,  # infinities
            headers={"inference-header-content-length": str(len(body))},
        ).raise_for_status()
        until(server, 'model_predictions_checked_total{model_version="1"}', 3)
        until(server, 'model_predictions_non_finite_total{model_version="1"}', 2)
        assert server.metric('model_observations_dropped_total{reason="queue_full"}') == 0


def test_nothing_is_checked_where_that_is_switched_off(tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    with served(model, tmp_path / "log", "--check-outputs", "off") as server:
        url = f"http://127.0.0.1:{server.port}/predict"
        httpx.post(url, json={"features": [1, 2, 3]}).raise_for_status()
        assert server.metric('model_predictions_total{model_version="1",status="success"}') == 1
        assert server.metric('model_predictions_checked_total{model_version="1"}') == 0

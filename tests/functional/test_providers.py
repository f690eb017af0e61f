"""Where the model runs, as a server tells it that has no CUDA."""

from __future__ import annotations

import json
from pathlib import Path

import onnxruntime as ort
import pytest

from tests import models
from tests.command import runtime
from tests.runtimes import served

pytestmark = pytest.mark.skipif(
    "CUDAExecutionProvider" in ort.get_available_providers(),
    reason="this onnxruntime has CUDA, so nothing falls back",
)


def test_a_server_that_falls_back_says_so_everywhere(tmp_path: Path) -> None:
    model, log = models.classifier(tmp_path / "model.onnx"), tmp_path / "log"
    with served(model, log, "--provider", "cuda") as server:
        told = json.loads(server.get("/v2/models/m")[1])["properties"]
        assert told["provider"] == "CPUExecutionProvider"
        assert told["provider_asked"] == "cuda"
        assert "onnxruntime-gpu" in told["provider_why"]
        labels = 'asked="cuda",model_version="1",used="CPUExecutionProvider"'
        assert server.metric(f"model_provider_info{{{labels}}}") == 1
    assert "WARNING" in log.read_text()
    assert "the model runs on the CPU" in log.read_text()


def test_by_default_the_cpu_is_no_fallback(tmp_path: Path) -> None:
    model, log = models.classifier(tmp_path / "model.onnx"), tmp_path / "log"
    with served(model, log) as server:
        told = json.loads(server.get("/v2/models/m")[1])["properties"]
        assert told == {"provider": "CPUExecutionProvider", "provider_asked": "auto"}
    assert "WARNING" not in log.read_text()


def test_where_the_cpu_will_not_do_the_server_ends_and_does_not_blame_the_model(
    tmp_path: Path,
) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    flags = ("--provider", "cuda", "--provider-fallback", "off")
    done = runtime("serve", model, *flags, "--http-port", "0", "--grpc-port", "0")
    assert done.status == 1
    assert "CUDA was asked for, but this onnxruntime is built without CUDA" in done.err

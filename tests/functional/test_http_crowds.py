"""More connections, and more bytes of bodies at once, than a server may have."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from cluster.controlplane import free_ports
from fairlead_runtime.grpc.messages import INFERENCE
from tests import models
from tests.rawhttp import get, post, raw, row
from tests.runtimes import Served, served

MOST = 20


@pytest.fixture(scope="module", params=["own", "asgi"])
def small(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A server of few connections, 2 MiB of bodies at once, and one MiB for each."""
    folder = tmp_path_factory.mktemp("small")
    model = models.classifier(folder / "model.onnx")
    flags = (
        "--http-edge", request.param, "--max-connections", str(MOST),
        "--max-body-mib", "1", "--max-queue-mib", "2",
    )  # fmt: skip
    with served(model, folder / "log", *flags) as running:
        yield running
        assert "Traceback" not in running.log.read_text()


def test_a_connection_too_many_is_refused_and_the_others_go_on(small: Served) -> None:
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(raw(small.port)) for _ in range(MOST)]
        for each in many:
            each.send(get())
            assert each.reply().status == 200
        with raw(small.port) as last:
            refused = last.reply()  # before it has even asked
        assert refused.status == 503
        assert refused.json()["code"] == "TooManyConnections"
        assert int(refused.headers["retry-after"]) > 0
        for each in many:
            each.send(post(row(1)))
            assert each.reply().status == 200
    assert until_served(small) == 200
    assert small.metric('model_requests_dropped_total{reason="connections"}') >= 1


def until_served(server: Served) -> int:
    """Ask until there is room again."""
    deadline = time.monotonic() + 10
    while True:
        status = server.get("/health")[0]
        if status == 200 or time.monotonic() > deadline:
            return status
        time.sleep(0.05)


def test_bodies_that_are_too_much_together_are_refused_and_small_ones_are_not(
    small: Served,
) -> None:
    part = b" " * 900_000
    start = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(raw(small.port)) for _ in range(3)]
        for each in slow[:2]:
            each.send(start, part)
        time.sleep(0.3)
        with contextlib.suppress(OSError):  # it is refused while it sends
            slow[2].send(start, part)
        refused = slow[2].reply()
        assert refused.status == 429
        assert refused.json()["code"] == "Overloaded"
        with raw(small.port) as client:
            client.send(post(row(1)))
            assert client.reply().status == 200
        slow[0].send(b" " * (100_000 - len(row(1))), row(1))
        assert slow[0].reply().status == 200
    assert until_served(small) == 200
    assert small.metric('model_requests_dropped_total{reason="bodies"}') == 1
    with raw(small.port) as again:  # what was held is let go
        again.send(start, part)
        time.sleep(0.2)
        again.send(b" " * (100_000 - len(row(1))), row(1))
        assert again.reply().status == 200


def test_calls_too_many_at_once_are_refused_over_grpc(tmp_path: Path) -> None:
    model = models.slow(tmp_path / "model.onnx", rounds=100_000, size=64)
    port = free_ports(1)[0]
    flags = ("--grpc-port", str(port), "--max-connections", "2", "--batching", "off")
    infer = INFERENCE["ModelInferRequest"](model_name="m")
    tensor = infer.inputs.add(name="x", datatype="FP32", shape=[1, 64])
    tensor.contents.fp32_contents.extend([0.1] * 64)
    with (
        served(model, tmp_path / "log", *flags),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        calls = [call.future(infer.SerializeToString(), timeout=60) for _ in range(8)]
        codes = [each.code() for each in calls]
    assert codes.count(grpc.StatusCode.OK) >= 2
    assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) >= 1
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}

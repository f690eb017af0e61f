"""Overload, deadlines and batches as clients see them, over HTTP."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import onnxruntime as ort
import pytest

from tests import models
from tests.runtimes import Served, served

SLOW = {"features": [0.1] * 64}


@pytest.fixture(params=["own", "asgi"])
def busy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """A server that takes a third of a second or more a request, three may wait."""
    model = models.slow(tmp_path / "model.onnx", rounds=300_000, size=64)
    flags = (
        "--batching", "off", "--max-queue", "3", "--max-queue-ms", "0",
        "--threads", str(os.cpu_count()),
    )  # fmt: skip
    with served(model, tmp_path / "log", "--http-edge", request.param, *flags) as running:
        yield running


def ask(server: Served, **headers: str) -> httpx.Response:
    url = f"http://127.0.0.1:{server.port}/predict"
    return httpx.post(url, json=SLOW, headers=headers, timeout=60)


def test_beyond_the_queue_requests_are_refused_at_once(busy: Served) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: ask(busy), range(12)))
    served_ones = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(served_ones) + len(refused) == 12
    assert len(served_ones) >= 4  # the running one and the three that may wait
    assert refused
    for answer in refused:
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert answer.json()["code"] == "Overloaded"
    dropped = busy.metric('model_requests_dropped_total{reason="queue_full"}')
    assert dropped == len(refused)


def test_where_the_queue_would_take_too_long_requests_are_refused_at_once(tmp_path: Path) -> None:
    model = models.slow(tmp_path / "model.onnx", rounds=300_000, size=64)
    flags = ("--batching", "off", "--max-queue-ms", "100")
    with served(model, tmp_path / "log", *flags) as server, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: ask(server), range(12)))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) >= 1
        assert {answer.json()["code"] for answer in refused} == {"Overloaded"}
        assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in refused)
        assert sum(answer.status_code == 200 for answer in answers) == 12 - len(refused) >= 2
        dropped = server.metric('model_requests_dropped_total{reason="queue_slow"}')
        assert dropped == len(refused)


def test_health_and_metrics_answer_while_the_queue_is_full(busy: Served) -> None:
    done = threading.Event()
    with ThreadPoolExecutor(4) as pool, contextlib.ExitStack() as stack:
        stack.callback(done.set)
        asked = [pool.submit(ask, busy) for _ in range(4)]
        answered = 0
        while not all(each.done() for each in asked):
            assert busy.get("/health/live")[0] == 200
            assert busy.get("/metrics")[0] == 200
            answered += 1
    assert answered > 4


def test_a_deadline_is_answered_in_time_and_the_work_left_undone(busy: Served) -> None:
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, busy)
        while busy.metric("model_requests_in_flight") == 0:
            pass
        late = ask(busy, **{"x-request-timeout-ms": "50"})
        assert late.status_code == 504
        assert late.json()["code"] == "DeadlineExceeded"
        assert not first.done()
        assert first.result().status_code == 200
    runs = busy.metric("model_inference_seconds_count")
    assert runs == 1
    assert busy.metric('model_requests_dropped_total{reason="deadline"}') == 1


def test_answers_of_a_batched_server_are_the_models_own(tmp_path: Path) -> None:
    path = models.classifier(tmp_path / "model.onnx")
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    data = np.random.default_rng(5).normal(size=(400, 3)).astype(np.float32)
    _, wanted = session.run(["label", "probabilities"], {"x": data})
    with served(path, tmp_path / "log", "--batching", "worker") as server:
        url = f"http://127.0.0.1:{server.port}/predict"
        with httpx.Client() as client, ThreadPoolExecutor(16) as pool:
            answers = list(
                pool.map(lambda row: client.post(url, json={"features": row.tolist()}), data)
            )
        got = np.array([answer.json()["probability"] for answer in answers], np.float32)
        np.testing.assert_allclose(got, wanted, rtol=1e-4)
        assert server.metric("model_batch_requests_sum") == 400
        assert server.metric("model_batch_requests_count") < 400


def test_a_fixed_batch_takes_any_number_of_rows(tmp_path: Path) -> None:
    path = models.identity(tmp_path / "model.onnx", 1, [4, 3])
    with served(path, tmp_path / "log") as server:
        url = f"http://127.0.0.1:{server.port}"
        rows = [[float(row), 1.0, 2.0] for row in range(7)]
        answer = httpx.post(f"{url}/predict", json={"features": rows})
        assert answer.json()["prediction"] == rows
        metadata = httpx.get(f"{url}/v2/models/m").json()
        assert metadata["inputs"][0]["shape"] == [-1, 3]


@pytest.mark.parametrize(
    "flag", [("--batching", "sometimes"), ("--max-queue", "0"), ("--max-batch-delay-ms", "-1")]
)
def test_nonsense_is_refused_at_the_command_line(tmp_path: Path, flag: tuple[str, str]) -> None:
    path = models.classifier(tmp_path / "model.onnx")
    with (
        pytest.raises(AssertionError, match=f"argument {flag[0]}"),
        served(path, tmp_path / "log", *flag),
    ):
        pass

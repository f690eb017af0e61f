"""Clients that send slowly, read slowly, wait for ever or vanish; they hold nothing for long."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import models
from tests.rawhttp import Raw, get, post, raw, row
from tests.runtimes import Served, served

SHORT = (
    "--header-timeout-s", "0.6", "--body-timeout-s", "0.6",
    "--write-timeout-s", "0.6", "--keep-alive-s", "1.2",
)  # fmt: skip
SUCCESS = 'model_predictions_total{model_version="1",status="success"}'


def wait(until: Callable[[], bool], *, pause_s: float = 0.02) -> None:
    deadline = time.monotonic() + 20
    while not until():
        assert time.monotonic() < deadline
        time.sleep(pause_s)


@pytest.fixture(scope="module", params=["own", "asgi"])
def hasty(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A server that waits for nobody for long."""
    folder = tmp_path_factory.mktemp("hasty")
    model = models.classifier(folder / "model.onnx")
    with served(model, folder / "log", "--http-edge", request.param, *SHORT) as running:
        yield running
        assert "Traceback" not in running.log.read_text()


@pytest.fixture(params=["own", "asgi"])
def busy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """A server whose model takes a third of a second or more, one request at a time."""
    model = models.slow(tmp_path / "model.onnx", rounds=300_000, size=64)
    one = ("--threads", str(os.cpu_count()), "--batching", "off", "--max-queue-ms", "0")
    with served(model, tmp_path / "log", "--http-edge", request.param, *one) as running:
        yield running


def test_headers_that_dribble_in_are_given_up(hasty: Served) -> None:
    with raw(hasty.port) as client:
        client.send(b"GET / HTTP/1.1\r\n")

        def dribble() -> bool:
            client.send(b"X: 1\r\n")  # a line now and then does not help
            return _answered(client)

        wait(dribble, pause_s=0.1)
        assert client.reply().status == 408


def test_a_body_that_stops_is_given_up(hasty: Served) -> None:
    with raw(hasty.port) as client:
        client.send(post(row(1))[:-3])
        reply = client.reply()
        assert (reply.status, reply.closes) == (408, True)
        assert reply.json()["code"] == "RequestTimeout"
        client.nothing_more()


def test_a_slow_body_that_keeps_a_fair_rate_is_taken(hasty: Served) -> None:
    body = b" " * 100_000 + row(1, "slow")  # six seconds more by its size
    with raw(hasty.port) as client:
        whole = post(body)
        client.send(whole[:60_000])
        time.sleep(1.5)  # beyond the limit for a small one
        client.send(whole[60_000:])
        assert client.reply().json()["request_id"] == "slow"


def test_an_idle_connection_is_closed_without_a_word(hasty: Served) -> None:
    with raw(hasty.port) as silent, raw(hasty.port) as client:
        client.send(get())
        assert client.reply().status == 200
        client.nothing_more()
        silent.nothing_more()


def test_a_client_that_does_not_read_stops_being_served_and_is_cut(hasty: Served) -> None:
    base = hasty.sockets()
    before = hasty.metric(SUCCESS)
    many = 40_000  # more than the kernel's buffers hold
    body = post(b'{"features": [%b]}' % b",".join([b"[1,2,3]"] * 100))
    with raw(hasty.port, window=4096) as client:
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):  # the server no longer reads
            client.send(body * many)
        assert hasty.metric(SUCCESS) - before < many / 2
        wait(lambda: hasty.sockets() <= base)


@pytest.mark.parametrize("edge", ["own", "asgi"])
def test_who_takes_too_little_is_cut_and_who_is_slow_but_steady_is_not(
    tmp_path: Path, edge: str
) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    flags = ("--http-edge", edge, "--write-timeout-s", "4")
    asked = post(b'{"features": [%b]}' % b",".join([b"[1,2,3]"] * 300_000))  # 7 MB of answer
    with (
        served(model, tmp_path / "log", *flags) as server,
        raw(server.port, window=32_768) as steady,
        raw(server.port, window=2048, segment=536) as trickling,
    ):
        taken = {}
        for client in (steady, trickling):
            client.send(asked)
            taken[client] = client.socket.recv(1)
        both = server.sockets()

        def cut() -> bool:
            taken[trickling] += trickling.socket.recv(1024)  # 8 KiB a second, half of what it must
            for _ in range(2):  # and here it is five times as much
                taken[steady] += steady.socket.recv(4096)
            return server.sockets() < both

        wait(cut, pause_s=0.1)
        assert len(taken[trickling]) < 300_000
        head, _, body = taken[steady].partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        while len(body) < length:
            more = steady.socket.recv(1 << 20)
            assert more
            body += more
        assert len(json.loads(body)["prediction"]) == 300_000


def test_a_client_that_reads_late_gets_everything_in_order(own_patient: Served) -> None:
    wanted = [str(number) for number in range(400)]
    padding = b",".join([b"[1,2,3]"] * 300)
    requests = [
        post(b'{"request_id": "%b", "features": [%b]}' % (each.encode(), padding))
        for each in wanted
    ]
    with raw(own_patient.port, window=4096) as client, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(client.send, *requests)
        time.sleep(0.5)
        assert [client.reply().json()["request_id"] for _ in wanted] == wanted
        sending.result()


def test_a_vanished_clients_waiting_work_is_not_done(busy: Served) -> None:
    body = b'{"features": [%b]}' % b",".join([b"0.1"] * 64)
    runs = busy.metric("model_inference_seconds_count")
    with raw(busy.port, timeout_s=60) as first, contextlib.ExitStack() as stack:
        first.send(post(body))
        wait(lambda: busy.metric("model_requests_in_flight") == 1)
        gone = [Raw(busy.port) for _ in range(5)]
        for each in gone:
            stack.callback(each.close)
            each.send(post(body))
        wait(lambda: busy.metric("model_requests_waiting") == 5)
        for each in gone:
            each.vanish()
        wait(lambda: busy.metric("model_requests_waiting") == 0)
        assert first.reply().status == 200
    assert busy.metric("model_inference_seconds_count") == runs + 1
    assert busy.metric('model_requests_dropped_total{reason="cancelled"}') == 5


def test_a_client_that_closed_is_given_up_after_a_moment(busy: Served) -> None:
    # An orderly end looks like a half-closed connection at first.
    body = b'{"features": [%b]}' % b",".join([b"0.1"] * 64)
    with contextlib.ExitStack() as stack:
        for _ in range(12):  # some seconds of work
            patient = stack.enter_context(raw(busy.port, timeout_s=60))
            patient.send(post(body))
        wait(lambda: busy.metric("model_requests_in_flight") >= 10)
        closed = Raw(busy.port)
        closed.send(post(body))
        closed.close()
        wait(lambda: busy.metric('model_requests_dropped_total{reason="cancelled"}') == 1)
        assert patient.reply().status == 200


def test_many_clients_that_vanish_leave_nothing_behind(hasty: Served) -> None:
    base = hasty.sockets()
    whole = post(row(1))
    for cut in range(0, len(whole) + 1, 3):
        client = Raw(hasty.port)
        client.send(whole[:cut])
        client.vanish()
    wait(lambda: hasty.sockets() <= base)
    wait(lambda: hasty.metric("model_requests_in_flight") == 0)


@pytest.fixture(scope="module")
def own_patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("patient")
    model = models.classifier(folder / "model.onnx")
    with served(model, folder / "log", "--http-edge", "own") as running:
        yield running


def _answered(client: Raw) -> bool:
    client.socket.setblocking(False)
    try:
        return bool(client.socket.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        client.socket.settimeout(15)

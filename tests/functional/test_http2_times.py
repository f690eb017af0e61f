"""HTTP/2 connections and streams whose time is over: slow clients, gone clients, age and drain."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hyperframe import frame as frames

from tests import models
from tests.rawhttp import row
from tests.rawhttp2 import CALM, CANCEL, Raw2, ResetError, raw2
from tests.runtimes import Served, served

SHORT = (
    "--header-timeout-s", "0.6", "--body-timeout-s", "0.6",
    "--write-timeout-s", "0.6", "--keep-alive-s", "1.2",
)  # fmt: skip
WORK = json.dumps({"features": [0.1] * 64}).encode()
LAST = 2**31 - 1


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that waits for nobody for long."""
    folder = tmp_path_factory.mktemp("hasty")
    model = models.classifier(folder / "model.onnx")
    with served(model, folder / "log", *SHORT) as running:
        yield running
        assert "Traceback" not in running.log.read_text()


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Served]:
    """A server whose model takes a third of a second or more, one request at a time."""
    model = models.slow(tmp_path / "model.onnx", rounds=300_000, size=64)
    one = ("--threads", str(os.cpu_count()), "--batching", "off")
    patient = ("--max-queue-ms", "0", "--drain-seconds", "100")
    with served(model, tmp_path / "log", *one, *patient) as running:
        yield running


def test_half_a_head_is_given_up(hasty: Served) -> None:
    with raw2(hasty.port) as client:
        client.send(client.head()[:-3])
        client.quiet = True
        client.to_the_end()
        assert client.goodbyes == [(0, CALM)]


def test_a_head_that_comes_in_many_frames_is_given_up(hasty: Served) -> None:
    with raw2(hasty.port) as client:
        head = frames.HeadersFrame(1, client._encoder.encode([(":method", "GET")]), flags=[])
        client.send(head.serialize())
        with contextlib.suppress(OSError):
            for _ in range(15):  # a frame now and then does not help
                client.send(frames.ContinuationFrame(1, b"", flags=[]).serialize())
                time.sleep(0.1)
        client.quiet = True
        client.to_the_end()
        assert client.goodbyes[-1][1] == CALM


def test_a_body_that_stops_is_given_up_and_the_connection_goes_on(hasty: Served) -> None:
    with raw2(hasty.port) as client:
        client.send(client.head("/predict", method="POST", end=False))
        client.data(1, row(1)[:-3], end=False)
        reply = client.reply(1)
        assert (reply.status, reply.json()["code"]) == (408, "RequestTimeout")
        assert client.reply(client.get()).status == 200


def test_an_answer_that_is_not_taken_is_given_up_alone(hasty: Served) -> None:
    window = {frames.SettingsFrame.INITIAL_WINDOW_SIZE: 10}
    with raw2(hasty.port, settings=window, takes=False) as client:
        stream = client.get("/v2")
        while not client.replies[stream].body:
            client.read()
        other = client.get("/v2")
        for _ in range(8):
            client.send(client.open_window(1_000, other))
            with contextlib.suppress(TimeoutError):
                client.reply(other)
        with pytest.raises(ResetError) as told:
            client.reply(stream)
        assert told.value.code == CANCEL
        assert client.replies[other].json()["name"] == "fairlead"


def test_an_answer_that_is_taken_too_slowly_is_given_up_alone(hasty: Served) -> None:
    window = {frames.SettingsFrame.INITIAL_WINDOW_SIZE: 10}
    rows = b",".join([b"[1,2,3]"] * 10_000)
    with raw2(hasty.port, settings=window, takes=False) as client:
        stream = client.post(b'{"features": [%b]}' % rows)
        client.socket.settimeout(0.05)

        def given_up() -> bool:
            client.send(client.open_window(100, 0, stream))  # a little now and then does not help
            with contextlib.suppress(TimeoutError):
                client.read()
            return client.replies[stream].reset is not None

        wait(given_up)
        assert client.replies[stream].reset == CANCEL
        assert len(client.replies[stream].body) < 20_000
        client.socket.settimeout(20)
        other = client.get()
        client.send(client.open_window(1_000, 0, other))
        assert client.reply(other).status == 200


def test_an_idle_connection_is_told_to_end(hasty: Served) -> None:
    with raw2(hasty.port) as silent, raw2(hasty.port) as client:
        assert client.reply(client.get()).status == 200
        for each, last in ((client, 1), (silent, 0)):
            each.to_the_end()
            assert each.goodbyes == [(LAST, 0), (last, 0)]


def test_a_client_that_reads_nothing_at_all_is_cut_off(hasty: Served) -> None:
    base = hasty.sockets()
    wide = {frames.SettingsFrame.INITIAL_WINDOW_SIZE: LAST}
    client = Raw2(hasty.port, settings=wide)
    client.send(client.open_window(LAST - 65_535, 0))
    with contextlib.suppress(OSError):  # the server no longer reads
        client.socket.settimeout(3)
        for _ in range(40_000):
            client.get("/metrics")
    wait(lambda: hasty.sockets() <= base)
    client.close()


def test_many_clients_that_vanish_leave_nothing_behind(hasty: Served) -> None:
    base = hasty.sockets()
    with raw2(hasty.port) as other:
        whole = other.head("/predict", method="POST", end=False)
    whole += frames.DataFrame(1, row(1), flags=["END_STREAM"]).serialize()
    for cut in range(0, len(whole) + 1, 3):
        client = Raw2(hasty.port)
        client.send(whole[:cut])
        client.vanish()
    wait(lambda: hasty.sockets() <= base)
    wait(lambda: hasty.metric("model_requests_in_flight") == 0)


@pytest.mark.parametrize("how", ["reset", "vanish"])
def test_the_waiting_work_of_a_client_that_has_gone_is_not_done(busy: Served, how: str) -> None:
    runs = busy.metric("model_inference_seconds_count")
    with raw2(busy.port) as first, contextlib.ExitStack() as stack:
        asked = first.post(WORK)
        wait(lambda: busy.metric("model_requests_in_flight") == 1)
        gone = Raw2(busy.port)
        stack.callback(gone.close)
        streams = [gone.post(WORK) for _ in range(5)]
        wait(lambda: busy.metric("model_requests_waiting") == 5)
        if how == "vanish":
            gone.vanish()
        else:
            for each in streams:
                gone.reset(each)
        wait(lambda: busy.metric("model_requests_waiting") == 0)
        assert first.reply(asked).status == 200
    assert busy.metric("model_inference_seconds_count") == runs + 1
    assert busy.metric('model_requests_dropped_total{reason="cancelled"}') == 5


def test_an_old_connection_ends_with_an_answer_and_nothing_is_lost(tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    with served(model, tmp_path / "log", "--max-connection-age-s", "0.5") as server:
        answered = 0
        for _ in range(4):  # connections, one after the other
            with raw2(server.port) as client:
                while not client.goodbyes:
                    assert client.reply(client.post(row(1))).status == 200
                    answered += 1
                    time.sleep(0.02)
                client.to_the_end()
                # The last request was sent before the first goodbye had been read.
                assert client.goodbyes == [(LAST, 0), (max(client.replies), 0)]
        assert answered > 8


def test_what_is_in_flight_at_sigterm_is_answered_and_what_is_new_is_not(busy: Served) -> None:
    with raw2(busy.port) as client, raw2(busy.port) as idle:
        assert idle.reply(idle.get()).status == 200
        asked = [client.post(WORK) for _ in range(3)]
        wait(lambda: busy.metric("model_requests_in_flight") >= 1)
        busy.process.send_signal(signal.SIGTERM)
        idle.to_the_end()
        assert idle.goodbyes == [(LAST, 0), (1, 0)]
        for each in asked:
            assert client.reply(each).status == 200
        client.to_the_end()
        assert client.goodbyes == [(LAST, 0), (asked[-1], 0)]
    assert busy.process.wait(timeout=60) == 0

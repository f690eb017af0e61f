"""The benchmark's servers are what it says that they are."""

from __future__ import annotations

import http.client
import json
import socket
import time
from pathlib import Path

from bench.runtime import crowd, measure, models, profiles, refused
from bench.runtime.bodies import Kind, all_kinds, body
from bench.runtime.servers import bare, fairlead, full, running

WIDTH = models.SMALL[0]


def answers(client: socket.socket, count: int) -> int:
    """Return how many answers have come once there are so many, and a moment later."""
    data = b""
    client.settimeout(10)
    while data.count(b"HTTP/1.1 200") < count:
        data += client.recv(65536)
    client.settimeout(0.2)
    try:
        while piece := client.recv(65536):
            data += piece
    except TimeoutError:
        pass
    return data.count(b"HTTP/1.1 200")


def test_bare_answers_a_request_once_in_however_many_pieces_it_comes(tmp_path: Path) -> None:
    asked = body(Kind.BINARY, WIDTH, 64)
    request = crowd.asking("/x", asked.data, asked.headers)
    with (
        running(bare(), tmp_path / "log", all_kinds(WIDTH, 0)) as server,
        socket.create_connection((server.host, server.port)) as client,
    ):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in (10, 100, len(request) - 1):
            client.sendall(request[:cut])
            time.sleep(0.05)
            client.sendall(request[cut:])
            assert answers(client, 1) == 1
        client.sendall(request * 3)
        assert answers(client, 3) == 3


def test_the_full_server_logs_every_answer_and_counts_drift(tmp_path: Path) -> None:
    model = models.mlp(tmp_path / "small.onnx", models.SMALL)
    log, asked = tmp_path / "predictions.log", body(Kind.SIMPLE, WIDTH, 0)
    how = full(model, profiles.made(model, WIDTH, tmp_path), log)
    with running(how, tmp_path / "log", all_kinds(WIDTH, 0)) as server:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
        for _ in range(50):
            connection.request("POST", "/predict", asked.data, dict(asked.headers))
            assert connection.getresponse().read()
        connection.request("GET", "/metrics")
        metrics = connection.getresponse().read().decode()
        connection.close()
        assert measure._logged(server) == 1
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(events) >= 50
    assert "model_drift" in metrics


def test_a_crowd_is_answered_and_refused_by_a_short_queue(tmp_path: Path) -> None:
    model = models.mlp(tmp_path / "medium.onnx", models.MEDIUM)
    asked = body(Kind.BINARY, models.MEDIUM[0], 0)
    content = tmp_path / "body"
    content.write_bytes(asked.data)
    how = fairlead(model, extra=("--max-queue", "4"))
    with running(how, tmp_path / "log", all_kinds(models.MEDIUM[0], 0)) as server:
        found = refused.press(server, content, asked.headers, connections=64, seconds=1)
    assert found.answers_per_s > 0
    assert 0 < found.refused < 1

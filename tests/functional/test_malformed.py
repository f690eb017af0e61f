"""Broken requests by the thousand: each is refused in words or answered, and nothing breaks."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from cluster.controlplane import free_ports
from tests import models
from tests.malformed import http_requests, protobufs
from tests.malformed_framing import SMUGGLED, asked, framings
from tests.runtimes import Served, served

COUNT = int(os.environ.get("MALFORMED", "1000"))
SEED = int(os.environ.get("MALFORMED_SEED", "20260101"))
_EACH = max(20, COUNT // 2)


def memory_mib(runtime: Served) -> float:
    text = Path(f"/proc/{runtime.process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def right(body: bytes, header_length: str | None) -> None:
    """Assert that an answer's shapes are those of a classifier, whatever was asked."""
    document = json.loads(body[: int(header_length)] if header_length else body)
    if "outputs" in document:
        for output in document["outputs"]:
            size = math.prod(output["shape"])
            assert output["shape"][1:] == ([2] if output["name"] == "probabilities" else [])
            if "data" in output:
                assert len(output["data"]) == size
    else:
        labels = np.asarray(document["prediction"])
        assert np.asarray(document["probability"]).shape == (*labels.shape, 2)


def test_no_broken_http_request_breaks_the_server(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        model = models.classifier(tmp_path / "model.onnx")
        runtime = stack.enter_context(served(model, tmp_path / "log"))
        connection = http.client.HTTPConnection("127.0.0.1", runtime.port, timeout=20)
        stack.callback(connection.close)
        seen: Counter[int] = Counter()
        codes: Counter[str] = Counter()
        before = 0.0
        for number, broken in enumerate(http_requests(SEED, _EACH)):
            connection.request("POST", broken.path, broken.body, broken.headers)
            answer = connection.getresponse()
            body = answer.read()
            seen[answer.status] += 1
            if answer.status == 200:
                right(body, answer.getheader("inference-header-content-length"))
            else:
                document = json.loads(body)
                assert document["error"]
                codes[document["code"]] += 1
                # 504 is for who sets a limit of a microsecond and then is right about it.
                assert answer.status < 500 or answer.status == 504, (broken, document)
            if number == _EACH // 4:
                before = memory_mib(runtime)
        assert seen[400] > _EACH / 3
        assert {"InvalidJson", "InvalidRequest", "InvalidTensor", "InvalidEncoding"} <= set(codes)
        assert memory_mib(runtime) < before + 20
        assert runtime.get("/health")[0] == 200
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_no_broken_protobuf_breaks_the_server(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    model = models.classifier(tmp_path / "model.onnx")
    request = service_pb2.ModelInferRequest(model_name="m", model_version="1", id="a")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 3])
    request.raw_input_contents.append(np.asarray([1, 2, 3], np.float32).tobytes())
    fine = {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
    with (
        served(model, tmp_path / "log", "--grpc-port", str(port)) as runtime,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        seen: Counter[grpc.StatusCode] = Counter()
        before = 0.0
        for number, body in enumerate(protobufs(SEED, _EACH, request)):
            try:
                answer = service_pb2.ModelInferResponse.FromString(call(body))
            except grpc.RpcError as error:
                refused: grpc.Call = error
                assert refused.code() in fine, (body, refused.details())
                seen[refused.code()] += 1
            else:
                for output in answer.outputs:
                    tail = [2] if output.name == "probabilities" else []
                    assert list(output.shape)[1:] == tail
            if number == _EACH // 4:
                before = memory_mib(runtime)
        assert seen[grpc.StatusCode.INVALID_ARGUMENT] > _EACH / 4
        assert memory_mib(runtime) < before + 20
        assert runtime.get("/health")[0] == 200
    assert "Traceback" not in (tmp_path / "log").read_text()


def answers(port: int, data: bytes, *, ends: bool) -> list[tuple[int, bytes]]:
    """Send these bytes, and return status and body of all that comes until the server closes."""
    got = b""
    was_reset = True
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as client,
        contextlib.suppress(ConnectionError),  # it may close before all is sent
    ):
        client.sendall(data)
        if ends:
            client.shutdown(socket.SHUT_WR)
        while more := client.recv(1 << 16):
            got += more
        was_reset = False
    found = []
    while got and not (was_reset and b"\r\n\r\n" not in got):
        head, _, got = got.partition(b"\r\n\r\n")
        start, *lines = head.decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        version, status = start.split(" ")[:2]
        assert version == "http/1.1", head
        length = int(headers["content-length"])
        assert len(got) >= length or was_reset, (data, head)
        body, got = got[:length], got[length:]
        if len(body) == length:
            found.append((int(status), body))
        if headers.get("connection") == "close":
            assert not got, (data, "more came behind an answer that closes")
        else:
            assert int(status) not in (501, 505), (data, head)
    return found


@pytest.mark.parametrize("edge", ["own", "asgi"])
def test_no_broken_framing_breaks_the_server_or_smuggles_a_request(
    tmp_path: Path, edge: str
) -> None:
    own = edge == "own"
    # uvicorn answers nobody who has ended, so that one waits for its times, of a second at least.
    times = ("--header-timeout-s", "0.3", "--body-timeout-s", "0.3", "--keep-alive-s", "0.3")
    model = models.classifier(tmp_path / "model.onnx")
    with served(model, tmp_path / "log", "--http-edge", edge, *(() if own else times)) as runtime:
        seen: Counter[int] = Counter()

        def one(data: bytes) -> list[int]:
            found, wanted = answers(runtime.port, data, ends=own), asked(data)
            # What a strict reader of others takes for requests, and one refusal.
            assert len(found) <= len(wanted) + 1, (data, found, wanted)
            inner = sum(SMUGGLED in body for _, body in found)
            assert inner <= sum(SMUGGLED in target for target in wanted), (data, found, wanted)
            for status, body in found:
                assert status < 500 or status in (501, 505), (data, body)
                document = json.loads(body)
                assert status == 200 or (document["error"] and document["code"]), (data, body)
            return [status for status, _ in found]

        with ThreadPoolExecutor(8 if own else 64) as pool:
            for statuses in pool.map(one, framings(SEED, _EACH)):
                seen.update(statuses)
        assert seen[400] > _EACH / 3
        assert {200, 404, 501, 505} <= set(seen)
        assert runtime.get("/health")[0] == 200
    assert "Traceback" not in (tmp_path / "log").read_text()

"""Paced clients of every kind that run inside the cluster beside each other, in one pod.

Each sends its share of requests a second and prints a JSON line for each answer: on a new
connection each time, on one kept alive that never reconnects unless it was told that it ends, the
same over HTTP/2, and over gRPC on one channel and on a new one each time. Users come round and
round, each client beginning at others.
"""

from __future__ import annotations

import http.client
import json
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.errors
import h2.events
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset

from fairlead_runtime.grpc.messages import INFERENCE
from fairlead_runtime.http.http2_frames import Frames, Kind

Answer = dict[str, Any]
_PATH = "/inference.GRPCInferenceService/ModelInfer"
_stopping = threading.Event()
_printing = threading.Lock()


def _told(header: Callable[[str], Any]) -> Answer:
    """Return what the router says of an answer."""
    return {name: header(f"x-fairlead-{name}") for name in ("variant", "experiment")}


class Http:
    """HTTP/1.1; kept alive, it opens a connection only after it was told of the last one's end."""

    def __init__(self, host: str, body: bytes, *, keep: bool) -> None:
        self._host, self._body, self._keep = host, body, keep
        self._kept: http.client.HTTPConnection | None = None

    def __call__(self, user: str) -> Answer:
        connection = self._kept or http.client.HTTPConnection(self._host, timeout=20)
        try:
            headers = {"Content-Type": "application/json", "x-user-id": user}
            connection.request("POST", "/predict", self._body, headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise ValueError(f"status {answer.status}: {content[:200]!r}")
            ends = answer.getheader("Connection", "").lower() == "close"
        except BaseException:
            self._kept = None
            connection.close()
            raise
        if self._keep and not ends:
            self._kept = connection
        else:
            self._kept = None
            connection.close()
        version = json.loads(content)["model_version"]
        return {"version": version, **_told(answer.getheader)}


class NotBegunError(Exception):
    """The server says that it has not begun with a request: it may be sent again."""


class Link:
    """A connection of HTTP/2 without TLS; one request at a time."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._socket = socket.create_connection((host, 80), timeout=20)
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._frames = Frames()
        self._last: int | None = None  # the last stream that is served, once a goodbye has come

    def ends(self) -> bool:
        """Whether the server has said that the connection ends, or has ended it."""
        try:
            while select.select([self._socket], [], [], 0)[0]:
                self._read()
        except ConnectionError:
            return True
        return self._last is not None

    def ask(self, body: bytes, user: str) -> tuple[dict[str, str], bytes]:
        """Return headers and body of the answer.

        Raises:
            NotBegunError: The server will not begin with it.
            OSError: The connection broke.
        """
        stream = self._h2.get_next_available_stream_id()
        head = [
            (":method", "POST"), (":scheme", "http"), (":authority", self._host),
            (":path", "/predict"), ("content-type", "application/json"), ("x-user-id", user),
        ]  # fmt: skip
        self._h2.send_headers(stream, head)
        self._h2.send_data(stream, body, end_stream=True)
        self._socket.sendall(self._h2.data_to_send())
        headers: dict[str, str] = {}
        content = b""
        while True:
            for event in self._read():
                if isinstance(event, ResponseReceived):
                    headers = {str(name): str(value) for name, value in event.headers}
                elif isinstance(event, DataReceived):
                    content += event.data
                    self._h2.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, StreamEnded):
                    return headers, content
                elif isinstance(event, StreamReset):
                    if event.error_code == h2.errors.ErrorCodes.REFUSED_STREAM:
                        raise NotBegunError
                    raise ConnectionError(f"reset: {event.error_code!r}")
            if self._last is not None and self._last < stream:
                raise NotBegunError

    def _read(self) -> list[h2.events.Event]:
        data = self._socket.recv(1 << 16)
        if not data:
            raise ConnectionResetError("the server ended the connection")
        events: list[h2.events.Event] = []
        for frame in self._frames.feed(data):
            if frame.kind == Kind.GOAWAY:  # h2 would read no answer after it
                self._last = int.from_bytes(frame.data[9:13], "big")
            else:
                events += self._h2.receive_data(frame.data)
        self._socket.sendall(self._h2.data_to_send())
        return events

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class Http2:
    """HTTP/2 without TLS, on one connection until it is told of its end."""

    def __init__(self, host: str, body: bytes) -> None:
        self._host, self._body = host, body
        self._kept: Link | None = None

    def __call__(self, user: str) -> Answer:
        try:
            headers, content = self._answer(user)
        except BaseException:
            self._drop()
            raise
        if headers[":status"] != "200":
            raise ValueError(f"status {headers[':status']}: {content[:200]!r}")
        return {"version": json.loads(content)["model_version"], **_told(headers.get)}

    def _answer(self, user: str) -> tuple[dict[str, str], bytes]:
        if self._kept is not None and self._kept.ends():
            self._drop()
        self._kept = self._kept or Link(self._host)
        try:
            return self._kept.ask(self._body, user)
        except NotBegunError:
            self._drop()
            self._kept = Link(self._host)
            return self._kept.ask(self._body, user)

    def _drop(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None


class Grpc:
    """gRPC; on one channel, or on a new one each time."""

    def __init__(self, host: str, model: str, features: list[float], *, keep: bool) -> None:
        self._target, self._keep = f"{host}:9000", keep
        request = INFERENCE["ModelInferRequest"](model_name=model)
        tensor = request.inputs.add(name="features", datatype="FP32", shape=[1, len(features)])
        tensor.contents.fp32_contents.extend(features)
        self._request = request.SerializeToString()
        self._channel = self._open() if keep else None

    def __call__(self, user: str) -> Answer:
        if self._channel is not None:
            return self._ask(self._channel, user)
        with self._fresh() as channel:
            return self._ask(channel, user)

    def _ask(self, channel: grpc.Channel, user: str) -> Answer:
        infer = channel.unary_unary(_PATH)
        metadata = (("x-user-id", user),)
        raw, call = infer.with_call(self._request, metadata=metadata, timeout=20)
        answer = INFERENCE["ModelInferResponse"].FromString(raw)
        return {"version": answer.model_version, **_told(dict(call.initial_metadata()).get)}

    @contextmanager
    def _fresh(self) -> Iterator[grpc.Channel]:
        channel = self._open()
        try:
            yield channel
        finally:
            channel.close()

    def _open(self) -> grpc.Channel:
        # A pool of its own: channels of one process would share connections otherwise.
        return grpc.insecure_channel(self._target, [("grpc.use_local_subchannel_pool", 1)])


def send(
    kind: str, ask: Callable[[str], Answer], rate: float, ends: float, users: list[str]
) -> None:
    """Send requests until the end, each at its own moment."""
    number, due = 0, time.monotonic()
    while not _stopping.is_set() and due < ends:
        time.sleep(max(0.0, due - time.monotonic()))
        user = users[number % len(users)]
        line: Answer = {"kind": kind, "user": user, "at": round(time.time(), 3)}
        began = time.monotonic()
        try:
            line |= ask(user)
        except (OSError, http.client.HTTPException, ValueError, KeyError, grpc.RpcError) as error:
            line["error"] = f"{type(error).__name__}: {error}"
        line["ms"] = round((time.monotonic() - began) * 1000)
        with _printing:
            print(json.dumps(line), flush=True)
        number += 1
        due += 1 / rate


def main(
    host: str,
    model: str,
    rate: float,
    seconds: float,
    features: list[float],
    users: list[str],
    kinds: list[str],
) -> None:
    """Run clients of these kinds until the end or SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: _stopping.set())
    body = json.dumps({"features": features}).encode()
    clients: dict[str, Callable[[str], Answer]] = {
        "new": Http(host, body, keep=False),
        "kept": Http(host, body, keep=True),
        "http2": Http2(host, body),
        "grpc": Grpc(host, model, features, keep=True),
        "grpc-new": Grpc(host, model, features, keep=False),
    }
    ends = time.monotonic() + seconds
    threads = []
    for index, kind in enumerate(kinds):
        first = index * len(users) // len(kinds)
        own = [*users[first:], *users[:first]]
        threads.append(threading.Thread(target=send, args=(kind, clients[kind], rate, ends, own)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"done": True}), flush=True)


if __name__ == "__main__":
    main(
        sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]),
        json.loads(sys.argv[5]), json.loads(sys.argv[6]), sys.argv[7:],
    )  # fmt: skip

"""Broken HTTP/2 by the hundred: each connection is ended or goes on, and nothing else is harmed."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from collections import Counter
from pathlib import Path

from hyperframe import frame as frames

from tests import models
from tests.rawhttp import row
from tests.rawhttp2 import PREFACE, Raw2, raw2
from tests.runtimes import Served, served

COUNT = int(os.environ.get("MALFORMED", "1000")) // 10
SEED = int(os.environ.get("MALFORMED_SEED", "20260101"))


def conversation(client: Raw2, rng: random.Random) -> list[bytes]:
    """Return a client's valid frames, some of them in an odd order."""
    made = [frames.SettingsFrame(0, settings={4: rng.choice([0, 1, 65_535])}).serialize()]
    for number in range(rng.randint(1, 4)):
        stream = 2 * number + 1
        made.append(client.head("/predict", ("x-a", "b"), method="POST", end=False))
        made.append(frames.DataFrame(stream, row(number)).serialize())
        made.append(frames.DataFrame(stream, b"", flags=["END_STREAM"]).serialize())
        made.append(client.open_window(rng.choice([1, 2**31 - 1]), rng.choice([0, stream])))
    made += [client.ping(), frames.GoAwayFrame(0).serialize()]
    if rng.random() < 0.3:
        rng.shuffle(made)
    return made


def broken(client: Raw2, rng: random.Random) -> bytes:
    """Return bytes in which something is wrong, or everything."""
    made = conversation(client, rng)
    if rng.random() < 0.3:  # a frame that is well cut, with anything in it
        body = rng.randbytes(rng.randrange(20))
        head = len(body).to_bytes(3, "big") + bytes([rng.randrange(12), rng.randrange(256)])
        made.insert(rng.randrange(len(made)), head + rng.randbytes(4) + body)
    whole = bytearray(b"".join(made))
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(whole))
        match rng.randrange(4):
            case 0:
                whole[at] = rng.randrange(256)
            case 1:
                del whole[at : at + rng.randint(1, 9)]
            case 2:
                whole[at:at] = rng.randbytes(rng.randint(1, 9))
            case _:
                whole[at:at] = whole[at : at + 30]
    return bytes(whole)


def end_of(port: int, data: bytes) -> str:
    """Send bytes behind a preface, end, and return how the server took it."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        with contextlib.suppress(OSError):
            client.sendall(PREFACE + data)
            client.shutdown(socket.SHUT_WR)
        heard = b""
        with contextlib.suppress(ConnectionResetError):
            while more := client.recv(1 << 16):
                heard += more
    seen = "silence"
    while len(heard) >= 9:
        made, length = frames.Frame.parse_frame_header(memoryview(heard[:9]))
        if isinstance(made, frames.GoAwayFrame):
            return "goodbye"
        if isinstance(made, frames.HeadersFrame):
            seen = "an answer"
        heard = heard[9 + length :]
    return seen


def memory_mib(runtime: Served) -> float:
    text = Path(f"/proc/{runtime.process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def test_no_broken_frame_breaks_the_server(tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    rng = random.Random(SEED)
    with served(model, tmp_path / "log") as server:
        seen: Counter[str] = Counter()
        before = 0.0
        with raw2(server.port) as well:
            for number in range(COUNT):
                with raw2(server.port) as maker:
                    seen[end_of(server.port, broken(maker, rng))] += 1
                if number % 25 == 0:  # somebody else's requests go on meanwhile
                    assert well.reply(well.post(row(number))).status == 200
                if number == COUNT // 4:
                    before = memory_mib(server)
        assert seen["goodbye"] > COUNT / 5
        assert seen["an answer"] > COUNT / 20
        assert memory_mib(server) < before + 20
        assert server.metric("model_requests_in_flight") == 0
        assert server.get("/health")[0] == 200
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert "Task exception" not in (tmp_path / "log").read_text()

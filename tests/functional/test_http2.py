"""What HTTP/2 asks of a server: other people's clients, and frames of our own making."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hyperframe import frame as frames

from tests import models
from tests.rawhttp import get, raw, row
from tests.rawhttp2 import CALM, PREFACE, REFUSED_STREAM, Raw2, ResetError, raw2
from tests.runtimes import Served, served, served_by_edge

CURL = shutil.which("curl")
LIMIT = 1 << 20
IN_FLIGHT = "model_requests_in_flight"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_by_edge("own", tmp_path_factory.mktemp("own")) as running:
        yield running


@pytest.mark.skipif(not CURL, reason="no curl")
def test_curl_is_answered_over_http2(own: Served, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b" " * (LIMIT - 100) + row(1, "curl"))
    url = f"http://127.0.0.1:{own.port}"
    command = [str(CURL), "-sS", "--http2-prior-knowledge", "-w", "\n%{http_version} %{http_code}"]
    for rest, wanted in [
        ([f"{url}/health/live"], b'{"status":"alive"}\n2 200'),
        ([f"{url}/nothing"], b"2 404"),
        (["-I", f"{url}/v2"], b"\n2 200"),
    ]:
        done = subprocess.run([*command, *rest], capture_output=True, check=True)
        assert done.stdout.endswith(wanted), done
    sent = [*command, f"{url}/predict", "--data-binary", f"@{body}"]
    done = subprocess.run(sent, capture_output=True, check=True)
    assert json.loads(done.stdout.splitlines()[0])["request_id"] == "curl"


async def test_httpx_asks_many_things_at_once_on_one_connection(own: Served) -> None:
    before = own.sockets()
    limits = httpx.Limits(max_connections=1)
    url = f"http://127.0.0.1:{own.port}"
    async with httpx.AsyncClient(http1=False, http2=True, limits=limits, timeout=60) as client:

        async def ask(number: int) -> httpx.Response:
            return await client.post(f"{url}/predict", content=row(number, str(number)))

        answers = await asyncio.gather(*(ask(number) for number in range(300)))
        assert own.sockets() <= before + 1
    assert {answer.http_version for answer in answers} == {"HTTP/2"}
    assert [answer.json()["request_id"] for answer in answers] == [str(n) for n in range(300)]


def test_an_answer_is_the_same_as_over_1_1(own: Served) -> None:
    with raw(own.port) as first, raw2(own.port) as second:
        for path in ("/v2", "/v2/models/m", "/nothing", "/openapi.json"):
            first.send(get(path))
            one, other = first.reply(), second.reply(second.get(path))
            told = {name: value for name, value in other.headers.items() if name != ":status"}
            assert (other.status, other.body) == (one.status, one.body)
            assert told | {"date": ""} == one.headers | {"date": ""}


def test_a_connection_may_begin_byte_by_byte(own: Served) -> None:
    with raw2(own.port) as client:  # for its bytes alone
        whole = PREFACE + frames.SettingsFrame(0).serialize() + client.head()
    with raw(own.port) as slowly:
        for index in range(len(whole)):
            slowly.send(whole[index : index + 1])
        found = b""
        while b'{"status":"alive"}' not in found:
            found += slowly.socket.recv(1 << 16)


@pytest.mark.parametrize("start", [b"P", b"PRI * HTTP/2", PREFACE[:-1]])
def test_what_only_begins_like_http2_is_refused(own: Served, start: bytes) -> None:
    with raw(own.port) as client:
        client.send(start, b"x")
        client.send(b"y\r\n\r\n")
        assert client.reply().status == 400
        client.nothing_more()


def test_a_request_of_1_1_may_come_with_its_first_letter_alone(own: Served) -> None:
    with raw(own.port) as client:
        client.send(b"P")
        client.send(b"OST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
        assert client.reply().json()["code"] == "InvalidRequest"


def test_head_is_get_without_the_body(own: Served) -> None:
    with raw2(own.port) as client:
        whole = client.reply(client.get("/v2"))
        client.send(client.head("/v2", method="HEAD"))
        bare = client.reply(3)
        assert (bare.status, bare.body) == (200, b"")
        assert bare.headers["content-length"] == str(len(whole.body))


def test_a_client_with_a_window_of_one_byte_gets_its_whole_answer(own: Served) -> None:
    with raw2(own.port, settings={frames.SettingsFrame.INITIAL_WINDOW_SIZE: 1}) as client:
        answers = [client.post(row(number, str(number))) for number in range(5)]
        for number, stream in enumerate(answers):
            assert client.reply(stream).json()["request_id"] == str(number)
        client.get("/metrics")
        assert b"model_predictions_total" in client.reply(11).body


def test_a_closed_window_holds_up_nobody_else_and_may_open_later(own: Served) -> None:
    window = {frames.SettingsFrame.INITIAL_WINDOW_SIZE: 0}
    with raw2(own.port, settings=window, takes=False) as stopped, raw2(own.port) as other:
        stream = stopped.post(row(1, "late"))
        while not stopped.replies[stream].headers:
            stopped.read()
        assert other.reply(other.get()).status == 200
        assert stopped.replies[stream].body == b""
        bigger = {frames.SettingsFrame.INITIAL_WINDOW_SIZE: 10_000}
        stopped.send(frames.SettingsFrame(0, settings=bigger).serialize())
        assert stopped.reply(stream).json()["request_id"] == "late"


def test_a_window_may_become_negative(own: Served) -> None:
    first, later = ({frames.SettingsFrame.INITIAL_WINDOW_SIZE: size} for size in (50, 0))
    with raw2(own.port, settings=first, takes=False) as client:
        stream = client.get("/v2")
        while len(client.replies[stream].body) < 50:
            client.read()
        client.send(frames.SettingsFrame(0, settings=later).serialize())
        client.send(client.open_window(60, stream))  # 10 more than nothing
        while len(client.replies[stream].body) < 60:
            client.read()
        client.send(client.open_window(10_000, stream))
        assert client.reply(stream).json()["name"] == "fairlead"


def test_a_body_of_exactly_the_limit_is_read_and_a_larger_one_is_not(own: Served) -> None:
    with raw2(own.port) as client:
        assert client.reply(client.post(b" " * (LIMIT - len(row(1))) + row(1))).status == 200
        for extra in (1, LIMIT):
            refused = client.reply(client.post(b" " * (LIMIT + extra)))
            assert (refused.status, refused.json()["code"]) == (413, "TooLarge")
        client.send(
            client.head("/predict", ("content-length", "9999999"), method="POST", end=False)
        )
        assert client.reply(max(client.replies)).status == 413
        assert client.reply(client.post(row(2, "after"))).json()["request_id"] == "after"


def test_a_body_is_asked_for_where_the_client_waits_for_that(own: Served) -> None:
    with raw2(own.port) as client:
        client.send(client.head("/predict", ("expect", "100-continue"), method="POST", end=False))
        while not client.replies[1].informational:
            client.read()
        assert client.replies[1].informational == [100]
        client.data(1, row(1, "e"))
        assert client.reply(1).json()["request_id"] == "e"
        client.send(client.head("/predict", ("expect", "more"), method="POST", end=False))
        assert client.reply(3).status == 417


def test_a_body_in_many_parts_with_padding_and_trailers_is_joined(own: Served) -> None:
    with raw2(own.port) as client:
        body = row(1, "parts")
        client.send(client.head("/predict", method="POST", end=False))
        for index in range(len(body)):
            part = frames.DataFrame(1, body[index : index + 1], pad_length=3, flags=["PADDED"])
            client.send(part.serialize())
        block = client._encoder.encode([("x-trailer", "1")])
        flags = ["END_HEADERS", "END_STREAM"]
        client.send(frames.HeadersFrame(1, block, flags=flags).serialize())
        assert client.reply(1).json()["request_id"] == "parts"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("/" + "x" * 9000, 0, 414), ("/v2", 200, 431)],
    ids=["long target", "many headers"],
)
def test_what_is_beyond_a_limit_is_refused_and_the_connection_goes_on(
    own: Served, path: str, headers: int, status: int
) -> None:
    with raw2(own.port) as client:
        stream = client.get(path, *((f"x-{number}", "1") for number in range(headers)))
        refused = client.reply(stream)
        assert refused.status == status
        assert refused.json()["expected"]
        assert client.reply(client.get()).status == 200


def test_headers_that_are_too_large_altogether_end_the_connection(own: Served) -> None:
    with raw2(own.port) as client:
        client.get("/v2", *((f"x-{number}", "y" * 4_000) for number in range(20)))
        client.to_the_end()
        assert client.goodbyes[-1][1] == CALM


def test_streams_too_many_are_refused_one_by_one_and_may_be_tried_again(tmp_path: Path) -> None:
    model = models.slow(tmp_path / "model.onnx", rounds=100_000, size=64)
    body = json.dumps({"features": [0.1] * 64}).encode()
    with served(model, tmp_path / "log", "--batching", "off") as busy, raw2(busy.port) as client:
        asked, parts = [], []
        for _ in range(120):
            parts.append(client.head("/predict", method="POST", end=False))
            asked.append(max(client.replies))
            parts.append(frames.DataFrame(asked[-1], body, flags=["END_STREAM"]).serialize())
        client.send(*parts)  # at once, or the first ones are answered before the last ones are sent
        refused: list[int] = []
        while len(refused) < 20:
            client.read()
            refused = [s for s in asked if client.replies[s].reset == REFUSED_STREAM]
        assert client.settings[frames.SettingsFrame.MAX_CONCURRENT_STREAMS] == 100
        assert refused == asked[100:]
        for stream in asked[:3]:
            assert client.reply(stream).status == 200
        assert client.reply(client.get()).status == 200


def test_a_client_that_says_goodbye_gets_what_it_asked_for(own: Served) -> None:
    with raw2(own.port) as client:
        client.send(
            client.head("/v2"),
            client.head("/metrics"),
            frames.GoAwayFrame(0).serialize(),
            client.open_window(1, 0),
        )
        assert client.reply(1).status == 200
        assert client.reply(3).status == 200
        with pytest.raises(EOFError):
            client.read()


def _flood(client: Raw2, kind: str) -> bytes:
    match kind:
        case "resets":
            head = client.head("/predict", method="POST", end=False)
            stream = max(client.replies)
            return head + frames.RstStreamFrame(stream, error_code=8).serialize()
        case "pings":
            return client.ping()
        case "settings":
            return frames.SettingsFrame(0).serialize()
        case "windows":
            return client.open_window(1, 0)
        case "priorities":
            return frames.PriorityFrame(1, depends_on=3).serialize()
        case "nothing in data":
            if not client.replies:
                return client.head("/predict", method="POST", end=False)
            return frames.DataFrame(1, b"").serialize()
    return b"\x00\x00\x01\x42\x00\x00\x00\x00\x00x"


@pytest.mark.parametrize(
    "kind",
    ["resets", "pings", "settings", "windows", "priorities", "nothing in data", "unknown frames"],
)
def test_frames_without_end_that_ask_for_nothing_end_the_connection(own: Served, kind: str) -> None:
    with raw2(own.port) as client, raw2(own.port) as other:
        with contextlib.suppress(OSError):  # it may be cut off before its end
            client.send(*(_flood(client, kind) for _ in range(3_000)))
        client.to_the_end()
        assert client.goodbyes[-1][1] == CALM
        assert other.reply(other.get()).status == 200
    assert own.metric(IN_FLIGHT) == 0


def test_the_goodbye_to_a_flood_says_why(own: Served) -> None:
    with raw2(own.port) as client:
        client.send(client.ping() * 2_000)
        client.to_the_end()
        assert client.goodbyes == [(0, CALM)]
        assert 900 < client.pongs < 1_000


def test_cancelling_now_and_then_is_no_flood(own: Served) -> None:
    with raw2(own.port) as client:
        for number in range(300):
            client.reset(client.post(row(number)))
            assert client.reply(client.post(row(number))).status == 200
        assert client.goodbyes == []


def test_a_reset_stream_is_not_answered_and_others_are(own: Served) -> None:
    with raw2(own.port) as client:
        client.send(client.head("/predict", method="POST", end=False))
        client.reset(1)
        other = client.post(row(1))
        assert client.reply(other).status == 200
        assert not client.replies[1].headers
    with raw2(own.port) as client:
        client.send(client.head("/predict", method="POST", end=False))
        client.reset(1)
        client.send(frames.DataFrame(1, b"late").serialize())
        with pytest.raises(ResetError):
            client.reply(1)

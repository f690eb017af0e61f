"""Requests that HTTP forbids or that are beyond a limit: refused once, and nothing after them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rawhttp import chunked, get, post, raw, row
from tests.runtimes import Served, served_by_edge

LIMIT = 1 << 20


@pytest.fixture(scope="module", params=["own", "asgi"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    with served_by_edge(request.param, tmp_path_factory.mktemp(request.param)) as running:
        yield running


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Our own edge, for rules that uvicorn does not keep."""
    with served_by_edge("own", tmp_path_factory.mktemp("own")) as running:
        yield running


START = b"POST /predict HTTP/1.1\r\nHost: test\r\n"
BODY = row(1, "smuggler")
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
IN_CHUNKS = chunked(BODY)

FORBIDDEN = {
    "length twice, the same": START + LENGTH + LENGTH + b"\r\n" + BODY,
    "length twice, another": START + LENGTH + b"Content-Length: 0\r\n\r\n" + BODY,
    "lengths in a list": START + b"Content-Length: 5, 5\r\n\r\n" + BODY,
    "length with a sign": START + b"Content-Length: +5\r\n\r\n" + BODY,
    "negative length": START + b"Content-Length: -1\r\n\r\n" + BODY,
    "hexadecimal length": START + b"Content-Length: 0x5\r\n\r\n" + BODY,
    "empty length": START + b"Content-Length:\r\n\r\n" + BODY,
    "length beyond 64 bits": START + b"Content-Length: 18446744073709551617\r\n\r\n" + BODY,
    "length and chunks": START + LENGTH + CHUNKED + b"\r\n" + IN_CHUNKS,
    "chunks and length": START + CHUNKED + LENGTH + b"\r\n" + IN_CHUNKS,
    "chunked twice": START + CHUNKED + CHUNKED + b"\r\n" + IN_CHUNKS,
    "not chunked at last": START + b"Transfer-Encoding: chunked, identity\r\n\r\n" + IN_CHUNKS,
    "identity": START + b"Transfer-Encoding: identity\r\n\r\n" + BODY,
    "almost chunked": START + b"Transfer-Encoding: xchunked\r\n\r\n" + IN_CHUNKS,
    "quoted chunked": START + b'Transfer-Encoding: "chunked"\r\n\r\n' + IN_CHUNKS,
    "space before the colon": START + b"Transfer-Encoding : chunked\r\n\r\n" + IN_CHUNKS,
    "vertical tab": START + b"Transfer-Encoding:\x0bchunked\r\n\r\n" + IN_CHUNKS,
    "folded line": START + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + IN_CHUNKS,
    "bare line feed ends a line": START + b"X: 1\n" + LENGTH + b"\r\n" + BODY,
    "bare carriage return": START + b"X: 1\r" + LENGTH + b"\r\n" + BODY,
    "null in a value": START + b"X: a\x00b\r\n" + LENGTH + b"\r\n" + BODY,
    "header without a colon": START + b"nonsense\r\n\r\n",
    "header without a name": START + b": x\r\n\r\n",
    "first header indented": b"GET / HTTP/1.1\r\n Host: test\r\n\r\n",
    "chunk size 0x": START + CHUNKED + b"\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "negative chunk": START + CHUNKED + b"\r\n-3\r\nabc\r\n0\r\n\r\n",
    "chunk size overflows": START + CHUNKED + b"\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "chunk longer than it says": START + CHUNKED + b"\r\n2\r\nabc\r\n0\r\n\r\n",
    "chunk lines without CR": START + CHUNKED + b"\r\n3\nabc\n0\n\n",
    "length as a trailer": START + CHUNKED + b"\r\n0\r\nContent-Length: 5\r\n\r\n",
    "unknown method": b"FETCH / HTTP/1.1\r\nHost: test\r\n\r\n",
    "method in small letters": b"get / HTTP/1.1\r\nHost: test\r\n\r\n",
    "space in the target": b"GET /a b HTTP/1.1\r\nHost: test\r\n\r\n",
    "bytes in the target": b"GET /\xff\xfe HTTP/1.1\r\nHost: test\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\nHost: test\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40,
    "not quite HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n",
    "random": bytes(range(256)),
}

BEYOND = {
    "gzip, and chunked in another line": (
        START + b"Transfer-Encoding: gzip\r\n" + CHUNKED + b"\r\n" + IN_CHUNKS,
        501,
    ),
    "gzip, chunked": (START + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + IN_CHUNKS, 501),
    "chunks in 1.0": (b"POST /predict HTTP/1.0\r\n" + CHUNKED + b"\r\n" + IN_CHUNKS, 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\nHost: test\r\n\r\n", 505),
    "HTTP/0.9": (b"GET /\r\n\r\n", 505),
    "long target": (get("/" + "x" * 9000), 414),
    "long header": (get("/", "X: " + "x" * 70_000), 431),
    "many headers": (get("/", *(f"X-{n}: 1" for n in range(200))), 431),
    "many trailers": (START + CHUNKED + b"\r\n0\r\n" + b"X: 1\r\n" * 200 + b"\r\n", 431),
}


@pytest.mark.parametrize("data", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_what_is_ambiguous_is_refused_and_nothing_behind_it_is_read(
    server: Served, data: bytes
) -> None:
    with raw(server.port) as client:
        client.send(data, get("/metrics"))
        refused = client.reply()
        assert refused.status in (400, 501)
        assert refused.json()["code"] in ("BadRequest", "NotImplemented")
        assert refused.closes
        assert b"smuggler" not in refused.body
        client.nothing_more()


@pytest.mark.parametrize("data", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_what_came_before_a_refused_request_is_answered_first(own: Served, data: bytes) -> None:
    with raw(own.port) as client:
        client.send(post(row(1, "first")), get("/v2"), data)
        assert client.reply().json()["request_id"] == "first"
        assert client.reply().json()["name"] == "fairlead"
        refused = client.reply()
        assert refused.status in (400, 501)
        assert refused.json()["code"] in ("BadRequest", "NotImplemented")
        client.nothing_more()


@pytest.mark.parametrize(("data", "status"), BEYOND.values(), ids=BEYOND)
def test_what_is_beyond_a_rule_or_a_limit_is_refused_with_its_own_status(
    server: Served, data: bytes, status: int
) -> None:
    with raw(server.port) as client:
        client.send(get("/v2"))
        assert client.reply().status == 200
        client.send(data, get("/metrics"))
        refused = client.reply()
        assert refused.status == status
        assert refused.closes
        assert refused.json()["code"]
        assert refused.json()["error"]
        assert refused.json()["expected"]
        client.nothing_more()


def test_a_header_without_an_end_is_refused(server: Served) -> None:
    with raw(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: test\r\nX: ")
        for _ in range(8):
            client.send(b"x" * 10_000)
        assert client.reply().status == 431


@pytest.mark.parametrize("size", [LIMIT + 1, 50 * LIMIT])
def test_a_body_that_is_too_large_by_its_length_is_not_read(server: Served, size: int) -> None:
    with raw(server.port) as client:
        client.send(START, b"Content-Length: %d\r\n\r\n" % size)
        refused = client.reply()
        assert refused.status == 413
        assert refused.json()["error"].startswith("the body has more than")


def test_a_body_that_grows_too_large_in_chunks_is_refused(server: Served) -> None:
    piece = b"x" * (LIMIT // 4)
    with raw(server.port) as client:
        client.send(START, CHUNKED, b"\r\n", chunked(*[piece] * 5))
        assert client.reply().status == 413


def test_a_body_of_exactly_the_limit_is_read(server: Served) -> None:
    with raw(server.port) as client:
        client.send(post(b" " * (LIMIT - 2) + b"{}"))
        assert client.reply().status == 400  # it is no prediction, but that could be said
        client.send(get())
        assert client.reply().status == 200


def test_the_refusal_arrives_although_the_client_is_still_sending(own: Served) -> None:
    # Without reading on, the kernel would answer the rest with a reset and the 413 be lost.
    for _ in range(5):
        with raw(own.port) as client:
            client.send(START, b"Content-Length: 9999999\r\n\r\n", b"x" * 500_000)
            assert client.reply().status == 413


def test_refusals_count_as_errors(own: Served) -> None:
    sample = 'model_predictions_total{model_version="1",status="error"}'
    before = own.metric(sample)
    with raw(own.port) as client:
        client.send(START, b"Content-Length: 9999999\r\n\r\n")
        client.reply()
    assert own.metric(sample) == before + 1

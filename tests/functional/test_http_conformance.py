"""What HTTP/1.1 asks of a server, over bare sockets. Of both edges where `server` is used."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rawhttp import chunked, get, post, raw, row
from tests.runtimes import Served, served_by_edge


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


def test_a_1_1_connection_is_kept_for_the_next_request(server: Served) -> None:
    with raw(server.port) as client:
        for number in range(3):
            client.send(post(row(number, str(number))))
            reply = client.reply()
            assert (reply.version, reply.status) == ("HTTP/1.1", 200)
            assert "connection" not in reply.headers
            assert reply.json()["request_id"] == str(number)


def test_a_1_1_connection_ends_where_the_client_wants_it(server: Served) -> None:
    for value in ("close", "Close", "x, close"):
        with raw(server.port) as client:
            client.send(get("/health/live", f"Connection: {value}"))
            assert client.reply().closes
            client.nothing_more()


def test_a_1_0_connection_ends_by_itself(server: Served) -> None:
    with raw(server.port) as client:
        client.send(get(version="1.0"))
        assert client.reply().closes
        client.nothing_more()


def test_a_1_0_connection_is_kept_where_the_client_asks_for_it(own: Served) -> None:
    with raw(own.port) as client:
        for _ in range(2):
            client.send(get("/health/live", "Connection: keep-alive", version="1.0"))
            assert client.reply().headers["connection"] == "keep-alive"


def test_a_1_0_client_needs_no_host(server: Served) -> None:
    with raw(server.port) as client:
        client.send(b"GET /health/live HTTP/1.0\r\n\r\n")
        assert client.reply().status == 200


@pytest.mark.parametrize(
    "lines",
    [
        ("Connection: keep-alive, close",),
        ("Connection: Close , Keep-Alive",),
        ("Connection: close", "Connection: keep-alive"),
    ],
    ids=["last", "first", "two lines"],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_close_beats_keep_alive(server: Served, version: str, lines: tuple[str, ...]) -> None:
    """What follows such a request is none, whoever sent it (RFC 9112, 9.3)."""
    with raw(server.port) as client:
        client.send(get("/health/live", *lines, version=version), get(version=version))
        assert client.reply().closes
        client.nothing_more()


def test_pipelined_requests_are_answered_in_order(server: Served) -> None:
    with raw(server.port) as client:
        wanted = [str(number) for number in range(50)]
        parts = [post(row(int(each), each)) for each in wanted]
        # Quick ones between: they must not overtake.
        for place in (40, 20, 5):
            parts.insert(place, get("/v2"))
        client.send(*parts)
        replies = [client.reply() for _ in parts]
    assert [r.json()["request_id"] for r in replies if b"request_id" in r.body] == wanted
    assert [n for n, r in enumerate(replies) if b"extensions" in r.body] == [5, 21, 42]


def test_nothing_is_answered_after_a_request_that_closes(server: Served) -> None:
    with raw(server.port) as client:
        client.send(get(), get("/v2", "Connection: close"), get("/metrics"))
        assert client.reply().json() == {"status": "alive"}
        assert client.reply().closes
        client.nothing_more()


def test_a_request_may_come_byte_by_byte(server: Served) -> None:
    whole = post(row(1, "a")) + get("/v2") + chunked_post(row(2, "b"))
    with raw(server.port) as client:
        for index in range(len(whole)):
            client.send(whole[index : index + 1])
        assert client.reply().json()["request_id"] == "a"
        assert client.reply().json()["name"] == "fairlead"
        assert client.reply().json()["request_id"] == "b"


def chunked_post(*chunks: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    start = b"POST /predict HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
    return start + chunked(*chunks, last=last)


def test_a_chunked_body_is_joined(server: Served) -> None:
    body = row(3, "c")
    with raw(server.port) as client:
        client.send(chunked_post(*(body[i : i + 1] for i in range(len(body)))))
        assert client.reply().json()["request_id"] == "c"
        client.send(chunked_post(body))
        assert client.reply().json()["request_id"] == "c"


def test_chunk_extensions_and_trailers_change_nothing(server: Served) -> None:
    body = row(3, "c")
    start = b"POST /predict HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: Chunked\r\n\r\n"
    extended = b'%x;a=b;c="d"\r\n%b\r\n' % (len(body), body)
    with raw(server.port) as client:
        client.send(start, extended, b"0\r\nX-Trailer: 1\r\nHost: other\r\n\r\n", get())
        assert client.reply().json()["request_id"] == "c"
        assert client.reply().json() == {"status": "alive"}


def test_a_body_is_asked_for_where_the_client_waits_for_that(server: Served) -> None:
    body = row(1, "e")
    whole = post(body, "Expect: 100-continue")
    with raw(server.port) as client:
        client.send(whole[: -len(body)])
        assert client.reply().status == 100
        client.send(body)
        assert client.reply().json()["request_id"] == "e"
        client.send(get())
        assert client.reply().status == 200


def test_a_body_is_asked_for_only_once_it_is_its_turn(own: Served) -> None:
    body = row(1, "e")
    with raw(own.port) as client:
        client.send(post(row(0, "first")), post(body, "Expect: 100-continue")[: -len(body)])
        assert client.reply().json()["request_id"] == "first"
        assert client.reply().status == 100
        client.send(body)
        assert client.reply().json()["request_id"] == "e"


def test_a_body_that_is_too_large_is_not_asked_for(server: Served) -> None:
    with raw(server.port) as client:
        client.send(
            b"POST /predict HTTP/1.1\r\nHost: test\r\nContent-Length: 9999999\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert client.reply().status == 413


def test_an_expectation_that_nobody_knows_is_refused(own: Served) -> None:
    with raw(own.port) as client:
        client.send(post(row(1), "Expect: the-unexpected"))
        assert client.reply().status == 417
        client.nothing_more()


def test_head_is_get_without_the_body(server: Served) -> None:
    with raw(server.port) as client:
        client.send(get("/v2"))
        whole = client.reply()
        client.send(get("/v2").replace(b"GET", b"HEAD", 1), get())
        bare = client.reply(head=True)
        assert (bare.status, bare.headers["content-length"]) == (200, str(len(whole.body)))
        assert bare.headers["content-type"] == whole.headers["content-type"]
        assert client.reply().json() == {"status": "alive"}


def test_every_answer_has_a_date_a_type_and_a_length(server: Served) -> None:
    with raw(server.port) as client:
        client.send(get(), get("/nothing"), post(b"{"))
        for status in (200, 404, 400):
            reply = client.reply()
            assert reply.status == status
            assert reply.headers["date"].endswith(" GMT")
            assert reply.headers["content-type"] == "application/json"
            assert len(reply.body) == int(reply.headers["content-length"])


def test_an_offered_upgrade_is_ignored(server: Served) -> None:
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    with raw(server.port) as client:
        client.send(get("/health/live", *upgrade))
        assert client.reply().json() == {"status": "alive"}


def test_what_follows_an_offered_upgrade_is_answered_too(own: Served) -> None:
    upgrade = ("Connection: Upgrade", "Upgrade: websocket")
    lines = "\r\n".join(upgrade).encode()
    in_chunks = chunked_post(row(1, "v")).replace(b"Host: test", b"Host: test\r\n" + lines)
    whole = get("/health/live", *upgrade) + post(row(1, "u"), *upgrade) + in_chunks + get("/v2")
    for step in (1, 7, len(whole)):
        with raw(own.port) as client:
            for start in range(0, len(whole), step):
                client.send(whole[start : start + step])
            assert client.reply().json() == {"status": "alive"}
            assert client.reply().json()["request_id"] == "u"
            assert client.reply().json()["request_id"] == "v"
            assert client.reply().json()["name"] == "fairlead"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/health/live?x=1&y=%20", 200),
        ("/health/%6Cive", 200),
        ("/health/live#part", 200),
        ("http://test/health/live", 200),
        ("http://test:80/health/live?x=http://y/", 200),
        ("http://test", 200),
        ("/%zz", 404),
        ("/%ff%fe", 404),
        ("/../health/live", 404),
        ("*", 404),
    ],
)
def test_request_targets_of_every_form(own: Served, target: str, status: int) -> None:
    with raw(own.port) as client:
        client.send(get(target))
        assert client.reply().status == status


def test_connect_is_refused_and_ends(server: Served) -> None:
    with raw(server.port) as client:
        client.send(b"CONNECT test:443 HTTP/1.1\r\nHost: test\r\n\r\n")
        assert client.reply().status in (400, 404, 405)


def test_empty_lines_before_a_request_are_skipped(server: Served) -> None:
    with raw(server.port) as client:
        client.send(b"\r\n\r\n", get(), b"\r\n", get("/v2"))
        assert client.reply().status == 200
        assert client.reply().status == 200


def test_a_client_that_ends_its_side_still_gets_all_its_answers(own: Served) -> None:
    with raw(own.port) as client:
        client.send(post(row(1, "1")), post(row(2, "2")), get("/v2"))
        client.end()
        assert client.reply().json()["request_id"] == "1"
        assert client.reply().json()["request_id"] == "2"
        assert client.reply().json()["name"] == "fairlead"
        client.nothing_more()


def test_half_a_request_at_the_end_is_no_request(server: Served) -> None:
    before = server.metric('model_predictions_total{model_version="1",status="success"}')
    for cut in (10, -3):
        with raw(server.port) as client:
            client.send(post(row(1))[:cut])
            client.end()
            client.nothing_more()
    after = server.metric('model_predictions_total{model_version="1",status="success"}')
    assert after == before

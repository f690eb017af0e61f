"""A head that comes again is not parsed again, and nobody can tell."""

from __future__ import annotations

import random

import pytest

from fairlead_runtime.http import reader
from fairlead_runtime.http.limits import Limits
from fairlead_runtime.http.messages import Response, json_response
from fairlead_runtime.http.reader import Entry, Reader

Seen = tuple[object, ...]


class Keeping(Reader):
    """Keeps what it reads."""

    def __init__(self) -> None:
        super().__init__(Limits(max_body_bytes=1000), lambda: 0.0)
        self.seen: list[Seen] = []
        self.continued = 0
        self.parsed = 0

    def on_headers_complete(self) -> None:
        self.parsed += 1
        super().on_headers_complete()

    def _push(self, entry: Entry) -> None:
        asked, refusal = entry.request, entry.response
        told = (asked.method, asked.path, asked.query, asked.headers, asked.body) if asked else ()
        status = refusal.status if refusal else 0
        self.seen.append((*told, status, entry.is_head, entry.keep, entry.version))

    def _speak_http2(self, data: bytes) -> None:
        raise AssertionError(data)

    def _continue(self) -> None:
        self.continued += self._wants_continue
        self._wants_continue = False

    def _hold(self, size: int) -> None:
        pass

    def _too_large(self) -> Response:
        return json_response({}, 413)


def post(body: bytes, *, more: bytes = b"", path: bytes = b"/p?q") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n%b" % (
        path, more, len(body), body,
    )  # fmt: skip


def test_a_head_is_parsed_once_and_each_request_has_its_own_body() -> None:
    kept = Keeping()
    for number in range(100, 200):
        kept.data_received(post(b'{"a": %d}' % number))
    assert [each[4] for each in kept.seen] == [b'{"a": %d}' % number for number in range(100, 200)]
    assert kept.parsed == 1


def test_where_heads_keep_changing_nothing_is_remembered_any_more() -> None:
    kept = Keeping()
    for number in range(100, 200):
        kept.data_received(post(b"x", more=b"X-Request-Id: %d\r\n" % number))
    assert kept.parsed == 100
    for _ in range(2):
        kept.data_received(post(b"x"))
    assert kept.parsed == 102


@pytest.mark.parametrize(
    "again",
    [
        post(b"")[:-2] + b"XX\r\n\r\n",
        post(b"12345") + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        post(b"12345", more=b"Connection: close\r\n"),
        post(b"12345", more=b"Expect: 100-continue\r\n"),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        b"\r\n" + post(b"12345"),
        post(b"\r\n\r\n1"),
        b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        post(b"x" * 1001),
        b"nonsense\r\n\r\n",
        post(b"1", more=b"Upgrade: websocket\r\nConnection: upgrade\r\n"),
    ],
    ids=["broken", "line-end", "get", "close", "expect", "chunked", "line-start", "ends-in-body",
         "head", "1.0", "large", "nonsense", "upgrade"],
)  # fmt: skip
def test_what_is_read_is_the_same_as_without_a_memory(
    again: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(30):
        chance = random.Random(seed)
        chunks = []
        for message in chance.choices([again, post(b"12345"), post(b"abcde")], k=8):
            cut = chance.choice([0, 0, 0, chance.randrange(len(message))])
            chunks += [message[:cut], message[cut:]]
        if chance.random() < 0.3:  # some come together
            chunks = [b"".join(chunks[:6]), *chunks[6:]]
        remembering, plain = Keeping(), Keeping()
        for chunk in filter(None, chunks):
            remembering.data_received(chunk)
        with monkeypatch.context() as patch:
            patch.setattr(reader, "_MOST_UNLIKE", 0)
            for chunk in filter(None, chunks):
                plain.data_received(chunk)
        assert remembering.seen == plain.seen
        assert remembering.continued == plain.continued

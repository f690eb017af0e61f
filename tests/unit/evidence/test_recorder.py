"""The recorder's client against a server on loopback that answers as it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from fairlead_operator.evidence.recorder import ConflictingError, Recorder, RecorderError


class Server:
    """A server on loopback."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str | None, bytes]] = []
        self.status, self.text = 200, "{}"
        self.location = ""
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization")
        self.seen.append((request.method, request.path_qs, token, await request.read()))
        headers = {"Location": self.location} if self.location else {}
        return web.Response(status=self.status, text=self.text, headers=headers)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Serve on a free port."""
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"http://{host}:{port}"
    yield made
    await runner.cleanup()


async def test_it_asks_what_the_recorder_documents_with_the_token_of_now(
    server: Server, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("one\n")
    async with Recorder(server.url, str(token)) as recorder:
        await recorder.register("shop", "checkout", {"uid": "u"})
        token.write_text("two\n")
        await recorder.end("shop", "checkout", "u")
        await recorder.judged("shop", "checkout", {"uid": "u"})
        assert await recorder.summary("shop", "checkout") == {}
        await recorder.ready()
    path = "/v1/experiments/shop/checkout"
    assert [(method, url) for method, url, _, _ in server.seen] == [
        ("PUT", path),
        ("DELETE", f"{path}?uid=u"),
        ("PUT", f"{path}/judgement"),
        ("GET", f"{path}/summary"),
        ("GET", "/readyz"),
    ]
    assert [token for _, _, token, _ in server.seen] == ["Bearer one"] + 4 * ["Bearer two"]
    assert server.seen[0][3] == b'{"uid":"u"}'


async def test_what_it_refuses_is_told_in_its_words(server: Server) -> None:
    async with Recorder(server.url) as recorder:
        server.status, server.text = 409, '{"error": "salt is other", "problems": []}'
        with pytest.raises(ConflictingError, match="salt is other"):
            await recorder.register("shop", "checkout", {})
        server.status, server.text = 503, '{"error": "the database is away"}'
        with pytest.raises(RecorderError, match="the database is away"):
            await recorder.summary("shop", "checkout")
        server.status, server.text = 302, ""
        server.location = f"{server.url}/elsewhere"
        with pytest.raises(RecorderError, match="302"):
            await recorder.summary("shop", "checkout")
    assert all(path != "/elsewhere" for _, path, _, _ in server.seen)


async def test_nobody_there_no_url_and_no_token_are_told_apart(tmp_path: Path) -> None:
    async with Recorder("") as recorder:
        with pytest.raises(RecorderError, match=r"recorder\.enabled"):
            await recorder.ready()
    async with Recorder("http://127.0.0.1:1", str(tmp_path / "missing")) as recorder:
        with pytest.raises(RecorderError, match="missing"):
            await recorder.ready()
    async with Recorder("http://127.0.0.1:1") as recorder:
        with pytest.raises(RecorderError, match=r"127\.0\.0\.1"):
            await recorder.ready()

"""An HTTP server that misbehaves as tests want it, on 127.0.0.1."""

from __future__ import annotations

import http.server
import re
import socket
import threading
from collections.abc import Callable
from typing import Any

Answer = Callable[["Request"], None]


class Request(http.server.BaseHTTPRequestHandler):
    """One request, with what an answer needs to be right or wrong in one way."""

    protocol_version = "HTTP/1.1"
    server: WebStore

    def do_GET(self) -> None:
        """Let the path's next answer do it; the last one stays."""
        path = self.path.partition("?")[0]
        self.server.asked.append((path, dict(self.headers)))
        answers = self.server.answers.get(path)
        if answers is None:
            self.send_error(404)
            return
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def do_HEAD(self) -> None:
        """Do the same; only answers without a body are right then."""
        self.do_GET()

    @property
    def start(self) -> int:
        """Where the range begins that is asked for; 0 without one."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(found[1]) if found else 0

    def head(self, status: int, **headers: Any) -> None:
        """Send the head of an answer; names have underscores for dashes."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def hang_up(self) -> None:
        """End the connection."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


class WebStore(http.server.ThreadingHTTPServer):
    """The server, with the answers of each path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.ended = threading.Event()
        """Set when the test ends: a stalled answer waits for it."""
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """A client that goes away is no error here."""

    def close(self) -> None:
        """Stop it, with all of its connections."""
        self.ended.set()
        self.shutdown()
        self.server_close()
        self._thread.join()


def whole(body: bytes, tag: str = '"1"') -> Answer:
    """Answer as a good server does: with ranges, and If-Range."""

    def answer(request: Request) -> None:
        same = request.headers.get("If-Range", tag) == tag
        start = request.start if same else 0
        if start:
            last = len(body) - 1
            request.head(
                206, ETag=tag, Content_Length=len(body) - start,
                Content_Range=f"bytes {start}-{last}/{len(body)}",
            )  # fmt: skip
        else:
            request.head(200, ETag=tag, Content_Length=len(body))
        request.wfile.write(body[start:])

    return answer


def part(body: bytes, until: int, *, tag: str | None = '"1"', stall: bool = False) -> Answer:
    """Promise all from the start that is asked for, stop before `until`: hang up, or be silent."""

    def answer(request: Request) -> None:
        start = request.start
        headers: dict[str, Any] = {"ETag": tag} if tag else {}
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        request.head(206 if start else 200, Content_Length=len(body) - start, **headers)
        request.wfile.write(body[start:until])
        request.wfile.flush()
        if stall:
            request.server.ended.wait(60)
        request.hang_up()

    return answer


def status(code: int, **headers: Any) -> Answer:
    """Answer with a status and nothing else."""
    return lambda request: request.head(code, Content_Length=0, **headers)

"""Many clients of one server that tell answers from refusals: a process of its own.

python -m bench.runtime.crowd PORT PATH BODY-FILE CONNECTIONS SECONDS HEADERS-AS-JSON
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import re
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import uvloop

from bench.runtime.refused import Outcome

PAUSE_S = 0.1
"""What who is refused waits, half of it less or more, before it asks again."""
_WARM_S = 0.5
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Seen:
    """Latencies by status of the requests that began in the time that counts."""

    def __init__(self, begin: float, end: float) -> None:
        self.begin, self.end = begin, end
        self.times: dict[int, list[float]] = defaultdict(list)
        self.broken = 0

    def note(self, status: int, asked: float, now: float) -> None:
        """Note an answer."""
        if self.begin <= asked < self.end:
            self.times[status].append(now - asked)


class Client(asyncio.Protocol):
    """One connection, with one request under way, until the end."""

    def __init__(self, request: bytes, seen: Seen) -> None:
        self._request, self._seen = request, seen
        self._data, self._asked = b"", 0.0
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask, not all at once."""
        self._transport = cast("asyncio.Transport", transport)
        self._loop.call_later(random.uniform(0, PAUSE_S), self._ask)

    def _ask(self) -> None:
        if time.perf_counter() < self._seen.end and not self._transport.is_closing():
            self._asked = time.perf_counter()
            self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take an answer, and ask again: at once, or where it was refused a little later."""
        self._data += data
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end:
            return
        length = _LENGTH.search(head)
        if length is None:
            raise RuntimeError(f"an answer without a length: {head!r}")
        if len(rest) < int(length[1]):
            return
        self._data, status = b"", int(head[9:12])
        self._seen.note(status, self._asked, time.perf_counter())
        if status == 200:
            self._ask()
        else:
            self._loop.call_later(random.uniform(0.5, 1.5) * PAUSE_S, self._ask)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - it counts either way
        """Count it where it was not we who ended it."""
        self._seen.broken += time.perf_counter() < self._seen.end


async def crowd(port: int, request: bytes, connections: int, seconds: float) -> Seen:
    """Let so many clients ask for a while."""
    loop = asyncio.get_running_loop()
    begin = time.perf_counter() + _WARM_S
    seen = Seen(begin, begin + seconds)
    for _ in range(connections):
        await loop.create_connection(lambda: Client(request, seen), "127.0.0.1", port)
    await asyncio.sleep(seen.end + 1 - time.perf_counter())  # the last answers are under way
    return seen


def outcome(times: Mapping[int, list[float]], seconds: float) -> Outcome:
    """Return what the answers and the refusals were like.

    Raises:
        RuntimeError: There were others than answers and refusals.
    """
    if set(times) - {200, 429}:
        raise RuntimeError(
            f"other answers: { {each: len(found) for each, found in times.items()} }"
        )
    answers, refusals = times.get(200, []), times.get(429, [])
    return Outcome(
        answers_per_s=len(answers) / seconds,
        refused=len(refusals) / max(1, len(answers) + len(refusals)),
        answer_p50_ms=_quantile(answers, 0.5),
        answer_p99_ms=_quantile(answers, 0.99),
        refusal_p50_ms=_quantile(refusals, 0.5),
        refusal_p99_ms=_quantile(refusals, 0.99),
    )


def _quantile(times: list[float], share: float) -> float:
    return float(np.quantile(times, share)) * 1e3 if times else float("nan")


def asking(path: str, content: bytes, headers: Mapping[str, str]) -> bytes:
    """Return a request as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def main() -> None:
    """Load a server and print what was seen as JSON."""
    port, path, content, connections, seconds, headers = sys.argv[1:]
    request = asking(path, Path(content).read_bytes(), json.loads(headers))
    seen = uvloop.run(crowd(int(port), request, int(connections), float(seconds)))
    if seen.broken:
        raise SystemExit(f"{seen.broken} connections broke")
    print(json.dumps(dataclasses.asdict(outcome(seen.times, float(seconds)))))


if __name__ == "__main__":
    main()

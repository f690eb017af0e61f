"""Reading pages of pods over HTTP, many side by side; a pod that cannot be read is an outcome."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from fairlead_operator.evidence.session import Asking

_MOST_AT_ONCE = 32
_CHUNK = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A page of a pod.

    Attributes:
        pod: The pod's name.
        ip: Its address; empty where it has none yet.
        port: The port.
        path: Path and query, percent-encoded.
    """

    pod: str
    ip: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The page's URL."""
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"http://{host}:{self.port}{self.path}"


@dataclass(frozen=True, slots=True)
class Page:
    """What a pod answered.

    Attributes:
        body: The body of its answer.
        at: When it was asked: what it counts may be newer, never older.
    """

    body: bytes
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Unread:
    """A pod that could not be read.

    Attributes:
        why: In words.
    """

    why: str


class Scraper(Asking):
    """Reads pages; one for the whole operator, because connections are kept."""

    def __init__(self, *, timeout_s: float = 3.0, max_bytes: int = 16 * 1024 * 1024) -> None:
        """Set the limits of one page.

        Args:
            timeout_s: From the question to the last byte, in seconds.
            max_bytes: A longer answer is not read on.
        """
        self._timeout_s, self._max_bytes = timeout_s, max_bytes
        self._slots = asyncio.Semaphore(_MOST_AT_ONCE)

    def _opened(self) -> aiohttp.ClientSession:
        # Pods come and go: names are not asked for, cookies not kept, redirects not followed.
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def read(self, targets: Sequence[Target]) -> tuple[Page | Unread, ...]:
        """Read pages side by side and return what came of each, in the same order."""
        return tuple(await asyncio.gather(*map(self._read, targets)))

    async def _read(self, target: Target) -> Page | Unread:
        if not target.ip:
            return Unread("it has no address yet")
        async with self._slots:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._ask(target)
            except TimeoutError:
                return Unread(f"{target.url} did not answer within {self._timeout_s:g} s")
            except (aiohttp.ClientError, OSError, ValueError) as error:
                return Unread(f"{target.url}: {str(error) or type(error).__name__}")

    async def _ask(self, target: Target) -> Page | Unread:
        session = self._session
        if session is None:
            raise RuntimeError("a scraper is used with `async with`")
        at = dt.datetime.now(dt.UTC)
        async with session.get(target.url, allow_redirects=False) as answer:
            if answer.status != 200:  # noqa: PLR2004 - OK
                return Unread(f"{target.url} answered {answer.status}")
            body = await body_of(answer, self._max_bytes)
            if body is None:
                return Unread(f"{target.url} has more than {self._max_bytes} bytes")
            return Page(body, at)


async def body_of(answer: aiohttp.ClientResponse, most_bytes: int) -> bytes | None:
    """Return an answer's body; None, and nothing more is read, where it is too long."""
    body = bytearray()
    async for chunk in answer.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > most_bytes:
            return None
    return bytes(body)

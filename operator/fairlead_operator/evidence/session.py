"""Whoever asks others over HTTP: its connections last as long as it is used."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import aiohttp


class Asking:
    """Has a session of its own while it is used as a context manager."""

    _session: aiohttp.ClientSession | None = None

    def _opened(self) -> aiohttp.ClientSession:
        """Return a new session; cookies are nobody's business."""
        return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())

    async def __aenter__(self) -> Self:
        self._session = self._opened()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

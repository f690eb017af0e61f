"""A server's certificate from a folder that changes: a Secret's volume, renewed by its kubelet."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

log = logging.getLogger(__name__)
CERTIFICATE, KEY = "tls.crt", "tls.key"
"""The keys of a Secret of the type `kubernetes.io/tls`."""
_LOOK_EVERY_S = 10.0
_State = tuple[str, int, int]


class Certificate:
    """A certificate and its key; connections that begin after a change are served with the new one.

    Attributes:
        context: What servers are given; it stays the same object.
    """

    def __init__(self, folder: Path) -> None:
        """Read both.

        Args:
            folder: Where `tls.crt` and `tls.key` are.

        Raises:
            ValueError: They are not there, or do not belong together.
        """
        self._folder = folder
        self.context = _empty()
        try:
            self._state = self._look()
            self._load()
        except OSError as error:
            raise ValueError(f"no certificate can be read from {folder}: {error}") from error

    def refresh(self) -> bool:
        """Take what is there now; return whether it was new.

        What cannot be read, or does not belong together, changes nothing: the old one goes on.
        """
        try:
            state = self._look()
            if state == self._state:
                return False
            self._load()
        except OSError as error:
            log.warning("the certificate in %s stays as it was: %s", self._folder, error)
            return False
        self._state = state
        log.info("the certificate in %s was renewed", self._folder)
        return True

    @asynccontextmanager
    async def followed(self, every_s: float = _LOOK_EVERY_S) -> AsyncIterator[ssl.SSLContext]:
        """Give the context, and look for a renewed certificate now and then."""

        async def follow() -> None:
            while True:
                await asyncio.sleep(every_s)
                await asyncio.to_thread(self.refresh)

        task = asyncio.create_task(follow(), name="certificate")
        try:
            yield self.context
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _look(self) -> _State:
        """Return what tells one from the next: a kubelet moves a link to a new folder."""
        path = (self._folder / CERTIFICATE).resolve()
        found = path.stat()
        return str(path), found.st_mtime_ns, found.st_size

    def _load(self) -> None:
        # From the folder behind the link: so both are of one time, even if it moves meanwhile.
        certificate = (self._folder / CERTIFICATE).resolve()
        key = certificate.with_name(KEY)
        # On a context that nobody uses: the real one would be left with half of it.
        _empty().load_cert_chain(certificate, key)
        self.context.load_cert_chain(certificate, key)


@asynccontextmanager
async def served(folder: str) -> AsyncIterator[ssl.SSLContext | None]:
    """Give what a server is to use: a followed certificate, or nothing where no folder is named.

    Raises:
        ValueError: There is no certificate in it.
    """
    if not folder:
        yield None
        return
    async with Certificate(Path(folder)).followed() as context:
        yield context


def _empty() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context

"""What both HTTP servers have in common with each other and with what runs beside them."""

from __future__ import annotations

from typing import Protocol

JITTER = 0.1
"""Share by which connections end before or after their age, so that not all end at once."""


class ListenError(Exception):
    """The port cannot be opened; the message says which and why."""


class Server(Protocol):
    """An HTTP server."""

    async def serve(self) -> None:
        """Serve until a signal or `stop`."""

    def stop(self) -> None:
        """Stop without draining."""


class Companion(Protocol):
    """A server of another protocol, which begins and ends with the HTTP server."""

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: The port cannot be opened.
        """

    async def stop(self, grace_s: float) -> None:
        """Accept no more, answer what is there for at most so long, and end."""

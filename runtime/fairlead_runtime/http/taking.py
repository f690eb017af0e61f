"""How patient a server is with a client that takes its answers slowly. No clock is read here.

A client may take nothing for `Limits.write_s`. Each byte that it takes gives some of that back, by
`Limits.write_rate`, but never more than there was: so one that takes that rate is never cut off,
and one that takes a little now and then is soon.
"""

from __future__ import annotations

import fcntl
import struct
import termios
from typing import Protocol

from fairlead_runtime.http.limits import Limits

_NOTHING = bytes(4)


class Socket(Protocol):
    """What an event loop shows of a socket."""

    def fileno(self) -> int:
        """Return its descriptor."""


class Outlet(Protocol):
    """What is asked of a transport."""

    def get_write_buffer_size(self) -> int:
        """Return how many bytes the kernel has not yet taken."""

    def get_extra_info(self, name: str) -> Socket | None:
        """Return its `socket`."""


class Taking:
    """One client that is to take what it is told.

    Attributes:
        written: Bytes that it was told in all, where its owner counts them. Where not, only what
            grows less between two looks is known to be taken.
    """

    __slots__ = ("_at", "_left_s", "_limits", "_taken", "written")

    def __init__(self, limits: Limits) -> None:
        self.written = 0
        self._limits, self._left_s, self._at = limits, limits.write_s, 0.0
        self._taken: int | None = None  # at the last look, unless nothing was unsent

    def too_slow(self, unsent: int, now: float, *, among: int = 1) -> bool:
        """Return whether the client has used up all patience; to be asked at each look.

        Args:
            unsent: Bytes that it has not taken.
            now: The time in seconds.
            among: How many share what the client takes: each needs its part of the rate only.
        """
        if not unsent:
            self._taken = None
            return False
        limits, taken = self._limits, self.written - unsent
        if self._taken is None:
            self._left_s = limits.write_s
        else:
            back = max(0, taken - self._taken) * among / limits.write_rate
            self._left_s = min(limits.write_s, self._left_s - (now - self._at) + back)
        self._taken, self._at = taken, now
        return self._left_s < 0

    def hold(self, now: float) -> None:
        """Let time pass that is not this client's."""
        self._at = now


def unsent(transport: Outlet) -> int:
    """Return how many bytes a client has not acknowledged, or 0 when all are the kernel's.

    The kernel takes megabytes at once and then nothing for long, whatever the client does.
    """
    buffered = transport.get_write_buffer_size()
    if not buffered:
        return 0
    found = transport.get_extra_info("socket")
    if found is None:
        return buffered
    try:
        held: int = struct.unpack("i", fcntl.ioctl(found.fileno(), termios.TIOCOUTQ, _NOTHING))[0]
    except OSError:  # not everywhere is this known of a socket
        return buffered
    return buffered + held

"""How requests are queued and batched: the user's wishes, and what follows from the model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from fairlead_runtime.batching.probe import INLINE_LIMIT_S, Profile


class Mode(StrEnum):
    """Where batches run."""

    AUTO = "auto"
    INLINE = "inline"
    WORKER = "worker"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The user's wishes.

    Attributes:
        mode: `AUTO` measures. `INLINE` and `WORKER` batch there, whatever was measured. `OFF`
            runs each request alone.
        max_rows: Rows of the largest batch; a request of more runs alone.
        max_delay_s: How long the first request may wait for others. 0 waits for nothing: a batch
            is what has come in this turn of the event loop, or while the last batch ran.
        max_waiting: Requests that may wait; further ones are refused.
        max_waiting_bytes: Bytes of the inputs of those; beyond that they are refused as well, but
            for one that finds nothing waiting.
        max_wait_s: Where a request would wait longer than this for those before it, it is refused,
            unless nothing waits. Infinity for no such limit.
        workers: Batches that run at the same time where they run in threads.
    """

    mode: Mode = Mode.AUTO
    max_rows: int = 64
    max_delay_s: float = 0.0
    max_waiting: int = 1024
    max_waiting_bytes: int = 256 << 20
    max_wait_s: float = math.inf
    workers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is done.

    Attributes:
        merge: Requests are batched.
        inline: Batches that are not too large run on the event loop.
        why: For people.
    """

    merge: bool
    inline: bool
    why: str


def choose(settings: Settings, profile: Profile, *, room: str | None) -> Choice:
    """Decide from the wishes and from what was found out.

    Args:
        settings: The wishes.
        profile: What was measured.
        room: Why the signature has no room for rows of several requests, see `closed_batch`.
    """
    merge = profile.merges and settings.max_rows > 1
    fast = profile.batch_s <= INLINE_LIMIT_S
    why = profile.reason or f"{profile.batch_rows} rows take {profile.batch_s * 1e3:.3g} ms"
    match settings.mode:
        case Mode.OFF:
            return Choice(merge=False, inline=profile.single_s <= INLINE_LIMIT_S, why="asked for")
        case Mode.INLINE | Mode.WORKER:
            # The user knows the model better than two trial rows do, but not its axes.
            merge = room is None and settings.max_rows > 1
            return Choice(merge=merge, inline=settings.mode is Mode.INLINE, why=room or "asked for")
        case Mode.AUTO:
            return Choice(merge=merge, inline=fast, why=why)

"""What the queue tells of a batch to who traces requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A request of a batch that is traced.

    Attributes:
        span: What its `InferRequest.trace` holds: its tracer's own.
        arrived: When it came, by the monotonic clock.
        failed: Whether the model failed on it.
    """

    span: Any
    arrived: float
    failed: bool


class Tracer(Protocol):
    """Who makes spans of batches."""

    def ran(self, batch: Sequence[Traced], *, rows: int, seconds: float) -> None:
        """Note a batch that has just ended; see `dataplane.tracing`."""

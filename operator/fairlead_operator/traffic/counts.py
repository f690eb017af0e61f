"""What an arm did in a window, as counts that add up: over pods, over restarts, over windows.

Whoever judges gets these and never a rate: a rate cannot be merged, and its sample size is lost.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from fairlead_operator.stats.histogram import Histogram


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the pods of one arm did with the requests that they got.

    Attributes:
        requests: Finished requests that this arm's own pods answered, or failed to answer. What
            the control answered for an arm without pods is not among them.
        errors: Those of them that failed: HTTP 5xx, reset, timeout, and the gRPC statuses UNKNOWN,
            DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE and DATA_LOSS. A request
            that was tried again counts as failed.
        client_errors: HTTP 4xx, and gRPC statuses that blame the caller.
        latency: Milliseconds of the requests, in buckets; None where nothing was measured.
        predictions: Predictions whose numbers were looked at.
        non_finite: Those of them that hold NaN or an infinity.
        restarts: Containers that ended and were started again.
        oom_kills: Those of them that were killed because they needed more memory than allowed.
    """

    requests: int = 0
    errors: int = 0
    client_errors: int = 0
    latency: Histogram | None = None
    predictions: int = 0
    non_finite: int = 0
    restarts: int = 0
    oom_kills: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Return the sum.

        Raises:
            ValueError: The histograms have different edges.
        """
        latency = self.latency if other.latency is None else other.latency
        if self.latency is not None and other.latency is not None:
            latency = self.latency + other.latency
        return Counts(
            requests=self.requests + other.requests,
            errors=self.errors + other.errors,
            client_errors=self.client_errors + other.client_errors,
            latency=latency,
            predictions=self.predictions + other.predictions,
            non_finite=self.non_finite + other.non_finite,
            restarts=self.restarts + other.restarts,
            oom_kills=self.oom_kills + other.oom_kills,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What all arms did between two instants, under one and the same split.

    Attributes:
        begin: When counting began.
        end: When the last counts were read; of several pods the instant of the oldest reading.
        arms: Counts by the arm's key.
        unread: Pods that could not be read at `end`: what they counted since is missing.
    """

    begin: dt.datetime
    end: dt.datetime
    arms: Mapping[str, Counts] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

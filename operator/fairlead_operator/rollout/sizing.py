"""How many replicas the objectives need, from what validation measured. The arithmetic is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SERVER_MICROS = 50
"""CPU of the server for a small request beside the model's own: see docs/benchmarks.md.

Validation runs the model without a server. A model of some microseconds would seem to serve a
hundred thousand requests a second, which no replica does.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a validation measured; 0 is not measured.

    Attributes:
        throughput_rps: Requests a second of the model alone, on what one replica has.
        latency_p99_micros: Median over the rounds.
        latency_best_micros: The best round.
    """

    throughput_rps: int = 0
    latency_p99_micros: int = 0
    latency_best_micros: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """The least replicas, and how they came about.

    Attributes:
        replicas: What the autoscaler's minimum is to be.
        arithmetic: In words; empty where the objectives say nothing.
        unreachable: Why the objective cannot be reached; empty where it can.
    """

    replicas: int
    arithmetic: str = ""
    unreachable: str = ""


def size(
    measured: Measured | None, scaling: Mapping[str, Any], objectives: Mapping[str, Any]
) -> Sizing:
    """Return the least replicas for `objectives.requestsPerSecond`.

    Replicas are filled to the share that the autoscaler aims at, so that it does not add more at
    the very load that they were sized for.

    Args:
        measured: What the validation of the revision measured, if it did.
        scaling: `spec.scaling` with defaults.
        objectives: `spec.objectives`.
    """
    least = int(scaling.get("minReplicas") or 1)
    most = max(least, int(scaling.get("maxReplicas") or 1))
    wanted = int(objectives.get("requestsPerSecond") or 0)
    if not wanted or measured is None or not measured.throughput_rps:
        return Sizing(replicas=least)
    fill = min(100, int(scaling.get("targetCPUPercent") or 70))
    served = max(1, round(1e6 / (1e6 / measured.throughput_rps + SERVER_MICROS)))
    needed = -(-wanted * 100 // (served * fill))
    sum_ = (
        f"{wanted} requests/s / ({served} requests/s of a replica x {fill}%) "
        f"= {needed} {'replica' if needed == 1 else 'replicas'}"
    )
    if needed > most:
        text = f"{sum_}, and maxReplicas is {most}: raise it, or give each replica more CPU"
        return Sizing(replicas=most, arithmetic=sum_, unreachable=text)
    return Sizing(replicas=max(least, needed), arithmetic=sum_)

"""How many replicas the objectives need, from what validation measured. The arithmetic is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a validation measured; 0 is not measured.

    Attributes:
        throughput_rps: Requests a second of one replica at its full speed.
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
    needed = -(-wanted * 100 // (measured.throughput_rps * fill))
    sum_ = (
        f"{wanted} requests/s / ({measured.throughput_rps} requests/s of a replica x {fill}%) "
        f"= {needed} {'replica' if needed == 1 else 'replicas'}"
    )
    if needed > most:
        text = f"{sum_}, and maxReplicas is {most}: raise it, or give each replica more CPU"
        return Sizing(replicas=most, arithmetic=sum_, unreachable=text)
    return Sizing(replicas=max(least, needed), arithmetic=sum_)

"""Weights in whole numbers: from what users write to slots, replicas and shares."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead_operator.traffic.errors import TrafficError
from fairlead_runtime.contract.assignment import SLOTS

BASES = (100, 1_000, 10_000)
"""What integer weights may sum to: percent, per mille, basis points."""
COMPARED_PER_SECOND = 20
"""Most mirrored requests a second whose outputs are kept to be compared."""


def slots(weights: Mapping[str, int]) -> dict[str, int]:
    """Return the slots of each arm, exactly, from weights that sum to 100, 1000 or 10000.

    Raises:
        TrafficError: They sum to something else, or one is negative.
    """
    total = sum(weights.values())
    if total not in BASES or any(weight < 0 for weight in weights.values()):
        raise TrafficError(f"weights must be at least 0 and sum to 100, 1000 or 10000: not {total}")
    return {arm: weight * (SLOTS // total) for arm, weight in weights.items()}


def replicas_needed(*, least: int, whole: int, slots: int, mirrored: int = 0) -> int:
    """Return the ready replicas that an arm needs before it gets a share of the traffic.

    Args:
        least: The user's own minimum.
        whole: Replicas for all of the traffic: as many as the stable had when the split began, or
            as the objectives need of this arm where that is more.
        slots: Basis points of the traffic.
        mirrored: Basis points of copies, which cost as much as requests.
    """
    share = min(SLOTS, slots + mirrored)
    return max(least, -(-whole * share // SLOTS))

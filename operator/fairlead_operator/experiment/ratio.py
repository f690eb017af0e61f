"""Whether users arrive as the weights say; where not, nothing that was counted can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead_operator.experiment.facts import Aggregates, ArmCounts
from fairlead_operator.stats.ratio import Epoch, RatioCheck, check_ratio

ALPHA = 0.01
"""How often an Experiment that is well may be called invalid."""


def check(aggregates: Aggregates, arms: Sequence[str]) -> RatioCheck | None:
    """Return the check of all epochs, each against the slots that have stayed; None without any.

    Of a 90/10 epoch that became 50/50 the slots that stayed are 50 and 10: the units whose slot
    moved have left, and the rest must be in that proportion.
    """
    found = []
    for number in sorted(aggregates.epochs):
        counts, staying = aggregates.epochs[number], aggregates.staying.get(number, {})
        weights = tuple(float(staying.get(arm, 0)) for arm in arms)
        if sum(weights):
            units = tuple(counts.get(arm, ArmCounts()).units for arm in arms)
            found.append(Epoch(counts=units, weights=weights))
    return check_ratio(found, alpha=ALPHA) if found else None

"""From two revisions' counts to what the gates on drift and prediction shift judge."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fairlead_operator.rollout.quality import Quality, Score

if TYPE_CHECKING:
    from fairlead_operator.stats.drift import Judgement
    from fairlead_runtime.contract.drift_report import Report


def compared(
    quality: Quality,
    stable: Sequence[Report],
    candidate: Sequence[Report],
    *,
    alpha: float = 0.01,
    minimum_rows: int = 200,
) -> Quality:
    """Return the same with inputs and predictions compared, as far as the counts allow.

    Each score is that of the worst feature: the greatest PSI among those that are more than chance
    (e-BH at alpha over all features, valid at every look), else the greatest of all. What is
    material is the gate's own limit. None where no feature has the same bins on both sides, or
    both have no common minute: the gate then has no evidence.

    Args:
        quality: What else is known.
        stable: Reports of the stable's replicas, all that they still hold.
        candidate: Reports of the candidate's.
        alpha: The level of all features over the whole rollout.
        minimum_rows: Rows that both sides need.

    Raises:
        MergeError: The replicas of one side have different profiles.
    """
    from fairlead_operator.stats.drift import compare
    from fairlead_operator.stats.drift_pairs import pair

    paired = pair(stable, candidate)
    if not paired.samples:
        return quality
    found = compare(paired.samples, alpha=alpha, material=0.0, minimum_rows=minimum_rows)
    end = dt.datetime.fromtimestamp(paired.end_s, dt.UTC)
    inputs = [each for each in found if each.name in paired.inputs]
    predictions = [each for each in found if each.name not in paired.inputs]
    return replace(quality, inputs=_worst(inputs, end), predictions=_worst(predictions, end))


def _worst(found: Sequence[Judgement], end: dt.datetime) -> Score | None:
    if not found:
        return None
    # With nothing material, "drifting" is: more than chance, in significance and in size.
    worst = max(found, key=lambda each: (each.drifting, each.psi))
    return Score(
        milli=round(1000 * worst.psi),
        samples=worst.rows,
        significant=worst.drifting,
        end=end,
        feature=worst.name,
    )

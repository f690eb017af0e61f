"""What to do after the end: in words, and where an arm has won as an exact patch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fairlead_operator.api.reasons import Reason
from fairlead_operator.experiment.decide import Decision
from fairlead_operator.experiment.facts import Member, Snapshot


def recommendation(
    snapshot: Snapshot, decision: Decision, before: Mapping[str, Any] | None
) -> dict[str, str] | None:
    """Return the recommendation; None while there is nothing to recommend.

    A winner's patch is made when it wins, of the revision that was measured, and stays.

    Args:
        snapshot: What the decision was made on.
        decision: The decision.
        before: What status has.
    """
    winner = decision.memory.winner
    if winner is not None:
        if before and before.get("text"):
            return dict(before)
        return _winner(snapshot, winner.variant)
    text = _TEXTS.get(decision.reason)
    return {"text": text} if text and decision.memory.ended is not None else None


_TEXTS = {
    Reason.INCONCLUSIVE: (
        "Keep the control, or run longer: make another Experiment with the same "
        "status.assignment.salt and a longer maxDuration. Delete this one, or stop it: users stay "
        "split until then."
    ),
    Reason.SAMPLE_RATIO_MISMATCH: (
        "Use none of the numbers. Find out which users' exposures are missing, then make another "
        "Experiment. Users stay split until this one is stopped or deleted."
    ),
    Reason.GUARDRAIL_BREACHED: (
        "Everybody has the control. Mend the arm, then make another Experiment."
    ),
    Reason.ARM_UNAVAILABLE: (
        "Everybody has the control. See why the arm's pods are not ready (its ModelDeployment's "
        "conditions), then make another Experiment."
    ),
}


def _winner(snapshot: Snapshot, variant: str) -> dict[str, str]:
    spec = snapshot.spec
    target = spec.target
    if variant == spec.variants[0].name:
        return {"text": f"Keep ModelDeployment {target} as it is, and delete this Experiment."}
    chosen = next(v.model_deployment for v in spec.variants if v.name == variant)
    member, old = snapshot.members.get(chosen), snapshot.members.get(target)
    if member is None or not member.model:
        return {"text": f"Give ModelDeployment {target} the model of {chosen}."}
    text = (
        f"Give ModelDeployment {target} the model of {chosen} (the patch), where its manifest is "
        "kept, and delete this Experiment: while it exists the new revision waits."
    )
    return {"text": text, "patch": _patch(member, old)}


def _patch(winner: Member, target: Member | None) -> str:
    """Return the JSON patch: replacing a whole object leaves nothing of the old one behind."""
    steps: list[dict[str, Any]] = [
        {"op": "replace", "path": "/spec/model", "value": dict(winner.model)}
    ]
    if target is not None and dict(target.runtime) != dict(winner.runtime):
        # What was measured is the model on its runtime. "add" replaces what is there.
        steps.append({"op": "add", "path": "/spec/runtime", "value": dict(winner.runtime)})
    return json.dumps(steps, sort_keys=True)

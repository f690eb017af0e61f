"""What status says of a rollout, and which of it is worth a write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead_operator.api.reasons import Reason
from fairlead_operator.api.times import write_instant
from fairlead_operator.rollout import capacity, memoryjson
from fairlead_operator.rollout.machine import SPLIT
from fairlead_operator.rollout.memory import Memory, Phase
from fairlead_operator.rollout.revision import Revision, State
from fairlead_operator.rollout.snapshot import Finding, Snapshot
from fairlead_operator.rollout.verdict import Check
from fairlead_operator.rollout.view import RolloutMove

READINGS = "readings"
"""Field of the rollout: what its evidence was counted from, for an operator that takes over."""
_MEASURED = ("ledger", "message", READINGS)
_DECIDED_OF_CHECK = ("gate", "verdict", "limit")


def fields(
    before: Mapping[str, Any], step: RolloutMove | None, readings: str = ""
) -> dict[str, Any]:
    """Return the fields of status that are about the rollout.

    Args:
        before: The status as it was; it stays where nobody asked the machine.
        step: What the machine said.
        readings: What its evidence was counted from.
    """
    if step is None:
        return {name: before[name] for name in ("rollout", "step", "lastAction") if name in before}
    found: dict[str, Any] = {}
    document = memoryjson.to_json(step.memory)
    if _worth_remembering(step.memory):
        if step.checks:
            document["checks"] = [_check(check) for check in step.checks]
        if step.verdict is not None:
            document["verdict"] = step.verdict.value
        if step.message:
            document["message"] = step.message
        # Beside the counts that were made from it, or not at all: the two go together.
        if readings and step.memory.ledger is not None:
            document[READINGS] = readings
        found["rollout"] = document
    if step.step:
        found["step"] = step.step
    action = document.get("lastAction") or before.get("lastAction")
    if action:
        found["lastAction"] = action
    return found


def decided(rollout: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rollout in status without what was only measured."""
    rest = {key: value for key, value in rollout.items() if key not in _MEASURED}
    if "checks" in rest:
        rest["checks"] = [
            {key: check.get(key) for key in _DECIDED_OF_CHECK} for check in rest["checks"]
        ]
    return rest


def finding(
    snapshot: Snapshot, step: RolloutMove | None, wanted: Revision, held: Finding | None
) -> Finding | None:
    """Return what the rollout says of Ready; None where pods and address speak for themselves.

    Args:
        snapshot: What exists.
        step: What the machine said.
        wanted: The revision that the spec asks for.
        held: Why the address is not yet as is wanted.
    """
    if wanted.state is State.ACTIVE:
        unreachable = capacity.sized(snapshot, wanted).unreachable
        if not unreachable or snapshot.replicas(wanted)[1] == 0:
            return None
        reason = Reason.OBJECTIVES_UNREACHABLE.value
        return Finding(reason=reason, message=unreachable, stalled=True)
    if step is None or step.reason is None:
        return None
    phase = step.memory.phase
    if phase in SPLIT and step.memory.live_at is None and held is not None and not step.stalled:
        return held  # what the address waits for says more
    return Finding(reason=step.reason.value, message=step.message, stalled=step.stalled)


def sizing(snapshot: Snapshot, revision: Revision) -> dict[str, str]:
    """Return the arithmetic of a revision's replicas, where its objectives ask for any."""
    found = capacity.sized(snapshot, revision).arithmetic
    return {"sizing": found} if found else {}


def _worth_remembering(memory: Memory) -> bool:
    return memory.phase is not Phase.IDLE or bool(memory.history or memory.acted or memory.job)


def _check(check: Check) -> dict[str, Any]:
    entry: dict[str, Any] = {"gate": check.gate.value, "samples": check.samples}
    if check.verdict is not None:
        entry["verdict"] = check.verdict.value
    for name, number in (("value", check.value), ("limit", check.limit)):
        if number is not None:
            entry[name] = f"{number:.4g}"  # as text: the API has no floats
    if check.unit:
        entry["unit"] = check.unit
    if check.end is not None:
        entry["end"] = write_instant(check.end)
    return entry | {"source": check.source, "message": check.message}

"""What status says of a model's performance: the condition `Degraded`, numbers, and Events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairlead_operator.api.conditions import Note
from fairlead_operator.api.reasons import ConditionType, Reason
from fairlead_operator.api.times import write_instant

if TYPE_CHECKING:  # it brings numpy and scipy
    from fairlead_operator.stats.performance import Finding

_FEWEST = 100
"""Fewer outcomes than this are no evidence that a model is well; they can be that it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceView:
    """What is known of a revision's performance.

    Attributes:
        revision: The revision's short hash.
        finding: What its outcomes say; None where they could not be read yet.
        unavailable: Why they cannot be read; empty where they can.
        recorded: Whether the revision's predictions are recorded at all.
    """

    revision: str
    finding: Finding | None = None
    unavailable: str = ""
    recorded: bool = True


def condition(view: PerformanceView) -> dict[str, Any]:
    """Return the condition `Degraded`."""
    found = view.finding
    if not view.recorded:
        text = (
            "this revision records no predictions: spec.runtime.recordPredictionsPercent makes one "
            "that does"
        )
        return _condition("Unknown", Reason.PREDICTIONS_NOT_RECORDED, text)
    if found is None:
        text = view.unavailable or "no outcomes have been read yet"
        reason = Reason.RECORDER_UNAVAILABLE if view.unavailable else Reason.TOO_FEW_OUTCOMES
        return _condition("Unknown", reason, text)
    if found.reference is None or found.allowed is None:
        text = f"{found.count} outcomes have met their prediction, too few to measure others by"
        return _condition("Unknown", Reason.TOO_FEW_OUTCOMES, text)
    if found.count < _FEWEST and found.since_s is None:
        text = f"{found.count} outcomes have met their prediction, too few to say anything"
        return _condition("Unknown", Reason.TOO_FEW_OUTCOMES, text)
    share = _percent(found.recent.successes, found.recent.count)
    text = (
        f"{share} of the last {found.recent.count} outcomes were predicted wrongly, "
        f"{100 * found.allowed:.1f} % are allowed "
        f"({_percent(found.reference.successes, found.reference.count)} of "
        f"{found.reference.count} in the reference)"
    )
    if found.since_s is None:
        return _condition("False", Reason.AS_GOOD_AS_BEFORE, text)
    return _condition("True", Reason.ERRORS_INCREASED, f"{text}, since {_instant(found.since_s)}")


def fields(view: PerformanceView) -> dict[str, Any]:
    """Return `status.performance`; it is empty before outcomes were read."""
    found = view.finding
    if found is None:
        return {}
    entry: dict[str, Any] = {
        "revision": view.revision,
        "outcomes": found.count,
        "recentOutcomes": found.recent.count,
    }
    if found.recent.count:
        entry["recentErrorBasisPoints"] = _basis_points(found.recent.successes, found.recent.count)
        if found.recent_distance:
            # As text: the API has no floats.
            mean = found.recent_distance / found.recent.count
            entry["recentMeanAbsoluteError"] = f"{mean:.4g}"
    if found.reference is not None and found.allowed is not None:
        entry["referenceOutcomes"] = found.reference.count
        entry["referenceErrorBasisPoints"] = _basis_points(
            found.reference.successes, found.reference.count
        )
        entry["allowedErrorBasisPoints"] = round(10_000 * found.allowed)
    if found.since_s is not None:
        entry["degradedSince"] = _instant(found.since_s)
    return {"performance": entry}


def notes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Note]:
    """Return the Events that the step from one status to the next deserves."""
    was, is_now = present(before), present(after)
    if is_now.get("status") == "True" and was.get("status") != "True":
        return [Note(reason=is_now["reason"], message=is_now["message"], warning=True)]
    if was.get("status") == "True" and is_now.get("status") == "False":
        return [Note(reason=is_now["reason"], message=is_now["message"])]
    return []


def present(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return the condition as it is in a status; empty where it is not."""
    for each in status.get("conditions") or ():
        if each.get("type") == ConditionType.DEGRADED.value:
            return dict(each)
    return {}


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"


def _basis_points(part: int, whole: int) -> int:
    return round(10_000 * part / whole) if whole else 0


def _instant(seconds: float) -> str:
    return write_instant(dt.datetime.fromtimestamp(seconds, dt.UTC))


def _condition(status: str, reason: Reason, message: str) -> dict[str, Any]:
    return {
        "type": ConditionType.DEGRADED.value,
        "status": status,
        "reason": reason.value,
        "message": message,
    }

"""What status says of drift: the condition `Drifted`, the column DRIFT, and Events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairlead_operator.api import duration
from fairlead_operator.api.conditions import Note
from fairlead_operator.api.reasons import ConditionType, Reason
from fairlead_operator.stats.drift_rules import DEFAULT, Rules

if TYPE_CHECKING:  # it brings numpy and scipy, which an operator without drift does without
    from fairlead_operator.stats.drift_watch import Streak, Watch

_NAMED = 3
"""Features that a message names; more are counted."""
_BUT = "; not all replicas count: "
"""What comes between an alarm and why a replica is not part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftView:
    """What is known of a revision's drift.

    Attributes:
        watch: What the looks have found.
        replicas: Pods that were read.
        refused: Why the pods cannot use their profile, or their counts cannot be added; empty
            where they can.
        rules: What the looks go by.
    """

    watch: Watch
    replicas: int = 0
    refused: str = ""
    rules: Rules = DEFAULT


def condition(view: DriftView, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the condition `Drifted`.

    An alarm stays where a replica refuses its profile: the others' counts have raised it, and a
    refusal takes back none of them.

    An operator that starts anew has no memory of looks. What it finds in status stays until it has
    taken as many as it takes to clear an alarm.

    Args:
        view: What is known.
        before: The condition as it is in status; empty where it is not.
    """
    refusal = f"{_BUT}{view.refused}" if view.refused else ""
    if view.watch.drifted:
        return _condition("True", Reason.DRIFTED, _drifted(view) + refusal)
    if before.get("status") == "True" and view.watch.looks < view.rules.clear_after:
        found = str(before.get("message", "")).split(_BUT)[0]
        return _condition("True", Reason.DRIFTED, found + refusal)
    if view.refused:
        return _condition("Unknown", Reason.PROFILE_UNUSABLE, view.refused)
    if not view.watch.looks:
        if before.get("status") == "False":
            return _condition("False", Reason.NO_DRIFT, str(before.get("message", "")))
        least = f"{view.rules.minimum_rows} rows, or {duration.text(view.rules.look_every_s)}"
        text = f"fewer than {least}, have been counted so far"
        return _condition("Unknown", Reason.TOO_FEW_ROWS, text)
    count = len(view.watch.streaks)
    return _condition("False", Reason.NO_DRIFT, f"none of {count} features has drifted")


def word(found: Mapping[str, Any], view: DriftView) -> str:
    """Return what the column DRIFT shows, which changes seldom."""
    if found["status"] != "True":
        return "no" if found["status"] == "False" else "unknown"
    names = sorted(streak.latest.name for streak in view.watch.drifted)
    if not names:
        return "yes"
    more = f" +{len(names) - 1}" if len(names) > 1 else ""
    return names[0][:40] + more


def notes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Note]:
    """Return the Events that the step from one status to the next deserves."""
    was, is_now = present(before), present(after)
    if is_now.get("status") == "True" and was.get("status") != "True":
        return [Note(reason=is_now["reason"], message=is_now["message"], warning=True)]
    if was.get("status") == "True" and is_now.get("status") == "False":
        return [Note(reason=is_now["reason"], message=is_now["message"])]
    refused = Reason.PROFILE_UNUSABLE.value
    if is_now.get("reason") == refused != was.get("reason"):
        return [Note(reason=refused, message=is_now["message"], warning=True)]
    return []


def _drifted(view: DriftView) -> str:
    drifted = view.watch.drifted
    parts = [_feature(streak) for streak in drifted[:_NAMED]]
    if len(drifted) > _NAMED:
        parts.append(f"and {len(drifted) - _NAMED} more")
    rows = max(streak.latest.rows for streak in drifted)
    replicas = "replica" if view.replicas == 1 else "replicas"
    return (
        f"{len(drifted)} of {len(view.watch.streaks)} features: {'; '.join(parts)}; "
        f"{rows} rows of {view.replicas} {replicas} until {_instant(view.watch.looked_s)}"
    )


def _feature(streak: Streak) -> str:
    found = streak.latest
    since = _instant(streak.since_s or 0.0)
    return (
        f"{found.name} (PSI {found.psi:.3f}, limit {found.limit:.3f}, against "
        f"{found.reference_rows} rows, since {since})"
    )


def _instant(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def present(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return the condition as it is in a status; empty where it is not."""
    for each in status.get("conditions") or ():
        if each.get("type") == ConditionType.DRIFTED.value:
            return dict(each)
    return {}


def _condition(status: str, reason: Reason, message: str) -> dict[str, Any]:
    return {
        "type": ConditionType.DRIFTED.value,
        "status": status,
        "reason": reason.value,
        "message": message,
    }

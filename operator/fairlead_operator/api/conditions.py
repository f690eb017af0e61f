"""What status and Events of both kinds say in the same way, and how often measured values may."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlead_operator.api.reasons import ConditionType
from fairlead_operator.api.times import instant, write_instant

MEASURED_EVERY_S = 60.0
"""Measured values alone are written no oftener than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """An Event to post: what changed from one status to the next."""

    reason: str
    message: str
    warning: bool = False


def condition(kind: ConditionType, reason: str, message: str, *, value: bool) -> dict[str, Any]:
    """Return a condition that is true or false; see `dated` for the rest of it."""
    status = "True" if value else "False"
    return {"type": kind.value, "status": status, "reason": reason, "message": message}


def dated(
    conditions: list[dict[str, Any]], resource: Mapping[str, Any], now: dt.datetime
) -> list[dict[str, Any]]:
    """Add of which generation they speak, and when each one's status last flipped.

    Args:
        conditions: They are changed in place.
        resource: The resource with the status that it had before.
        now: The instant of the pass.
    """
    before = {c["type"]: c for c in (resource.get("status") or {}).get("conditions") or ()}
    for each in conditions:
        was = before.get(each["type"], {})
        same = was.get("status") == each["status"] and was.get("lastTransitionTime")
        each["lastTransitionTime"] = same or write_instant(now)
        each["observedGeneration"] = resource["metadata"]["generation"]
    return conditions


def measured_wait_s(before: Mapping[str, Any], now: dt.datetime) -> float:
    """Return for how many seconds measured values have to wait for their next write."""
    written = before.get("measuredAt")
    if not written:
        return 0.0
    return MEASURED_EVERY_S - (now - instant(str(written))).total_seconds()

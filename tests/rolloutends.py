"""What a rollout has come to, by status, without what depends on when it was looked at."""

from __future__ import annotations

from typing import Any


def end_of(live: dict[str, Any]) -> dict[str, Any]:
    """Return status without instants, counts and versions: those are said by their part.

    Args:
        live: A ModelDeployment of which a rollout has ended.
    """
    status = live["status"]
    rollout = status["rollout"]
    ended = rollout["history"][-1]
    return {
        "conditions": {
            each["type"]: (each["status"], each["reason"]) for each in status["conditions"]
        },
        "serves": "candidate" if status["version"] == ended["version"] else "stable",
        "revisions": [each["state"] for each in status["revisions"]],
        "phase": rollout["phase"],
        "outcome": ended["outcome"],
        "step": status.get("step"),
        "weight": status.get("weight"),
        "split": status.get("traffic"),
        "action": (status.get("lastAction") or {}).get("result"),
        "failed": [
            each["gate"] for each in rollout.get("checks") or () if each.get("verdict") == "Fail"
        ],
    }

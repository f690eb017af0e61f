"""Pods, as `kubectl get pods` would sum them up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead_cli import reading
from fairlead_cli.reading import JSON
from fairlead_operator.planning import names

GOOD = frozenset({"Running", "Succeeded"})


def describe(pod: Mapping[str, Any]) -> JSON:
    """Return what a person wants to know of a pod."""
    status = reading.status(pod)
    containers = reading.items(status.get("containerStatuses"))
    labels = reading.mapping(reading.meta(pod).get("labels"))
    wanted = len(reading.items(reading.mapping(pod.get("spec")).get("containers")))
    return {
        "name": reading.name(pod),
        "revision": labels.get(names.REVISION_LABEL),
        "ready": sum(bool(each.get("ready")) for each in containers),
        "containers": max(wanted, len(containers)),
        "state": _state(pod),
        "restarts": sum(int(each.get("restartCount") or 0) for each in containers),
        "node": reading.mapping(pod.get("spec")).get("nodeName"),
        "startedAt": reading.meta(pod).get("creationTimestamp"),
        "message": _message(status),
    }


def _all_containers(status: Mapping[str, Any]) -> list[JSON]:
    return reading.items(status.get("initContainerStatuses")) + reading.items(
        status.get("containerStatuses")
    )


def _state(pod: Mapping[str, Any]) -> str:
    if reading.meta(pod).get("deletionTimestamp"):
        return "Terminating"
    status = reading.status(pod)
    if status.get("reason"):
        return str(status["reason"])
    for each in _all_containers(status):
        state = reading.mapping(each.get("state"))
        waiting = reading.mapping(state.get("waiting"))
        ended = reading.mapping(state.get("terminated"))
        if waiting.get("reason"):
            return str(waiting["reason"])
        if ended and ended.get("exitCode"):
            return str(ended.get("reason") or "Error")
    return str(status.get("phase") or "Unknown")


def _message(status: Mapping[str, Any]) -> str | None:
    """Return why it does not run: what a container waits for, said at its end, or no node."""
    for each in _all_containers(status):
        for state in (reading.mapping(each.get("state")), reading.mapping(each.get("lastState"))):
            for kind in ("waiting", "terminated"):
                found = reading.mapping(state.get(kind))
                if found.get("message") and (kind == "waiting" or found.get("exitCode")):
                    return " ".join(str(found["message"]).split())[:300]
    for condition in reading.items(status.get("conditions")):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return str(condition.get("message") or "") or None
    return None

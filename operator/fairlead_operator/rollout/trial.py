"""What a validation Job has come to, as its pod tells it: 0 passes, 2 blames the model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead_operator.planning.validation import CONTAINER
from fairlead_operator.rollout import diagnosis
from fairlead_operator.rollout.sizing import Measured
from fairlead_operator.rollout.view import Trial, Validation

JSONObject = Mapping[str, Any]
_BLAMES = 2
_LONGEST = 400


def outcome(job: JSONObject | None, pods: Sequence[JSONObject]) -> Validation:
    """Return what a Job has come to.

    Anything but a pod's own word is the surroundings' doing and says nothing about the model.

    Args:
        job: The Job; None where there is none.
        pods: Its pods.
    """
    if job is None or job["metadata"].get("deletionTimestamp"):
        return Validation()
    identity = str(job["metadata"].get("uid", ""))
    ended = _ended(job)
    if ended is None:
        finding = diagnosis.diagnose(None, pods)
        text = finding.message if finding is not None else ""
        return Validation(trial=Trial.RUNNING, job=identity, message=text)
    for pod in pods:
        found = _of_pod(pod, identity)
        if found is not None:
            return found
    text = str(ended.get("message") or ended.get("reason") or "its pod is gone")
    return Validation(trial=Trial.BROKEN, job=identity, message=text)


def _ended(job: JSONObject) -> JSONObject | None:
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            found: JSONObject = condition
            return found
    return None


def _of_pod(pod: JSONObject, identity: str) -> Validation | None:
    status = pod.get("status") or {}
    for each in status.get("initContainerStatuses") or ():
        end = (each.get("state") or {}).get("terminated")
        if end is not None and end.get("exitCode") != 0:
            return _failed(end, identity, f"container {each.get('name')}")
    for each in status.get("containerStatuses") or ():
        end = (each.get("state") or {}).get("terminated")
        if each.get("name") != CONTAINER or end is None:
            continue
        if end.get("exitCode") != 0:
            return _failed(end, identity, f"container {CONTAINER}")
        return _passed(_report(end), identity)
    return None


def _passed(report: JSONObject, identity: str) -> Validation:
    if report.get("verdict") != "Pass":
        text = "it ended well and left no report"
        return Validation(trial=Trial.BROKEN, job=identity, message=text)
    measured = Measured(
        throughput_rps=_number(report, "throughputRps"),
        latency_p99_micros=_number(report, "latencyP99Micros"),
        latency_best_micros=_number(report, "latencyP99BestMicros"),
    )
    text = (
        f"p99 {measured.latency_p99_micros / 1000:.3g} ms and {measured.throughput_rps} requests/s "
        "of one replica"
    )
    digest = str(report.get("digest") or "")
    return Validation(
        trial=Trial.PASSED,
        job=identity,
        measured=measured,
        message=text,
        digest=digest if digest.startswith("sha256:") else None,
    )


def _failed(end: JSONObject, identity: str, where: str) -> Validation:
    report = _report(end)
    code = end.get("exitCode")
    said = str(report.get("message") or "").strip()
    reason = str(report.get("reason") or end.get("reason") or "")
    text = f"{reason}: {said}" if said else f"{where} ended with {code} ({reason})"
    # The exit status alone blames nobody: a shell or a wrapper may end with 2 as well.
    blamed = code == _BLAMES and bool(report.get("reason"))
    return Validation(
        trial=Trial.BLAMED if blamed else Trial.BROKEN, job=identity, message=text[:_LONGEST]
    )


def _report(end: JSONObject) -> JSONObject:
    try:
        found = json.loads(str(end.get("message") or "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _number(report: JSONObject, name: str) -> int:
    found = report.get(name)
    return found if isinstance(found, int) and found > 0 else 0

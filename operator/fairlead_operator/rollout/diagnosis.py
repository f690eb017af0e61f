"""Why pods are not ready: from what Kubernetes says about them to one reason in words that help."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fairlead_operator.api.reasons import Reason
from fairlead_operator.rollout.snapshot import Finding, Resolved

JSONObject = Mapping[str, Any]
_PULL = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_CONFIG = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_LINE_LIMIT = 300
_ERROR = re.compile(r"\b\w*(Error|Exception)\b: |\b(fatal|panic|error):", re.IGNORECASE)
_GENERATED = re.compile(r'\b(pods?) "[^"]*"', re.IGNORECASE)
"""The API server quotes the name of a pod that it refuses: another one with each try."""
_BACK_OFF = re.compile(r'^Back-off pulling image "[^"]*":?\s*(ErrImagePull:\s*)?')
_REPORTED = {reason.value: reason for reason in Reason}
_MODEL_FAULTS = frozenset(
    {
        Reason.DIGEST_MISMATCH,
        Reason.MODEL_CHANGED_IN_PLACE,
        Reason.MODEL_TOO_LARGE,
        Reason.INVALID_MODEL,
        Reason.UNSUPPORTED_SCHEME,
    }
)
_RANK = (
    Reason.DIGEST_MISMATCH,
    Reason.MODEL_CHANGED_IN_PLACE,
    Reason.MODEL_TOO_LARGE,
    Reason.INVALID_MODEL,
    Reason.UNSUPPORTED_SCHEME,
    Reason.SOURCE_NOT_FOUND,
    Reason.DOWNLOAD_REFUSED,
    Reason.DOWNLOAD_FAILED,
    Reason.OUT_OF_MEMORY,
    Reason.CRASHED,
    Reason.IMAGE_PULL_FAILED,
    Reason.CONTAINER_CONFIG_INVALID,
    Reason.VOLUME_MOUNT_FAILED,
    Reason.UNSCHEDULABLE,
    Reason.PODS_REFUSED,
    Reason.EVICTED,
)


def diagnose(
    deployment: JSONObject | None, pods: Sequence[JSONObject], events: Iterable[JSONObject] = ()
) -> Finding | None:
    """Return the most telling reason why a revision's pods are not ready, or None.

    Args:
        deployment: The revision's Deployment; it tells when no pod may be made at all.
        pods: The revision's pods.
        events: Kubernetes Events about those pods: a volume that cannot be mounted shows there
            and nowhere else.
    """
    found = [finding for pod in pods if (finding := _of_pod(pod)) is not None]
    found += [finding for event in events if (finding := _of_event(event)) is not None]
    refused = _of_deployment(deployment or {})
    if refused is not None:
        found.append(refused)
    if not found:
        return None
    return min(found, key=lambda finding: (_RANK.index(Reason(finding.reason)), finding.message))


def overdue(deployment: JSONObject | None) -> bool:
    """Whether the Deployment itself says that its pods take too long to become ready."""
    return any(
        condition.get("type") == "Progressing"
        and condition.get("status") == "False"
        and condition.get("reason") == "ProgressDeadlineExceeded"
        for condition in ((deployment or {}).get("status") or {}).get("conditions") or ()
    )


def waiting_for_volumes(pod: JSONObject) -> bool:
    """Whether a scheduled pod has started no container: only its Events can tell why."""
    status = pod.get("status") or {}
    statuses = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    scheduled = any(
        condition.get("type") == "PodScheduled" and condition.get("status") == "True"
        for condition in status.get("conditions") or ()
    )
    return scheduled and not any(
        "running" in (each.get("state") or {})
        or "terminated" in (each.get("state") or {})
        or (each.get("lastState") or {})
        for each in statuses
    )


def resolved(pods: Sequence[JSONObject]) -> Resolved | None:
    """Return the digest that the oldest pod's fetch reported."""
    for pod in sorted(pods, key=lambda p: str(p["metadata"].get("creationTimestamp"))):
        for status in (pod.get("status") or {}).get("initContainerStatuses") or ():
            ended = (status.get("state") or {}).get("terminated") or {}
            if status.get("name") != "fetch" or ended.get("exitCode") != 0:
                continue
            report = _report(ended.get("message"))
            digest = str(report.get("digest") or "")
            if digest.startswith("sha256:"):
                size = report.get("sizeBytes")
                return Resolved(digest=digest, size_bytes=size if isinstance(size, int) else None)
    return None


def _of_pod(pod: JSONObject) -> Finding | None:
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return None
    if status.get("phase") == "Failed" and status.get("reason"):
        text = f"a pod was given up ({status['reason']}): {status.get('message') or ''}"
        return _finding(Reason.EVICTED, text)
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            ends = kind == "initContainerStatuses"  # the runtime is not to end, not even well
            finding = None if container.get("ready") else _of_container(container, ends=ends)
            if finding is not None:
                return finding
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return _finding(
                Reason.UNSCHEDULABLE,
                f"no node can take the pod: {condition.get('message', '')}",
            )
    return None


def _of_container(status: JSONObject, *, ends: bool) -> Finding | None:
    state = status.get("state") or {}
    waiting = state.get("waiting") or {}
    why, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if why in _PULL:
        text = f"image {status.get('image', '')} cannot be pulled: {_pull_error(message) or why}"
        return _finding(Reason.IMAGE_PULL_FAILED, text)
    if why in _CONFIG:
        return _finding(Reason.CONTAINER_CONFIG_INVALID, message or why)
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    if not ended or (ends and ended.get("exitCode") == 0):
        return None
    return _of_exit(str(status.get("name")), ended)


def _of_exit(container: str, ended: JSONObject) -> Finding:
    if ended.get("reason") == "OOMKilled":
        return _finding(
            Reason.OUT_OF_MEMORY,
            f"container {container} needed more memory than its limit: "
            "raise spec.runtime.resources.limits.memory",
        )
    report = _report(ended.get("message"))
    reason = _REPORTED.get(str(report.get("reason")))
    if reason in _RANK:
        return _finding(reason, str(report.get("message") or reason.value))
    line = _telling_line(str(ended.get("message") or ""))
    code = ended.get("exitCode")
    text = f"container {container} exited with status {code}" + (f": {line}" if line else "")
    return _finding(Reason.CRASHED, text)


def _of_event(event: JSONObject) -> Finding | None:
    if event.get("reason") in ("FailedMount", "FailedAttachVolume"):
        return _finding(Reason.VOLUME_MOUNT_FAILED, _last_line(str(event.get("message") or "")))
    return None


def _of_deployment(deployment: JSONObject) -> Finding | None:
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            why = _GENERATED.sub(r"\1", str(condition.get("message") or ""))
            return _finding(Reason.PODS_REFUSED, f"no pod may be made: {why}")
    return None


def _finding(reason: Reason, message: str) -> Finding:
    return Finding(
        reason=reason.value, message=message[:_LINE_LIMIT], stalled=reason in _MODEL_FAULTS
    )


def _pull_error(message: str) -> str:
    """Return what the registry said: the kubelet puts its back-off before it, every other time."""
    return _BACK_OFF.sub("", _last_line(message))


def _report(message: object) -> dict[str, Any]:
    try:
        document = json.loads(_last_line(str(message or "")))
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _telling_line(text: str) -> str:
    """Return the last line that names an error; a stack that follows it tells a user nothing."""
    named = [line.strip() for line in text.splitlines() if _ERROR.search(line)]
    return named[-1] if named else _last_line(text)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""

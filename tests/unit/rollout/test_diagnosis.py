"""From what Kubernetes says about pods to one reason in words that help."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead_operator.rollout.diagnosis import diagnose, overdue, resolved, waiting_for_volumes


def a_pod(
    *,
    fetch: Any = None,
    runtime: Any = None,
    conditions: Any = (),
    going: bool = False,
    **status: Any,
) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"}
    if going:
        meta["deletionTimestamp"] = "2026-01-01T00:00:01Z"
    if fetch is not None:
        status["initContainerStatuses"] = [{"name": "fetch", "image": "i:1", **fetch}]
    if runtime is not None:
        status["containerStatuses"] = [{"name": "runtime", "image": "i:1", **runtime}]
    return {"metadata": meta, "status": {"conditions": list(conditions), **status}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


def crashed(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    ended = {"terminated": {"exitCode": code, "message": message, "reason": reason}}
    return {**waiting("CrashLoopBackOff"), "lastState": ended}


def told(*pods: Any, deployment: Any = None, events: Any = ()) -> tuple[str, str] | None:
    finding = diagnose(deployment, pods, events)
    return (finding.reason, finding.message) if finding else None


def test_pods_that_are_well_tell_nothing() -> None:
    assert told() is None
    assert told(a_pod(fetch={"ready": True}, runtime={"ready": True})) is None
    assert told(a_pod(fetch={"state": {"running": {}}})) is None
    assert told({"metadata": {"name": "p"}}) is None


def test_a_pod_that_is_going_tells_nothing() -> None:
    assert told(a_pod(runtime=crashed(1), going=True)) is None


def test_a_report_of_the_fetch_is_taken_word_for_word() -> None:
    report = json.dumps({"reason": "DigestMismatch", "message": "other bytes"})
    assert told(a_pod(fetch=crashed(2, "noise\n" + report))) == ("DigestMismatch", "other bytes")


@pytest.mark.parametrize(
    "text", ["plain", '["a list"]', '{"reason": "Ready"}', '{"reason": "Nonsense"}', "{"]
)
def test_what_is_no_report_of_ours_is_a_crash_with_its_last_line(text: str) -> None:
    found = told(a_pod(runtime=crashed(3, f"first\n{text}\n\n")))
    assert found == ("Crashed", f"container runtime exited with status 3: {text}")


def test_a_crash_without_a_word_gives_the_status() -> None:
    assert told(a_pod(runtime=crashed(3))) == ("Crashed", "container runtime exited with status 3")


def test_a_runtime_that_ends_well_has_still_ended() -> None:
    found = told(a_pod(fetch={"ready": True, **crashed(0)}, runtime=crashed(0)))
    assert found == ("Crashed", "container runtime exited with status 0")
    assert told(a_pod(fetch=crashed(0))) is None


def test_a_state_of_now_counts_before_the_last_one() -> None:
    ended = {"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    found = told(a_pod(runtime={**crashed(1), **ended}))
    assert found is not None
    assert found[0] == "OutOfMemory"


@pytest.mark.parametrize(
    "message",
    [
        "rpc error: not found",
        'Back-off pulling image "i:1": ErrImagePull: rpc error: not found',
        'Back-off pulling image "i:1": rpc error: not found',
    ],
)
def test_a_pull_error_reads_the_same_while_the_kubelet_backs_off(message: str) -> None:
    found = told(a_pod(fetch=waiting("ImagePullBackOff", message)))
    assert found == ("ImagePullFailed", "image i:1 cannot be pulled: rpc error: not found")


def test_a_pull_that_says_nothing_gives_its_state() -> None:
    found = told(a_pod(fetch=waiting("ErrImageNeverPull")))
    assert found == ("ImagePullFailed", "image i:1 cannot be pulled: ErrImageNeverPull")


def test_a_container_that_cannot_be_made_is_told() -> None:
    found = told(a_pod(runtime=waiting("CreateContainerConfigError", 'secret "s" not found')))
    assert found == ("ContainerConfigInvalid", 'secret "s" not found')
    assert told(a_pod(runtime=waiting("RunContainerError"))) == (
        "ContainerConfigInvalid",
        "RunContainerError",
    )


def test_a_pod_that_no_node_takes_is_told() -> None:
    unfit = {"type": "PodScheduled", "reason": "Unschedulable", "message": "0/1 nodes"}
    other = {"type": "PodScheduled", "reason": "SchedulingGated"}
    assert told(a_pod(conditions=[other, unfit])) == (
        "Unschedulable",
        "no node can take the pod: 0/1 nodes",
    )
    assert told(a_pod(conditions=[other])) is None


def test_a_volume_that_cannot_be_mounted_shows_in_events_only() -> None:
    events = [
        {"reason": "Other", "message": "x"},
        {"reason": "FailedMount", "message": 'configmap "m" not found'},
    ]
    assert told(a_pod(), events=events) == ("VolumeMountFailed", 'configmap "m" not found')


def test_a_pod_that_the_node_gave_up_is_told_after_everything_else() -> None:
    evicted = a_pod(phase="Failed", reason="Evicted", message="ephemeral storage")
    assert told(evicted) == ("Evicted", "a pod was given up (Evicted): ephemeral storage")
    found = told(evicted, a_pod(runtime=crashed(1)))
    assert found is not None
    assert found[0] == "Crashed"
    assert told(a_pod(phase="Failed")) is None


@pytest.mark.parametrize(
    "message", ['pods "m-1-x7" is forbidden: exceeded quota', 'Pod "m-1-y8" is invalid: cpu']
)
def test_a_refused_pod_is_told_without_its_generated_name(message: str) -> None:
    deployment = {
        "status": {
            "conditions": [
                {"type": "Available", "status": "False"},
                {"type": "ReplicaFailure", "status": "True", "message": message},
            ]
        }
    }
    found = told(deployment=deployment)
    assert found is not None
    assert found[0] == "PodsRefused"
    assert '"' not in found[1]


def test_of_many_findings_the_most_telling_is_chosen() -> None:
    digest = json.dumps({"reason": "DigestMismatch", "message": "m"})
    pods = [a_pod(fetch=waiting("ErrImagePull")), a_pod(fetch=crashed(2, digest))]
    found = told(*pods)
    assert found is not None
    assert found[0] == "DigestMismatch"


def test_a_long_message_is_cut() -> None:
    found = told(a_pod(runtime=crashed(1, "x" * 5000)))
    assert found is not None
    assert len(found[1]) == 300


def test_only_a_scheduled_pod_that_started_nothing_waits_for_volumes() -> None:
    scheduled = [{"type": "PodScheduled", "status": "True"}]
    assert waiting_for_volumes(a_pod(conditions=scheduled))
    assert waiting_for_volumes(a_pod(conditions=scheduled, fetch=waiting("PodInitializing")))
    assert not waiting_for_volumes(a_pod())
    assert not waiting_for_volumes(a_pod(conditions=scheduled, runtime=crashed(1)))
    assert not waiting_for_volumes(a_pod(conditions=scheduled, fetch={"state": {"running": {}}}))


def test_the_deployment_itself_tells_when_it_has_taken_too_long() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    assert overdue({"status": {"conditions": [{"type": "Available"}, late]}})
    assert not overdue({"status": {"conditions": [{**late, "status": "True"}]}})
    assert not overdue(None)


def test_the_digest_is_that_of_the_oldest_pod_whose_fetch_went_well() -> None:
    def fetched(digest: str, created: str, code: int = 0, size: Any = 5) -> dict[str, Any]:
        report = json.dumps({"digest": digest, "sizeBytes": size})
        pod = a_pod(fetch={"state": {"terminated": {"exitCode": code, "message": report}}})
        pod["metadata"]["creationTimestamp"] = created
        return pod

    pods = [
        fetched("sha256:c", "2026-01-03T00:00:00Z"),
        fetched("sha256:b", "2026-01-02T00:00:00Z", size="unknown"),
        fetched("sha256:a", "2026-01-01T00:00:00Z", code=1),
        fetched("md5:0", "2026-01-01T00:00:00Z"),
    ]
    found = resolved(pods)
    assert found is not None
    assert (found.digest, found.size_bytes) == ("sha256:b", None)
    assert resolved([a_pod(runtime={"ready": True})]) is None

"""Condition types and reasons: the vocabulary of `status.conditions`, for people and scripts."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class ConditionType(StrEnum):
    """Condition types; `Ready`, `Reconciling` and `Stalled` follow kstatus."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    AVAILABLE = "Available"
    DRIFTED = "Drifted"
    DEGRADED = "Degraded"


class Reason(StrEnum):
    """Why a condition has its status; each member says what it means."""

    meaning: str

    def __new__(cls, value: str, meaning: str = "") -> Self:
        """Make a member that carries its documentation."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    READY = "Ready", "The wanted revision has the address and all replicas that it needs."
    PROGRESSING = "Progressing", "The wanted revision's pods are starting."
    REPLICAS_UNAVAILABLE = (
        "ReplicasUnavailable",
        "The revision that has the address has fewer ready replicas than it needs.",
    )
    SERVING = "Serving", "At least one replica answers at the address."
    NO_READY_REPLICAS = "NoReadyReplicas", "No replica answers at the address."
    INVALID_SPEC = "InvalidSpec", "This operator cannot make sense of the spec."
    NAME_CONFLICT = (
        "NameConflict",
        "An object that is not ours has the name of one that is needed; it is not touched.",
    )
    FORMER_OBJECT_GOING = (
        "FormerObjectGoing",
        "An object of this name, of a former resource or revision, is still being removed.",
    )
    CHILD_INVALID = "ChildInvalid", "The API server finds an object that is needed invalid."
    CHILD_FORBIDDEN = (
        "ChildForbidden",
        "A role, a quota or an admission policy forbids an object that is needed.",
    )
    TRAFFIC_SPLIT = "TrafficSplit", "Revisions share the address as is wanted."
    INVALID_SPLIT = (
        "InvalidSplit",
        "The split that is asked for cannot be; the address stays as it is.",
    )
    ROUTER_NOT_READY = (
        "RouterNotReady",
        "The router starts; the address moves to it when every one of its pods is ready.",
    )
    ROUTER_GONE = (
        "RouterGone",
        "No router is ready: the stable revision has the address until one is back.",
    )
    ROUTER_UNCONFIRMED = (
        "RouterUnconfirmed",
        "A router has not taken what was written for it; until it has, no share changes.",
    )
    SETTLING = (
        "Settling",
        "The router has the address; connections from before end before a share moves.",
    )
    CAPACITY_MISSING = (
        "CapacityMissing",
        "A revision that is to get a larger share has too few ready replicas for it.",
    )
    DIGEST_MISMATCH = "DigestMismatch", "The model's bytes are not those of spec.model.digest."
    MODEL_CHANGED_IN_PLACE = (
        "ModelChangedInPlace",
        (
            "The URI now has other bytes than when this revision was made; a new model needs a new "
            "URI, version or digest."
        ),
    )
    MODEL_TOO_LARGE = "ModelTooLarge", "The model is larger than spec.model.maxSizeMiB."
    INVALID_MODEL = "InvalidModel", "The file is not an ONNX model that the runtime can load."
    UNSUPPORTED_SCHEME = "UnsupportedScheme", "The runtime image cannot fetch URIs of this scheme."
    SOURCE_NOT_FOUND = "SourceNotFound", "There is no model at the URI."
    DOWNLOAD_REFUSED = "DownloadRefused", "The server wants other credentials (401 or 403)."
    DOWNLOAD_FAILED = "DownloadFailed", "The URI cannot be reached; it is tried again."
    OUT_OF_MEMORY = "OutOfMemory", "A container was killed because it needed more than its limit."
    CRASHED = "Crashed", "A container ended by itself; the message has its last line."
    IMAGE_PULL_FAILED = "ImagePullFailed", "The runtime image cannot be pulled."
    CONTAINER_CONFIG_INVALID = (
        "ContainerConfigInvalid",
        "A container cannot be made, for example because a Secret or a key is missing.",
    )
    VOLUME_MOUNT_FAILED = (
        "VolumeMountFailed",
        "A volume cannot be mounted, for example because a ConfigMap or Secret is missing.",
    )
    UNSCHEDULABLE = "Unschedulable", "No node has room for the pod or is allowed to run it."
    EVICTED = "Evicted", "The node gave the pod up, for example because it used too much disk."
    PROGRESS_DEADLINE_EXCEEDED = (
        "ProgressDeadlineExceeded",
        "The pods are not ready after ten minutes, and nothing tells why.",
    )
    PODS_REFUSED = "PodsRefused", "A quota or an admission policy refuses the pods."
    VALIDATING = "Validating", "A Job tries the candidate out; it gets no traffic before it passes."
    VALIDATION_RETRYING = (
        "ValidationRetrying",
        "The validation Job could not be carried out, which says nothing about the model.",
    )
    VALIDATION_FAILED = (
        "ValidationFailed",
        "Validation blames the model. It is not tried again unless asked to, or for another one.",
    )
    OBJECTIVES_UNREACHABLE = (
        "ObjectivesUnreachable",
        "spec.objectives.requestsPerSecond needs more replicas than maxReplicas.",
    )
    ROLLOUT_PROGRESSING = "RolloutProgressing", "The candidate has a share of the traffic."
    ROLLOUT_HELD = (
        "RolloutHeld",
        "A step has passed its deadline, and the evidence decides nothing; the message says why.",
    )
    ROLLOUT_PAUSED = "RolloutPaused", "The rollout is paused by spec.rollout.paused or annotation."
    ROLLING_BACK = "RollingBack", "The traffic goes back to the stable revision."
    ROLLED_BACK = (
        "RolledBack",
        "A gate condemned the candidate. The stable serves; only retry or another revision helps.",
    )
    ROLLOUT_ABORTED = "RolloutAborted", "Somebody aborted the rollout by annotation."
    EXPERIMENT_RUNNING = "Running", "The Experiment's users are split, and outcomes are counted."
    SPLIT_STARTING = "SplitStarting", "The Experiment waits until every router carries its split."
    TARGET_MISSING = "TargetMissing", "The Experiment's target does not exist."
    TARGET_BUSY = "TargetBusy", "An older Experiment has the target."
    ARM_MISSING = "ArmMissing", "The ModelDeployment of an arm does not exist."
    ARM_NOT_READY = "ArmNotReady", "An arm is not ready, or a rollout of it is under way."
    ARM_UNAVAILABLE = (
        "ArmUnavailable",
        "An arm was not ready for five minutes: the control has its share, the Experiment stopped.",
    )
    SIGNATURE_UNKNOWN = "SignatureUnknown", "An arm has not told its model's inputs yet."
    SIGNATURE_DIFFERS = "SignatureDiffers", "An arm's model does not take the target's inputs."
    RECORDER_UNAVAILABLE = (
        "RecorderUnavailable",
        "The recorder does not answer: nothing can be counted until it does.",
    )
    DECIDED = "Decided", "The Experiment has a winner; see status.decision and recommendation."
    INCONCLUSIVE = "Inconclusive", "maxDuration has passed without a winner."
    EXPERIMENT_STOPPED = "Stopped", "spec.stopped ended the Experiment."
    GUARDRAIL_BREACHED = (
        "GuardrailBreached",
        "An arm broke a guardrail: everybody gets the control, the Experiment stopped.",
    )
    SAMPLE_RATIO_MISMATCH = (
        "SampleRatioMismatch",
        "Users do not arrive as the weights say: nothing that was counted can be trusted.",
    )
    PINNED_BY_EXPERIMENT = (
        "PinnedByExperiment",
        "An Experiment measures the present revision: a new one waits until it has ended.",
    )
    DRIFTED = "Drifted", "Inputs or predictions are no longer those of the model's training."
    NO_DRIFT = "NoDrift", "Inputs and predictions are those of the model's training."
    TOO_FEW_ROWS = "TooFewRows", "Too little has been counted to judge drift."
    ERRORS_INCREASED = (
        "ErrorsIncreased",
        "More predictions turn out to be wrong than the reference and spec.performance allow.",
    )
    AS_GOOD_AS_BEFORE = "AsGoodAsBefore", "Predictions are as often right as they were."
    PREDICTIONS_NOT_RECORDED = (
        "PredictionsNotRecorded",
        "The revision records no predictions: see spec.runtime.recordPredictionsPercent.",
    )
    TOO_FEW_OUTCOMES = (
        "TooFewOutcomes",
        "Too few outcomes have met their prediction to judge the model's performance.",
    )
    PROFILE_UNUSABLE = (
        "ProfileUnusable",
        "The pods cannot use their drift profile, or count with different ones.",
    )

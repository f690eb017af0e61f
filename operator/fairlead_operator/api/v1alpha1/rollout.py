"""How a model is replaced: `spec.rollout` and `spec.validation` of a ModelDeployment."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from fairlead_operator.api import duration
from fairlead_operator.api.v1alpha1.common import APIModel, rules

Duration = Annotated[str, Field(min_length=2, max_length=16, pattern=duration.PATTERN)]
"""A duration as Go writes it, in whole hours, minutes and seconds."""
Gate = Annotated[
    str,
    Field(
        json_schema_extra={
            "enum": [
                "Errors",
                "LatencyP99",
                "LatencyIncrease",
                "ClientErrors",
                "Restarts",
                "OutOfMemory",
                "NonFinite",
                "MirrorDifference",
                "PredictionShift",
                "Drift",
            ]
        }
    ),
]


class NoData(StrEnum):
    """What happens at a step's deadline where the evidence does not decide."""

    HOLD = "Hold"
    FAIL = "Fail"
    PASS = "Pass"  # noqa: S105 - no password


class AssignmentSpec(APIModel):
    """Who is in the canary: users rather than requests."""

    header: Annotated[
        str,
        Field(
            min_length=1,
            max_length=128,
            description=(
                "Lower-case name of the HTTP header, or gRPC metadata, with the user. A user who "
                "is in the canary stays in it while it grows; requests without it go to the stable."
            ),
            json_schema_extra=rules(
                (
                    "self.matches('^[a-z0-9!#$&*+.^_|~-]+$')",
                    "header must be the lower-case name of a header, for example x-user-id",
                )
            ),
        ),
    ]


class MirrorSpec(APIModel):
    """Shadow traffic before the first step: copies whose answers nobody gets."""

    percent: Annotated[
        int, Field(ge=1, le=100, description="Share of the requests that is copied, in percent.")
    ] = 10
    hold: Annotated[Duration, Field(description="For how long at least, for example 2m.")] = "2m"


class StepSpec(APIModel):
    """One step of the canary."""

    weight: Annotated[
        int, Field(ge=1, le=100, description="Share of the traffic for the candidate, in percent.")
    ]
    hold: Annotated[
        Duration,
        Field(description="For how long at least, for example 5m. Evidence may need longer."),
    ] = "2m"


class GatesSpec(APIModel):
    """What the candidate is judged by, over all evidence of the rollout."""

    min_requests: Annotated[
        int,
        Field(
            ge=1,
            le=1_000_000,
            description=(
                "Requests that the candidate must have answered in a step before the step can be "
                "passed. None are needed to fail one."
            ),
        ),
    ] = 200
    max_error_basis_points: Annotated[
        int,
        Field(
            ge=1,
            le=9999,
            description=(
                "Largest share of failed requests, in hundredths of a percent: HTTP 5xx, resets, "
                "timeouts and the gRPC statuses that blame the server."
            ),
        ),
    ] = 100
    max_latency_p99_ms: Annotated[
        int | None,
        Field(
            ge=1,
            le=600_000,
            description=(
                "Largest 99th percentile of the latency, in ms. Default: "
                "spec.objectives.maxLatencyMs; without either this is no gate."
            ),
        ),
    ] = None
    max_latency_increase_percent: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Most percent by which the p99 may be longer than the stable's.",
        ),
    ] = 25
    max_client_error_increase_percent: Annotated[
        int | None,
        Field(
            ge=0,
            le=10_000,
            description=(
                "Most percent by which the share of 4xx answers may be larger than the stable's. "
                "Shown without it; a gate where it is written."
            ),
        ),
    ] = None
    max_restarts: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Most restarts of the candidate's containers beyond the stable's.",
        ),
    ] = 1
    max_out_of_memory: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="How often containers of the candidate may run out of memory.",
        ),
    ] = 0
    max_non_finite_basis_points: Annotated[
        int,
        Field(
            ge=1,
            le=9999,
            description=(
                "Largest share of predictions with NaN or infinity, in hundredths of a percent."
            ),
        ),
    ] = 50
    max_mirror_difference_basis_points: Annotated[
        int | None,
        Field(
            ge=1,
            le=9999,
            description=(
                "Largest share of compared copies whose answer differs from the stable's, in "
                "hundredths of a percent. Shown without it; a gate where it is written."
            ),
        ),
    ] = None
    max_prediction_shift_milli: Annotated[
        int | None,
        Field(
            ge=1,
            le=100_000,
            description=(
                "Largest population stability index of the predictions against the stable's of the "
                "same minutes, in thousandths. Shown without it; a gate where it is written."
            ),
        ),
    ] = None
    max_drift_milli: Annotated[
        int | None,
        Field(
            ge=1,
            le=100_000,
            description=(
                "Largest population stability index of any input against the stable's of the same "
                "minutes, in thousandths. Shown without it; a gate where it is written."
            ),
        ),
    ] = None
    alpha_basis_points: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description=(
                "Probability of rolling back a candidate that keeps every limit, in hundredths of "
                "a percent, over all gates and the whole rollout."
            ),
        ),
    ] = 100
    ignore: Annotated[
        list[Gate] | None,
        Field(max_length=10, description="Checks that are shown and decide nothing."),
    ] = None
    no_data: Annotated[
        NoData,
        Field(
            description=(
                "What happens at a step's deadline where the evidence is missing, old or decides "
                "nothing: Hold keeps the weight and says so, Fail rolls back, Pass goes on."
            ),
        ),
    ] = NoData.HOLD


_DEFAULT_STEPS = [
    StepSpec(weight=5, hold="2m"),
    StepSpec(weight=25, hold="3m"),
    StepSpec(weight=50, hold="5m"),
]


class RolloutSpec(APIModel):
    """How a new revision gets the traffic. A change makes no new revision."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.steps.map(s, s.weight).isSorted()",
                "the weights of the steps must not fall: a user in the canary stays in it",
            ),
            (
                "self.steps.all(s, duration(s.hold) <= duration(self.progressDeadline))",
                "a step's hold must not be longer than progressDeadline (30m by default)",
            ),
            (
                (
                    "!has(self.mirror) || "
                    "duration(self.mirror.hold) <= duration(self.progressDeadline)"
                ),
                "mirror.hold must not be longer than progressDeadline (30m by default)",
            ),
            (
                (
                    "has(self.mirror) || !has(self.gates) || "
                    "!has(self.gates.maxMirrorDifferenceBasisPoints)"
                ),
                "gates.maxMirrorDifferenceBasisPoints needs a mirror to compare answers",
            ),
        )
    )

    assignment: Annotated[
        AssignmentSpec | None,
        Field(description="Makes the canary sticky. Without it each request is drawn anew."),
    ] = None
    mirror: Annotated[
        MirrorSpec | None,
        Field(description="Shadow traffic before the first step; off by default."),
    ] = None
    steps: Annotated[
        list[StepSpec],
        Field(
            max_length=20,
            description=(
                "Shares of the traffic, one after the other. None: the candidate gets all of it "
                "once it is validated."
            ),
        ),
    ] = _DEFAULT_STEPS
    gates: Annotated[
        GatesSpec | None, Field(description="What the candidate is judged by; on by default.")
    ] = None
    progress_deadline: Annotated[
        Duration,
        Field(description="How long a step may take before it is reported, and noData applies."),
    ] = "30m"
    paused: Annotated[
        bool,
        Field(description="Keeps the step. A candidate that fails is rolled back all the same."),
    ] = False


class ValidationSpec(APIModel):
    """What a candidate has to pass before it gets any traffic. A change makes no new revision."""

    enabled: Annotated[bool, Field(description="Whether candidates are validated at all.")] = True
    examples_uri: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=1024,
            description=(
                "Golden inputs and outputs that a candidate has to reproduce, .npz or .json, at "
                "most 48 MiB: configmap://name/key, pvc://claim/path, file:///path in the runtime "
                "image, http://..., https://..., s3://bucket/key, gs://bucket/key or "
                "az://container/key; these are fetched with the credentials of "
                "spec.model.secretName. Default: examples.npz or examples.json beside the model, "
                "where it is a folder."
            ),
            json_schema_extra=rules(
                (
                    (
                        "self.matches('^(configmap|pvc)://[a-z0-9.-]+/[^/]|^file:///[^/]"
                        "|^https?://[^/?#\\\\s]+/[^\\\\s]+$"
                        "|^(s3|gs|az)://[a-z0-9]([-a-z0-9._]*[a-z0-9])?(/[^/\\\\s]+)+$')"
                    ),
                    (
                        "examplesUri is configmap://name/key, pvc://claim/path, file:///path, "
                        "https://host/path, s3://bucket/key, gs://bucket/key or az://container/key"
                    ),
                ),
                (
                    "!self.matches('^(https?|s3|gs|az)://[^/]*@')",
                    (
                        "credentials do not belong in the uri: put them in a Secret and name it in "
                        "spec.model.secretName"
                    ),
                ),
                ("!self.matches('/[.][.](/|$)')", "a uri must not contain the path segment .."),
            ),
        ),
    ] = None
    tolerance_milli: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            description=(
                "How far a number may be off, in thousandths of 1, or of the value if it is larger."
            ),
        ),
    ] = 1
    max_non_finite_milli: Annotated[
        int,
        Field(ge=0, le=1000, description="Most rows with NaN or infinity, in thousandths."),
    ] = 0
    deadline: Annotated[
        Duration, Field(description="How long one try may take, download included.")
    ] = "15m"

"""`status` of a ModelDeployment: conditions, revisions, and what the columns show."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fairlead_operator.api.v1alpha1.common import APIModel, PassedThrough
from fairlead_operator.api.v1alpha1.traffic import TrafficStatus


class Condition(APIModel):
    """A condition, as Kubernetes' `metav1.Condition`."""

    type: Annotated[
        str, Field(max_length=316, description="Ready, Reconciling, Stalled or Available.")
    ]
    status: Annotated[
        str,
        Field(
            description="True, False or Unknown.",
            json_schema_extra={"enum": ["True", "False", "Unknown"]},
        ),
    ]
    reason: Annotated[
        str, Field(min_length=1, max_length=1024, description="Why, in one word for scripts.")
    ]
    message: Annotated[str, Field(max_length=32768, description="Why, in words for people.")]
    last_transition_time: Annotated[
        str,
        Field(
            description="When the status last flipped.",
            json_schema_extra={"format": "date-time"},
        ),
    ]
    observed_generation: Annotated[
        int | None,
        Field(
            ge=0,
            description="Generation of the resource that this speaks of.",
            json_schema_extra={"format": "int64"},
        ),
    ] = None


class RevisionStatus(APIModel):
    """One revision: an exact model on an exact runtime."""

    hash: Annotated[str, Field(max_length=64, description="Identity of the revision.")]
    name: Annotated[
        str, Field(max_length=63, description="Name of its Deployment, Service and autoscaler.")
    ]
    version: Annotated[str, Field(max_length=63, description="Label on metrics and responses.")]
    state: Annotated[str, Field(max_length=32, description="Progressing, Active or Draining.")]
    image: Annotated[str, Field(max_length=512, description="Runtime image, frozen.")]
    model: Annotated[PassedThrough, Field(description="spec.model as first seen.")]
    runtime: Annotated[PassedThrough | None, Field(description="spec.runtime as first seen.")] = (
        None
    )
    created_at: Annotated[
        str,
        Field(description="When it was first seen.", json_schema_extra={"format": "date-time"}),
    ]
    required_replicas: Annotated[
        int | None,
        Field(description="Ready replicas that it needs before the address moves to it."),
    ] = None
    replicas: Annotated[int | None, Field(description="Replicas that it is to have.")] = None
    ready_replicas: Annotated[int | None, Field(description="Replicas that are ready.")] = None
    digest: Annotated[
        str | None, Field(max_length=128, description="Digest of the model file.")
    ] = None
    size_bytes: Annotated[
        int | None,
        Field(description="Size of the model file.", json_schema_extra={"format": "int64"}),
    ] = None
    active_at: Annotated[
        str | None,
        Field(description="When it got the address.", json_schema_extra={"format": "date-time"}),
    ] = None
    drain_until: Annotated[
        str | None,
        Field(description="When its pods may go.", json_schema_extra={"format": "date-time"}),
    ] = None
    throughput_rps: Annotated[
        int | None,
        Field(description="Requests a second of one replica, as its validation measured."),
    ] = None
    latency_p99_micros: Annotated[
        int | None, Field(description="99th percentile that its validation measured, in us.")
    ] = None
    sizing: Annotated[
        str | None,
        Field(description="How many replicas the objectives need, and how that came about."),
    ] = None


class ModelDeploymentStatus(APIModel):
    """What is."""

    observed_generation: Annotated[
        int | None,
        Field(
            ge=0,
            description="Generation of the resource that this status speaks of.",
            json_schema_extra={"format": "int64"},
        ),
    ] = None
    conditions: Annotated[
        list[Condition] | None,
        Field(
            max_length=16,
            description="Ready, Reconciling, Stalled and Available.",
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            },
        ),
    ] = None
    revisions: Annotated[
        list[RevisionStatus] | None,
        Field(
            max_length=10,
            description="Revisions that live, oldest first.",
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["hash"],
            },
        ),
    ] = None
    stable_revision: Annotated[
        str | None, Field(description="Short hash of the revision that has the address.")
    ] = None
    candidate_revision: Annotated[
        str | None, Field(description="Short hash of the revision that is to have it.")
    ] = None
    version: Annotated[str | None, Field(description="Version at the address.")] = None
    candidate: Annotated[str | None, Field(description="Version that is to have the address.")] = (
        None
    )
    weight: Annotated[int | None, Field(description="Share of the candidate, in percent.")] = None
    traffic: Annotated[
        TrafficStatus | None,
        Field(description="The address while there is a router; absent without one."),
    ] = None
    step: Annotated[str | None, Field(description="Step of the rollout.")] = None
    replicas: Annotated[
        str | None, Field(description="Ready and wanted replicas of the version at the address.")
    ] = None
    latency_p99: Annotated[str | None, Field(description="99th percentile of the latency.")] = None
    drift: Annotated[str | None, Field(description="Whether the inputs have drifted.")] = None
    performance: Annotated[
        PassedThrough | None,
        Field(
            description=(
                "How often the model was wrong: revision, outcomes, the latest of them with their "
                "share of errors, the reference's share, the allowed one, and since when it is "
                "degraded."
            )
        ),
    ] = None
    reason: Annotated[str | None, Field(description="Reason of the condition Ready.")] = None
    url: Annotated[str | None, Field(description="Address inside the cluster.")] = None
    measured_at: Annotated[
        str | None,
        Field(
            description="When the numbers here were measured.",
            json_schema_extra={"format": "date-time"},
        ),
    ] = None
    rollout: Annotated[
        PassedThrough | None,
        Field(
            description=(
                "The rollout: phase, since when, checks (gate, verdict, value, limit, samples, end "
                "of their window), evidence, and the last ten rollouts with outcome and reason."
            )
        ),
    ] = None
    last_action: Annotated[
        PassedThrough | None, Field(description="The last imperative and what became of it.")
    ] = None

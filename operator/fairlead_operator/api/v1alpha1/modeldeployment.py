"""ModelDeployment: this model, served here, replaced safely. Each description is documentation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from fairlead_operator.api import duration
from fairlead_operator.api.v1alpha1.common import APIModel, PassedThrough, rules
from fairlead_operator.api.v1alpha1.drift import DriftSpec
from fairlead_operator.api.v1alpha1.performance import PerformanceSpec
from fairlead_operator.api.v1alpha1.resources import ResourcesSpec
from fairlead_operator.api.v1alpha1.rollout import RolloutSpec, ValidationSpec
from fairlead_operator.api.v1alpha1.sources import uri_rules
from fairlead_operator.api.v1alpha1.status import ModelDeploymentStatus

NAME_LIMIT = 45
"""A revision's children add nine characters, and their pods up to eighteen, to 63 at most."""


class ModelSpec(APIModel):
    """The model to serve. A change here or in `spec.runtime` makes a new revision."""

    uri: Annotated[
        str,
        Field(
            max_length=1024,
            description=(
                "Where the model is: file:///path in the runtime image, pvc://claim/path, "
                "configmap://name/key (models up to 1 MiB), http://..., https://..., "
                "s3://bucket/key, gs://bucket/key or az://container/key. An .onnx file, or (not "
                "configmap and http) a folder with model.onnx."
            ),
            json_schema_extra=uri_rules("uri", "model.onnx"),
        ),
    ]
    version: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=63,
            description=(
                "Label on metrics and responses. Default: the short hash of the revision."
            ),
            json_schema_extra=rules(
                (
                    "self.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')",
                    (
                        "version must be letters, digits, '-', '_' or '.', "
                        "and begin and end with a letter or digit"
                    ),
                )
            ),
        ),
    ] = None
    digest: Annotated[
        str | None,
        Field(
            max_length=71,
            description=(
                "SHA-256 of the model file. Other bytes are refused before they are loaded. "
                "Without it the first pod's digest holds for all pods of the revision."
            ),
            json_schema_extra=rules(
                (
                    "self.matches('^sha256:[0-9a-f]{64}$')",
                    "digest must be sha256: followed by 64 lower-case hex digits",
                )
            ),
        ),
    ] = None
    profile_uri: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=1024,
            description=(
                "Where the model's drift profile is, a file that `fairlead-runtime profile` has "
                "written, as uri says it. Default: profile.json beside the model, if there. One "
                "that cannot be had or used is reported in the condition Drifted, and the model "
                "is served."
            ),
            json_schema_extra=uri_rules("profileUri", "profile.json"),
        ),
    ] = None
    secret_name: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=253,
            description=(
                "Secret with credentials. For http(s): key token, or keys username and password. "
                "For s3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL. "
                "For gs: service_account.json. For az: AZURE_STORAGE_ACCOUNT_NAME, "
                "AZURE_STORAGE_ACCOUNT_KEY. Without it the pod's own identity counts. It is "
                "mounted into the pods; the operator never reads it."
            ),
        ),
    ] = None
    max_size_mib: Annotated[
        int,
        Field(
            alias="maxSizeMiB",
            ge=1,
            le=65536,
            description="Largest model, in MiB, that is fetched.",
        ),
    ] = 2048


class EnvVar(APIModel):
    """An environment variable, as in a pod."""

    name: Annotated[str, Field(min_length=1, max_length=256, description="Name of the variable.")]
    value: Annotated[str | None, Field(max_length=32768, description="Its value.")] = None
    value_from: Annotated[
        PassedThrough | None, Field(description="Source of its value, as in a pod.")
    ] = None


class PullSecret(APIModel):
    """A Secret with which the kubelet pulls the runtime image."""

    name: Annotated[str, Field(min_length=1, max_length=253, description="Name of the Secret.")]


class RuntimeSpec(APIModel):
    """What the model runs on. A change makes a new revision."""

    image: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=512,
            description=(
                "Runtime image. Default: the operator's, frozen when the revision is made, so "
                "that an upgrade of the operator restarts no model."
            ),
            json_schema_extra=rules(
                ("!self.matches('\\\\s')", "image must not contain white space")
            ),
        ),
    ] = None
    threads: Annotated[
        int | None,
        Field(
            ge=1,
            le=256,
            description="Threads of one inference. Default: the container's CPU limit.",
        ),
    ] = None
    resources: Annotated[
        ResourcesSpec | None,
        Field(
            description=(
                "Requests and limits. Without any, 100m of CPU and 128Mi of memory are requested. "
                "With a limit of nvidia.com/gpu the model runs with CUDA, on the operator's image "
                "for that unless runtime.image names one."
            )
        ),
    ] = None
    env: Annotated[
        list[EnvVar] | None,
        Field(
            max_length=64,
            description="Environment of the runtime container.",
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        ),
    ] = None
    record_predictions_percent: Annotated[
        int | None,
        Field(
            ge=1,
            le=100,
            description=(
                "Share of the predictions that the pods send to the recorder, in percent, without "
                "their inputs, so that spec.performance can compare them with their outcomes."
            ),
        ),
    ] = None
    node_selector: Annotated[
        dict[str, str] | None,
        Field(max_length=32, description="Labels of the nodes that may run the pods."),
    ] = None
    tolerations: Annotated[
        list[PassedThrough] | None, Field(max_length=32, description="Tolerations, as in a pod.")
    ] = None
    affinity: Annotated[PassedThrough | None, Field(description="Affinity, as in a pod.")] = None
    service_account_name: Annotated[
        str | None,
        Field(min_length=1, max_length=253, description="ServiceAccount of the pods."),
    ] = None
    image_pull_secrets: Annotated[
        list[PullSecret] | None,
        Field(max_length=16, description="Secrets with which the image is pulled."),
    ] = None


class ObjectivesSpec(APIModel):
    """What the model has to reach."""

    max_latency_ms: Annotated[
        int | None,
        Field(
            ge=1,
            le=600_000,
            description=(
                "Largest acceptable latency, in ms. A router measures with this limit as an edge."
            ),
        ),
    ] = None
    requests_per_second: Annotated[
        int | None, Field(ge=1, le=1_000_000, description="Load that has to be carried.")
    ] = None
    timeout: Annotated[
        str | None,
        Field(
            min_length=2,
            max_length=16,
            pattern=duration.PATTERN,
            description=(
                "After how long a router ends a request, for example 90s. Default: twenty times "
                "maxLatencyMs, at least 60s. Without a router nothing ends a request."
            ),
            json_schema_extra=rules(
                (
                    "duration(self) >= duration('1s') && duration(self) <= duration('1h')",
                    "timeout must be 1s to 1h",
                )
            ),
        ),
    ] = None


class ScalingSpec(APIModel):
    """How many replicas. A change makes no new revision."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.minReplicas <= self.maxReplicas",
                "minReplicas must not be more than maxReplicas (10 where it is not written)",
            )
        )
    )

    min_replicas: Annotated[int, Field(ge=1, le=1000, description="Fewest replicas.")] = 1
    max_replicas: Annotated[int, Field(ge=1, le=1000, description="Most replicas.")] = 10
    target_cpu_percent: Annotated[
        int,
        Field(
            alias="targetCPUPercent",
            ge=1,
            le=1000,
            description=(
                "Average CPU use, in percent of the request, that the autoscaler aims at. "
                "Ignored where metrics is written."
            ),
        ),
    ] = 70
    metrics: Annotated[
        list[PassedThrough] | None,
        Field(max_length=16, description="Metrics of the autoscaler, as in autoscaling/v2."),
    ] = None
    behavior: Annotated[
        PassedThrough | None,
        Field(description="Behavior of the autoscaler, as in autoscaling/v2."),
    ] = None


class ModelDeploymentSpec(APIModel):
    """What is wanted."""

    model: Annotated[ModelSpec, Field(description="The model to serve.")]
    runtime: Annotated[RuntimeSpec | None, Field(description="What the model runs on.")] = None
    objectives: Annotated[
        ObjectivesSpec | None,
        Field(description="What the model has to reach."),
    ] = None
    scaling: Annotated[ScalingSpec | None, Field(description="How many replicas.")] = None
    validation: Annotated[ValidationSpec | None, Field(description="How it is tried out.")] = None
    rollout: Annotated[RolloutSpec | None, Field(description="How it gets the traffic.")] = None
    drift: Annotated[DriftSpec | None, Field(description="When its traffic counts as drifted.")] = (
        None
    )
    performance: Annotated[
        PerformanceSpec | None,
        Field(
            description=(
                "How predictions are compared with what turns out to be true, for which the "
                "recorder and runtime.recordPredictionsPercent are needed. Without it nobody "
                "compares them."
            )
        ),
    ] = None
    router: Annotated[
        Literal["WhenSplit", "Always"],
        Field(
            description=(
                "WhenSplit: requests go straight to the model, and through a router only while "
                "revisions share the address. Always: the router stays, so that a split begins "
                "at once."
            )
        ),
    ] = "WhenSplit"


class ModelDeployment(APIModel):
    """A model, served at one address and replaced safely."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"self.metadata.name.size() <= {NAME_LIMIT}",
                (
                    f"the name of a ModelDeployment may have at most {NAME_LIMIT} characters: "
                    "its children add the hash of a revision"
                ),
            ),
            (
                "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                (
                    "the name of a ModelDeployment must be lower-case letters, digits and '-', "
                    "begin with a letter and end with a letter or digit: its address is a Service"
                ),
            ),
        )
    )

    api_version: str
    kind: str
    metadata: Annotated[dict[str, Any], Field(json_schema_extra={"type": "object"})]
    spec: Annotated[ModelDeploymentSpec, Field(description="What is wanted.")]
    status: Annotated[
        ModelDeploymentStatus | None, Field(description="What is; written by the operator.")
    ] = None

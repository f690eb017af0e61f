"""Version v1alpha1 of group `fairlead.dev`: the ModelDeployment and the Experiment."""

from fairlead_operator.api.v1alpha1.experiment import (
    AssignmentSpec,
    Experiment,
    ExperimentSpec,
    Variant,
)
from fairlead_operator.api.v1alpha1.experimentanalysis import (
    AnalysisSpec,
    GuardrailSpec,
    MetricSpec,
)
from fairlead_operator.api.v1alpha1.experimentstatus import ExperimentStatus
from fairlead_operator.api.v1alpha1.modeldeployment import (
    ModelDeployment,
    ModelDeploymentSpec,
    ModelSpec,
    ObjectivesSpec,
    RuntimeSpec,
    ScalingSpec,
)
from fairlead_operator.api.v1alpha1.resources import ResourcesSpec
from fairlead_operator.api.v1alpha1.status import ModelDeploymentStatus

__all__ = [
    "AnalysisSpec",
    "AssignmentSpec",
    "Experiment",
    "ExperimentSpec",
    "ExperimentStatus",
    "GuardrailSpec",
    "MetricSpec",
    "ModelDeployment",
    "ModelDeploymentSpec",
    "ModelDeploymentStatus",
    "ModelSpec",
    "ObjectivesSpec",
    "ResourcesSpec",
    "RuntimeSpec",
    "ScalingSpec",
    "Variant",
]

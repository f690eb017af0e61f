"""Version v1alpha1 of group `fairlead.dev`: the ModelDeployment."""

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
    "ModelDeployment",
    "ModelDeploymentSpec",
    "ModelDeploymentStatus",
    "ModelSpec",
    "ObjectivesSpec",
    "ResourcesSpec",
    "RuntimeSpec",
    "ScalingSpec",
]

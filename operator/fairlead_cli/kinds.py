"""The kinds that the command line reads, and where they live in the API."""

from __future__ import annotations

from fairlead_operator.kube.kinds import (
    AUTOSCALER,
    CHILDREN,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    EVENT,
    LEASE,
    MODEL_DEPLOYMENT,
    POD,
    REPORTED_EVENT,
    SERVICE,
    Kind,
)

__all__ = [
    "ACCESS_REVIEW",
    "AUTOSCALER",
    "CHILDREN",
    "CONTROLLER_REVISION",
    "CRD",
    "DEPLOYMENT",
    "EVENT",
    "EXPERIMENT",
    "LEASE",
    "MODEL_DEPLOYMENT",
    "OWN_ACCESS_REVIEW",
    "POD",
    "REPORTED_EVENT",
    "SERVICE",
    "Kind",
]

EXPERIMENT = Kind(MODEL_DEPLOYMENT.group, MODEL_DEPLOYMENT.version, "Experiment", "experiments")
CRD = Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions")
ACCESS_REVIEW = Kind("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews")
OWN_ACCESS_REVIEW = Kind(
    "authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews"
)

"""The kinds that the operator reads or writes, and where they live in the API."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One namespaced kind of the API.

    Attributes:
        group: API group; empty for the core group.
        version: API version of the group.
        kind: Name as it stands in manifests.
        plural: Name as it stands in URLs.
    """

    group: str
    version: str
    kind: str
    plural: str

    @property
    def api_version(self) -> str:
        """Group and version as manifests write them."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None, sub: str | None = None) -> str:
        """Return the URL path of the collection, of one object, or of its subresource."""
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if namespace:
            parts.append(f"namespaces/{namespace}")
        parts.append(self.plural)
        parts.extend(part for part in (name, sub) if part)
        return "/".join(parts)


MODEL_DEPLOYMENT = Kind("fairlead.dev", "v1alpha1", "ModelDeployment", "modeldeployments")
EXPERIMENT = Kind("fairlead.dev", "v1alpha1", "Experiment", "experiments")
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments")
CONTROLLER_REVISION = Kind("apps", "v1", "ControllerRevision", "controllerrevisions")
SERVICE = Kind("", "v1", "Service", "services")
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps")
POD = Kind("", "v1", "Pod", "pods")
EVENT = Kind("", "v1", "Event", "events")
REPORTED_EVENT = Kind("events.k8s.io", "v1", "Event", "events")
AUTOSCALER = Kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
DISRUPTION_BUDGET = Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
NETWORK_POLICY = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
JOB = Kind("batch", "v1", "Job", "jobs")
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")

CHILDREN = (
    NETWORK_POLICY,
    CONTROLLER_REVISION,
    CONFIG_MAP,
    DEPLOYMENT,
    SERVICE,
    AUTOSCALER,
    DISRUPTION_BUDGET,
    JOB,
)
"""Kinds that a ModelDeployment owns, in the order in which they are applied."""

BY_KIND = {kind.kind: kind for kind in (MODEL_DEPLOYMENT, EXPERIMENT, *CHILDREN)}

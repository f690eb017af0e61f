"""Names and labels of what belongs to a ModelDeployment."""

from __future__ import annotations

HASH_LENGTH = 8
"""Characters of the revision hash in names; 45 + 1 + 8 stays within 63 with room for pods."""

MANAGED_BY = {"app.kubernetes.io/managed-by": "fairlead"}
MODEL_APP = "fairlead-model"
ROUTER_APP = "fairlead-router"
VALIDATION_APP = "fairlead-validation"
"""`app.kubernetes.io/name` of pods by what runs in them; NetworkPolicies select by it."""
OWNER_LABEL = "fairlead.dev/model-deployment"
REVISION_LABEL = "fairlead.dev/revision"
APPLIED_ANNOTATION = "fairlead.dev/applied"
DIGEST_KEY = "model-digest"

VALIDATES_LABEL = "fairlead.dev/validates"
"""On a validation's pod: the short hash of the revision that it tries out."""
ROUTER_LABEL = "fairlead.dev/router"
"""On a router's pods: the ModelDeployment whose address they answer."""
ROUTER_ANNOTATION = "fairlead.dev/router-configuration"
"""On a router's pods: what was written for them last. A change makes the kubelet look at once."""
SPLIT_ANNOTATION = "fairlead.dev/internal-split"
"""On a ModelDeployment: a split by hand, for trying and for tests."""


def short(revision_hash: str) -> str:
    """Return the form of a revision hash that stands in names and labels."""
    return revision_hash[:HASH_LENGTH]


def revision_name(name: str, revision_hash: str) -> str:
    """Return the name of a revision's Deployment, headless Service, HPA and digest."""
    return f"{name}-{short(revision_hash)}"


def selector(name: str, revision_hash: str) -> dict[str, str]:
    """Return the labels that select the pods of one revision and no others."""
    return {OWNER_LABEL: name, REVISION_LABEL: short(revision_hash)}


def labels(name: str, revision_hash: str | None = None) -> dict[str, str]:
    """Return the labels of a child object."""
    common = {
        "app.kubernetes.io/name": MODEL_APP,
        "app.kubernetes.io/instance": name,
        **MANAGED_BY,
        OWNER_LABEL: name,
    }
    if revision_hash is not None:
        common[REVISION_LABEL] = short(revision_hash)
    return common


def validation_name(name: str, revision_hash: str) -> str:
    """Return the name of the Job that tries a revision out."""
    return f"{revision_name(name, revision_hash)}-validate"


def validation_labels(name: str, revision_hash: str) -> dict[str, str]:
    """Return the labels of a validation's pod: none by which it would be taken for a server."""
    return {
        "app.kubernetes.io/name": VALIDATION_APP,
        "app.kubernetes.io/instance": name,
        **MANAGED_BY,
        VALIDATES_LABEL: short(revision_hash),
    }


def validation_policy_name(name: str) -> str:
    """Return the name of the NetworkPolicy of a ModelDeployment's validations."""
    return f"{name}-fl-validation"


def router_name(name: str) -> str:
    """Return the name of the router's Deployment, its PDB and the ConfigMap of its documents."""
    return f"{name}-fl-router"


def router_selector(name: str) -> dict[str, str]:
    """Return the labels that select the router's pods and no others."""
    return {ROUTER_LABEL: name}


def router_labels(name: str) -> dict[str, str]:
    """Return the labels of a router's pod.

    Not the model's: its PodDisruptionBudget would count routers as models.
    """
    return {
        "app.kubernetes.io/name": ROUTER_APP,
        "app.kubernetes.io/instance": name,
        **MANAGED_BY,
        **router_selector(name),
    }

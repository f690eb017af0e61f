"""Everything that one pass knows, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairlead_operator.planning import names
from fairlead_operator.rollout.plan import Plan
from fairlead_operator.rollout.quality import Quality
from fairlead_operator.rollout.revision import Revision
from fairlead_operator.rollout.view import Validation
from fairlead_operator.rollout.watching import Watching
from fairlead_operator.stats.drift_rules import DEFAULT, Rules
from fairlead_operator.traffic.counts import Window
from fairlead_operator.traffic.split import Split
from fairlead_operator.traffic.states import ROUTER, Router

ChildKey = tuple[str, str]
"""Kind and name of a child."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Why a pod is not ready, in words that help.

    Attributes:
        reason: Machine-readable; a member of `api.reasons.Reason`.
        message: For people: what happened, and what to do.
        stalled: True where waiting alone cannot help.
    """

    reason: str
    message: str
    stalled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What the first pod of a revision found at the model's URI."""

    digest: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Another ModelDeployment of the namespace, whose stable revision may be an arm.

    Attributes:
        name: Its name.
        key: Its stable revision's child name; None before the first one is ready.
        replicas: Replicas of that revision, ready or not.
        ready: Ready replicas of it.
    """

    name: str
    key: str | None
    replicas: int = 0
    ready: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """A revision that has to keep its address for now.

    Attributes:
        revision: Its hash.
        waiting: What a revision that is to take its place has to wait for.
    """

    revision: str
    waiting: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One ModelDeployment and what exists for it.

    Attributes:
        resource: The object as the API server gave it.
        model: `spec.model` with defaults, as JSON.
        runtime: `spec.runtime` with defaults, as JSON.
        scaling: `spec.scaling` with defaults, as JSON.
        revisions: What status remembers, oldest first.
        recognised: Hash of the remembered revision that the spec asks for, if it is known.
        children: Live objects under our control, by kind and name.
        findings: By revision hash: why its pods are not ready, where that was looked into.
        resolved: By revision hash: the model's digest, where a pod told it.
        objectives: `spec.objectives` with defaults, as JSON.
        router_always: Whether the router stays without a split (`spec.router`).
        routers: What the router's pods tell; read only while there is a router.
        router_pods: The same pods, as the API server gave them.
        neighbours: By name: other ModelDeployments that a desired split may name.
        claims: By child name: replicas that other addresses need of revisions of this one.
        plan: `spec.rollout`, as the machine reads it.
        validation_spec: `spec.validation` with defaults, as JSON.
        validation: What the Job of the revision that the spec asks for has come to.
        evidence: Counts of the rollout's step, where one is judged.
        quality: Comparisons of answers, likewise.
        readings: What `evidence` was counted from, as status keeps it.
        drift: What `spec.drift` says.
        performance: What `spec.performance` asks for; None where it does not.
        experiment: The split that an Experiment wants of this address.
        pinned: The revision that an Experiment measures.
    """

    resource: Mapping[str, Any]
    model: Mapping[str, Any]
    runtime: Mapping[str, Any]
    scaling: Mapping[str, Any]
    revisions: tuple[Revision, ...] = ()
    recognised: str | None = None
    children: Mapping[ChildKey, Mapping[str, Any]] = field(default_factory=dict)
    findings: Mapping[str, Finding] = field(default_factory=dict)
    resolved: Mapping[str, Resolved] = field(default_factory=dict)
    objectives: Mapping[str, Any] = field(default_factory=dict)
    router_always: bool = False
    routers: tuple[Router, ...] = ()
    router_pods: tuple[Mapping[str, Any], ...] = ()
    neighbours: Mapping[str, Neighbour] = field(default_factory=dict)
    claims: Mapping[str, int] = field(default_factory=dict)
    plan: Plan = field(default_factory=lambda: Plan(steps=(), validate=False))
    validation_spec: Mapping[str, Any] = field(default_factory=dict)
    validation: Validation = field(default_factory=Validation)
    evidence: Window | None = None
    quality: Quality | None = None
    readings: str = ""
    drift: Rules = DEFAULT
    performance: Watching | None = None
    experiment: Split | None = None
    pinned: Pinned | None = None

    @property
    def name(self) -> str:
        """The ModelDeployment's name."""
        return str(self.resource["metadata"]["name"])

    @property
    def min_replicas(self) -> int:
        """The least number of replicas that the user wants."""
        return int(self.scaling.get("minReplicas") or 1)

    @property
    def selected(self) -> str | None:
        """What the address selects: ROUTER, a revision's child name, or None."""
        live = self.children.get(("Service", self.name))
        selector = ((live or {}).get("spec") or {}).get("selector") or {}
        if names.ROUTER_LABEL in selector:
            return ROUTER
        found = selector.get(names.REVISION_LABEL)
        return names.revision_name(self.name, str(found)) if found else None

    def replicas(self, revision: Revision) -> tuple[int, int]:
        """Return a revision's wanted and ready replicas, as its Deployment says."""
        live = self.children.get(("Deployment", names.revision_name(self.name, revision.hash)))
        if live is None:
            return 0, 0
        status = live.get("status") or {}
        wanted = (live.get("spec") or {}).get("replicas")
        return int(wanted or 0), int(status.get("readyReplicas") or 0)

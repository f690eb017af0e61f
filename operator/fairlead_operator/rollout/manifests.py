"""The objects of one pass: what to apply, in which order, and what of ours has to go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlead_operator.planning import names
from fairlead_operator.planning.children import Children, Manifest, applied
from fairlead_operator.planning.podtemplate import pod_template
from fairlead_operator.rollout.addressing import Address
from fairlead_operator.rollout.capacity import needed_replicas
from fairlead_operator.rollout.revision import Revision, State
from fairlead_operator.rollout.settled import Settled
from fairlead_operator.rollout.snapshot import ChildKey, Snapshot
from fairlead_operator.traffic.states import ROUTER


def manifests(
    snapshot: Snapshot,
    alive: Sequence[Revision],
    address: Address,
    settled: Settled,
    *,
    dormant: bool = False,
) -> list[Manifest]:
    """Return what to apply: floors before the router's documents, those before the address.

    Args:
        snapshot: What exists.
        alive: The revisions that live.
        address: What is to become of the address.
        settled: The operator's settings.
        dormant: Whether the last of them, which the spec asks for, is to have no pods.
    """
    make = Children(snapshot.resource)
    # First: no pod of ours is there without the policy that isolates it.
    found = _policies(snapshot, alive, address, settled, make)
    selected: str | None = None
    for revision in alive:
        key = revision.child_name(snapshot.name)
        if key == address.move.select:
            selected = revision.hash
        if dormant and revision.state is State.PROGRESSING:
            continue
        template = template_of(snapshot, revision, settled, make)
        found.append(make.frozen_template(revision.hash, template))
        if revision.digest and not revision.model.get("digest"):
            found.append(make.digest(revision.hash, revision.digest))
        found.append(make.deployment(revision.hash, template))
        found.append(make.revision_service(revision.hash))
        if revision.state is State.DRAINING and revision.drain_until:
            continue  # without an autoscaler it keeps the pods that still have connections
        least = least_replicas(snapshot, revision, address)
        found.append(make.autoscaler(revision.hash, snapshot.scaling, min_replicas=least))
    found.append(make.disruption_budget())
    if address.plan is not None:
        found += make.router(address.plan)
    if selected is None and address.move.select != ROUTER:
        raise ValueError(f"the address is to select {address.move.select}, which does not live")
    found.append(make.address(selected))
    return found


def _policies(
    snapshot: Snapshot,
    alive: Sequence[Revision],
    address: Address,
    settled: Settled,
    make: Children,
) -> list[Manifest]:
    if settled.network_policies is None:
        return []
    fields = ("uri", "profileUri")
    uris = [str(each.model[field]) for each in alive for field in fields if each.model.get(field)]
    recorded = any(each.runtime.get("recordPredictionsPercent") for each in alive)
    examples = snapshot.validation_spec.get("examplesUri")
    return make.policies(
        settled.network_policies,
        uris,
        examples=None if examples is None else str(examples),
        recorder=settled.recorder,
        predictions=settled.recorder_url if recorded else "",
        routed=address.plan is not None,
        collector=settled.tracing_endpoint,
    )


def least_replicas(snapshot: Snapshot, revision: Revision, address: Address) -> int:
    """Return a revision's fewest replicas: its own, its address's, and what others claim."""
    key = revision.child_name(snapshot.name)
    return max(
        needed_replicas(snapshot, revision),
        address.move.floors.get(key, 0),
        snapshot.claims.get(key, 0),
    )


def template_of(
    snapshot: Snapshot, revision: Revision, settled: Settled, make: Children
) -> dict[str, Any]:
    """Return the template as first rendered; only a revision without one gets a new rendering."""
    name = revision.child_name(snapshot.name)
    frozen = snapshot.children.get(("ControllerRevision", name))
    if frozen is not None:
        template = (frozen.get("data") or {}).get("template")
        if isinstance(template, dict):
            return template
    rendered = _rendered(snapshot, revision, settled)
    running = snapshot.children.get(("Deployment", name))
    if running is None or applied(running) == applied(make.deployment(revision.hash, rendered)):
        return rendered
    # Somebody removed the frozen template, and this operator would render another one: what runs
    # is the best copy that there is.
    return dict(running["spec"]["template"])


def _rendered(snapshot: Snapshot, revision: Revision, settled: Settled) -> dict[str, Any]:
    return pod_template(
        name=snapshot.name,
        revision_hash=revision.hash,
        version=revision.version,
        image=revision.image,
        model=revision.model,
        runtime=revision.runtime,
        connection_age_s=settled.connection_age_s,
        private_redirects=settled.private_redirects,
        predictions=_predictions(snapshot, revision, settled),
        tracing=(settled.tracing_endpoint, settled.tracing_share),
    )


def _predictions(snapshot: Snapshot, revision: Revision, settled: Settled) -> str:
    """Return where a revision's predictions are recorded; empty where nobody takes them."""
    if not settled.recorder_url or not revision.runtime.get("recordPredictionsPercent"):
        return ""
    namespace = snapshot.resource["metadata"]["namespace"]
    place = f"/v1/modeldeployments/{namespace}/{snapshot.name}/predictions"
    return f"{settled.recorder_url}{place}?revision={names.short(revision.hash)}"


_PRUNE_ORDER = (
    "HorizontalPodAutoscaler",  # first, or it would scale up what is going
    "Deployment",
    "Service",
    "ConfigMap",
    "ControllerRevision",
    "PodDisruptionBudget",
    "Job",
    "NetworkPolicy",  # last: what it keeps from its pods is kept from them until they go
)


def prune(
    snapshot: Snapshot, wanted: Sequence[Manifest], *, kept: ChildKey | None = None
) -> tuple[ChildKey, ...]:
    """Return the objects of ours that nobody needs any more, in the order of their removal.

    Args:
        snapshot: What exists.
        wanted: What was applied.
        kept: An object that is left as it is.
    """
    keep = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in wanted}
    rolling = _router_rolls(snapshot, wanted)
    bootstraps = f"{names.router_name(snapshot.name)}-"
    gone = [
        key
        for key, live in snapshot.children.items()
        if key not in keep
        and key != kept
        and _made_here(live)
        and not live["metadata"].get("deletionTimestamp")
        and not (rolling and key[0] == "ConfigMap" and key[1].startswith(bootstraps))
    ]
    return tuple(sorted(gone, key=lambda key: (_PRUNE_ORDER.index(key[0]), key[1])))


def _router_rolls(snapshot: Snapshot, wanted: Sequence[Manifest]) -> bool:
    """Whether pods of a former router may still have to start: they need their bootstrap."""
    ident = ("Deployment", names.router_name(snapshot.name))
    for manifest in wanted:
        live = snapshot.children.get(ident)
        if (manifest["kind"], manifest["metadata"]["name"]) != ident or live is None:
            continue
        status, meta = live.get("status") or {}, live["metadata"]
        return bool(
            applied(live) != applied(manifest)
            or status.get("observedGeneration") != meta.get("generation")
            or status.get("updatedReplicas", 0) != status.get("replicas", 0)
            or status.get("readyReplicas", 0) != status.get("replicas", 0)
        )
    return False


def _made_here(live: Mapping[str, Any]) -> bool:
    """Whether the operator made it: a user's own object may name us as its owner as well."""
    labels = live["metadata"].get("labels") or {}
    return applied(live) is not None or names.MANAGED_BY.items() <= labels.items()

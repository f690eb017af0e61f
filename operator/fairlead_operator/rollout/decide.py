"""The plan of one pass: which revisions live, which has the address, what to apply and delete.

There is no canary here yet: a candidate takes the whole address when it is ready. Steps, weights
and gates will stand between `Progressing` and `Active`; everything around them is in place.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from fairlead_operator.planning import names
from fairlead_operator.planning.children import Children, Manifest
from fairlead_operator.planning.podtemplate import pod_template
from fairlead_operator.rollout.revision import (
    Revision,
    State,
    instant,
    revision_hash,
    write_instant,
)
from fairlead_operator.rollout.snapshot import ChildKey, Snapshot

_LOOK_AGAIN_S = 5.0
_LOOK_AGAIN_LATER_S = 20.0
_FRESH_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What of the operator's settings a decision depends on."""

    runtime_image: str
    drain_s: float
    connection_age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one pass wants.

    Attributes:
        revisions: All revisions that live on, oldest first.
        wanted: The revision that the spec asks for.
        active: The revision that has the address; None before the first is ready.
        manifests: Objects to apply, in this order.
        prune: Objects of ours to delete, in this order.
        freeze: Whether `revisions` holds one that status must remember before anything is made.
        requeue_after_s: When to look again without being woken.
    """

    revisions: tuple[Revision, ...]
    wanted: Revision
    active: Revision | None
    manifests: tuple[Manifest, ...]
    prune: tuple[ChildKey, ...]
    freeze: bool
    requeue_after_s: float | None


def decide(snapshot: Snapshot, settled: Settled, now: dt.datetime) -> Decision:
    """Return what to do; the same snapshot and the same `now` give the same answer."""
    known = {revision.hash: revision for revision in snapshot.revisions}
    wanted, fresh = _wanted(snapshot, known, settled, now)
    known[wanted.hash] = wanted
    active = next((r for r in known.values() if r.state is State.ACTIVE), None)

    if active is None or active.hash == wanted.hash:
        wanted = _first(snapshot, wanted, now)
    elif _may_take_over(snapshot, wanted, active):
        until = write_instant(now + dt.timedelta(seconds=settled.drain_s))
        known[active.hash] = active.to(State.DRAINING, drain_until=until)
        wanted = wanted.to(State.ACTIVE, active_at=write_instant(now), drain_until=None)
    known[wanted.hash] = wanted

    alive = tuple(r for r in known.values() if _lives(r, wanted, now))
    holder = next((r for r in alive if r.state is State.ACTIVE), None)
    manifests = _manifests(snapshot, alive, holder or wanted, settled)
    return Decision(
        revisions=alive,
        wanted=wanted,
        active=holder,
        manifests=tuple(manifests),
        prune=_prune(snapshot, manifests),
        freeze=fresh,
        requeue_after_s=_requeue_after(snapshot, alive, wanted, now),
    )


def _wanted(
    snapshot: Snapshot, known: dict[str, Revision], settled: Settled, now: dt.datetime
) -> tuple[Revision, bool]:
    """Return the revision that the spec asks for, and whether it is new."""
    active = next((r for r in known.values() if r.state is State.ACTIVE), None)
    start = snapshot.replicas(active)[0] if active else 0
    if snapshot.recognised is not None:
        revision = known[snapshot.recognised]
        if revision.state is State.DRAINING:
            # Back to a revision that has not left yet: it needs as much as any candidate.
            return revision.to(State.PROGRESSING, drain_until=None, required_replicas=start), True
        return _with_digest(snapshot, revision), False
    salt = 0
    taken = {names.short(existing) for existing in known}
    while names.short(revision_hash(snapshot.model, snapshot.runtime, salt)) in taken:
        salt += 1
    identity = revision_hash(snapshot.model, snapshot.runtime, salt)
    return (
        Revision(
            hash=identity,
            version=str(snapshot.model.get("version") or names.short(identity)),
            state=State.PROGRESSING,
            image=str(snapshot.runtime.get("image") or settled.runtime_image),
            model=snapshot.model,
            runtime=snapshot.runtime,
            created_at=write_instant(now),
            required_replicas=max(1, start),
            digest=snapshot.model.get("digest"),
        ),
        True,
    )


def _with_digest(snapshot: Snapshot, revision: Revision) -> Revision:
    found = snapshot.resolved.get(revision.hash)
    if found is None or revision.size_bytes is not None:
        return revision
    return revision.to(
        revision.state, digest=revision.digest or found.digest, size_bytes=found.size_bytes
    )


def _first(snapshot: Snapshot, wanted: Revision, now: dt.datetime) -> Revision:
    """Without another active revision the wanted one has the address from the start."""
    if wanted.state is State.ACTIVE or snapshot.replicas(wanted)[1] < 1:
        return wanted
    return wanted.to(State.ACTIVE, active_at=write_instant(now), drain_until=None)


def _may_take_over(snapshot: Snapshot, wanted: Revision, active: Revision) -> bool:
    if snapshot.replicas(active)[1] == 0:
        return snapshot.replicas(wanted)[1] >= 1  # nobody serves: any ready pod is better
    return satisfied(snapshot, wanted)


def satisfied(snapshot: Snapshot, revision: Revision) -> bool:
    """Whether a revision has as many ready replicas as it needs where it stands."""
    return snapshot.replicas(revision)[1] >= needed_replicas(snapshot, revision)


def needed_replicas(snapshot: Snapshot, revision: Revision) -> int:
    """Return the ready replicas that a revision needs: a candidate as many as it will replace."""
    if revision.state is State.PROGRESSING:
        return min(max(snapshot.min_replicas, revision.required_replicas), _ceiling(snapshot))
    return snapshot.min_replicas


def _ceiling(snapshot: Snapshot) -> int:
    return max(snapshot.min_replicas, int(snapshot.scaling.get("maxReplicas") or 1))


def _lives(revision: Revision, wanted: Revision, now: dt.datetime) -> bool:
    if revision.hash == wanted.hash or revision.state is State.ACTIVE:
        return True
    if revision.state is State.DRAINING and revision.drain_until:
        return now < instant(revision.drain_until)
    return False  # a candidate that the spec no longer asks for never had traffic


def _manifests(
    snapshot: Snapshot, alive: tuple[Revision, ...], addressed: Revision, settled: Settled
) -> list[Manifest]:
    make = Children(snapshot.resource)
    manifests: list[Manifest] = []
    for revision in alive:
        template = _template(snapshot, revision, settled)
        manifests.append(make.frozen_template(revision.hash, template))
        if revision.digest and not revision.model.get("digest"):
            manifests.append(make.digest(revision.hash, revision.digest))
        manifests.append(make.deployment(revision.hash, template))
        manifests.append(make.revision_service(revision.hash))
        least = needed_replicas(snapshot, revision)
        manifests.append(make.autoscaler(revision.hash, snapshot.scaling, min_replicas=least))
    manifests.append(make.disruption_budget())
    manifests.append(make.address(addressed.hash))
    return manifests


def _template(snapshot: Snapshot, revision: Revision, settled: Settled) -> dict[str, Any]:
    """Return the template as first rendered; only a revision without one gets a new rendering."""
    frozen = snapshot.children.get(
        ("ControllerRevision", names.revision_name(snapshot.name, revision.hash))
    )
    if frozen is not None:
        template = (frozen.get("data") or {}).get("template")
        if isinstance(template, dict):
            return template
    return pod_template(
        name=snapshot.name,
        revision_hash=revision.hash,
        version=revision.version,
        image=revision.image,
        model=revision.model,
        runtime=revision.runtime,
        connection_age_s=settled.connection_age_s,
    )


_PRUNE_ORDER = (
    "HorizontalPodAutoscaler",  # first, or it would scale up what is going
    "Deployment",
    "Service",
    "ConfigMap",
    "ControllerRevision",
    "PodDisruptionBudget",
)


def _prune(snapshot: Snapshot, manifests: list[Manifest]) -> tuple[ChildKey, ...]:
    keep = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests}
    gone = [
        key
        for key, live in snapshot.children.items()
        if key not in keep and not live["metadata"].get("deletionTimestamp")
    ]
    return tuple(sorted(gone, key=lambda key: (_PRUNE_ORDER.index(key[0]), key[1])))


def _requeue_after(
    snapshot: Snapshot, alive: tuple[Revision, ...], wanted: Revision, now: dt.datetime
) -> float | None:
    times = [
        max(1.0, (instant(revision.drain_until) - now).total_seconds())
        for revision in alive
        if revision.state is State.DRAINING and revision.drain_until
    ]
    if not satisfied(snapshot, wanted):
        # Pods tell why they do not start in words that no watch of ours brings.
        age = (now - instant(wanted.created_at)).total_seconds()
        times.append(_LOOK_AGAIN_S if age < _FRESH_S else _LOOK_AGAIN_LATER_S)
    return min(times) if times else None

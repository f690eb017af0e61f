"""The plan of one pass: which revisions live, which has the address, what to apply and delete.

There is no canary here yet: a candidate takes the whole address when it is ready. Steps, weights
and gates will stand between `Progressing` and `Active`; everything around them is in place.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlead_operator.api.reasons import ConditionType
from fairlead_operator.planning import names
from fairlead_operator.planning.children import Children, Manifest, applied
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
_LOOK_AGAIN_LIMIT_S = 60.0
_PATIENCE = 10  # a wait of some seconds is looked at again after a tenth of that
_DRAINING_LIMIT = 6  # with a long drain and many updates, status has to hold them all


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


def decide(
    snapshot: Snapshot, settled: Settled, now: dt.datetime, *, may_move: bool = True
) -> Decision:
    """Return what to do; the same snapshot and the same `now` give the same answer.

    Args:
        snapshot: What exists.
        settled: What of the operator's settings matters.
        now: The instant of the pass.
        may_move: False where the address cannot be written: then nobody gets it.
    """
    known = {revision.hash: revision for revision in snapshot.revisions}
    wanted, fresh = _wanted(snapshot, known, settled, now)
    known[wanted.hash] = wanted
    active = next((r for r in known.values() if r.state is State.ACTIVE), None)

    if fresh or not may_move:
        pass  # status has to remember a revision before anything is made of it
    elif active is None or active.hash == wanted.hash:
        wanted = _first(snapshot, wanted, now)
    elif _may_take_over(snapshot, wanted, active):
        until = write_instant(now + dt.timedelta(seconds=settled.drain_s))
        known[active.hash] = active.to(State.DRAINING, drain_until=until)
        wanted = wanted.to(State.ACTIVE, active_at=write_instant(now), drain_until=None)
    known[wanted.hash] = wanted

    alive = _alive(known, wanted, now)
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
    """Return the revision with the digest that its pods go by, once one of them told it."""
    given = snapshot.children.get(("ConfigMap", revision.child_name(snapshot.name))) or {}
    # What has been given to pods holds, also where status could not be written after it.
    digest = revision.digest or (given.get("data") or {}).get(names.DIGEST_KEY)
    found = snapshot.resolved.get(revision.hash)
    if found is None or revision.size_bytes is not None:
        return revision.to(revision.state, digest=digest)
    return revision.to(revision.state, digest=digest or found.digest, size_bytes=found.size_bytes)


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


def _alive(known: dict[str, Revision], wanted: Revision, now: dt.datetime) -> tuple[Revision, ...]:
    living = [r for r in known.values() if _lives(r, wanted, now)]
    draining = [r for r in living if r.state is State.DRAINING]
    draining.sort(key=lambda r: r.drain_until or "")
    tired = {r.hash for r in draining[:-_DRAINING_LIMIT]}
    return tuple(r for r in living if r.hash not in tired)


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
        template = _template(snapshot, revision, settled, make)
        manifests.append(make.frozen_template(revision.hash, template))
        if revision.digest and not revision.model.get("digest"):
            manifests.append(make.digest(revision.hash, revision.digest))
        manifests.append(make.deployment(revision.hash, template))
        manifests.append(make.revision_service(revision.hash))
        if revision.state is State.DRAINING:
            continue  # without an autoscaler it keeps the pods that still have connections
        least = needed_replicas(snapshot, revision)
        manifests.append(make.autoscaler(revision.hash, snapshot.scaling, min_replicas=least))
    manifests.append(make.disruption_budget())
    manifests.append(make.address(addressed.hash))
    return manifests


def _template(
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
        if key not in keep and _made_here(live) and not live["metadata"].get("deletionTimestamp")
    ]
    return tuple(sorted(gone, key=lambda key: (_PRUNE_ORDER.index(key[0]), key[1])))


def _made_here(live: Mapping[str, Any]) -> bool:
    """Whether the operator made it: a user's own object may name us as its owner as well."""
    labels = live["metadata"].get("labels") or {}
    return applied(live) is not None or names.MANAGED_BY.items() <= labels.items()


def _requeue_after(
    snapshot: Snapshot, alive: tuple[Revision, ...], wanted: Revision, now: dt.datetime
) -> float | None:
    times = [
        max(0.0, (instant(revision.drain_until) - now).total_seconds())
        for revision in alive
        if revision.state is State.DRAINING and revision.drain_until
    ]
    if not satisfied(snapshot, wanted):
        # Pods tell why they do not start in words that no watch of ours brings.
        times.append(look_again_s(snapshot.resource, wanted.created_at, now))
    return min(times) if times else None


def look_again_s(resource: Mapping[str, Any], created_at: str | None, now: dt.datetime) -> float:
    """Return when to look again at what is not ready: the later, the longer it has been so."""
    conditions = (resource.get("status") or {}).get("conditions") or ()
    since = [c["lastTransitionTime"] for c in conditions if c.get("type") == ConditionType.READY]
    since += [created_at] if created_at else []
    age = min(((now - instant(each)).total_seconds() for each in since), default=0.0)
    return min(_LOOK_AGAIN_LIMIT_S, max(_LOOK_AGAIN_S, age / _PATIENCE))

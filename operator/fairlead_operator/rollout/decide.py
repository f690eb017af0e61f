"""The plan of one pass: which revisions live, which has the address, what to apply and delete.

Whether and when a candidate gets traffic is the rollout's to say (`rolling`, `machine`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlead_operator.api.reasons import ConditionType
from fairlead_operator.api.times import instant, write_instant
from fairlead_operator.planning import names
from fairlead_operator.planning.children import Manifest
from fairlead_operator.rollout import addressing, rolling
from fairlead_operator.rollout import manifests as objects
from fairlead_operator.rollout import wanted as wanting
from fairlead_operator.rollout.addressing import Address
from fairlead_operator.rollout.capacity import satisfied, whole
from fairlead_operator.rollout.revision import Revision, State, revision_hash
from fairlead_operator.rollout.settled import Settled
from fairlead_operator.rollout.snapshot import ChildKey, Snapshot
from fairlead_operator.rollout.view import RolloutMove
from fairlead_operator.rollout.wanted import Desired
from fairlead_operator.traffic.states import Memory

_LOOK_AGAIN_S = 5.0
_LOOK_AGAIN_LIMIT_S = 60.0
_PATIENCE = 10  # a wait of some seconds is looked at again after a tenth of that
_DRAINING_LIMIT = 6  # with a long drain and many updates, status has to hold them all


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
        desired: What is desired of the address.
        address: What is to become of it in this pass.
        memory: What status is to remember of it, once all that was carried out.
        step: What the rollout wants; None where it was not asked.
        dormant: Whether the wanted revision has no pods yet, or no more.
    """

    revisions: tuple[Revision, ...]
    wanted: Revision
    active: Revision | None
    manifests: tuple[Manifest, ...]
    prune: tuple[ChildKey, ...]
    freeze: bool
    requeue_after_s: float | None
    desired: Desired
    address: Address
    memory: Memory
    step: RolloutMove | None = None
    dormant: bool = False


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
    memory = addressing.remembered(snapshot, now)
    step = None
    if wanting.by_others(snapshot, active):
        desired = wanting.desired(snapshot, settled, active, tuple(known.values()), memory)
        if active is None and not fresh and may_move:
            wanted = _first(snapshot, wanted, now)
    else:
        wanted = rolling.with_capacity(snapshot, wanted, active, memory)
        # Status has to remember a revision before anybody gets anything from it.
        step = rolling.move(snapshot, active, wanted, memory, now, new=fresh, may_move=may_move)
        wanted = rolling.measured(snapshot, wanted, step)
        desired = rolling.desired(step, snapshot, settled, active, wanted, memory)
        if step.promote and may_move:
            if active is not None and active.hash != wanted.hash:
                known[active.hash] = active.to(State.DRAINING, drain_until=None)
            wanted = wanted.to(State.ACTIVE, active_at=write_instant(now), drain_until=None)
            desired = Desired()
    if desired.promote:  # it is to land on as much as the stable had when the split began
        wanted = _with_capacity(wanted, desired, whole(snapshot, wanted, memory.at_start))
    known[wanted.hash] = wanted

    holder = next((r for r in known.values() if r.state is State.ACTIVE), None)
    address = addressing.decide(snapshot, settled, holder or wanted, desired, memory, now)
    if not desired.promote:
        floor = address.move.floors.get(wanted.child_name(snapshot.name), 1)
        wanted = known[wanted.hash] = _with_capacity(wanted, desired, floor)
    alive = _alive(snapshot, known, wanted, address, settled, now)
    dormant = _dormant(snapshot, wanted, step, address)
    manifests = objects.manifests(snapshot, alive, address, settled, dormant=dormant)
    kept = None
    if step is not None:
        job = rolling.job(snapshot, wanted, step, settled)
        manifests[:0] = job.manifests
        kept = job.kept
    moved = may_move or address.move.select == snapshot.selected
    return Decision(
        revisions=alive,
        wanted=wanted,
        active=holder,
        manifests=tuple(manifests),
        prune=objects.prune(snapshot, manifests, kept=kept),
        freeze=fresh,
        requeue_after_s=_requeue_after(snapshot, alive, wanted, address, step, now),
        desired=desired,
        address=address,
        memory=address.move.memory if moved else memory,
        step=step,
        dormant=dormant,
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
            image=settled.image(snapshot.runtime),
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


def _dormant(
    snapshot: Snapshot,
    wanted: Revision,
    step: RolloutMove | None,
    address: Address,
) -> bool:
    """Whether the wanted revision has no pods: it is not validated yet, or was rolled back."""
    key = wanted.child_name(snapshot.name)
    if wanted.state is State.ACTIVE or key in snapshot.claims or key in address.arms:
        return False
    if step is None:
        # It waits for an Experiment: ready to go where it needs no validation first.
        return wanting.by_hand(snapshot.resource) is None and snapshot.plan.validate
    return not step.start


def _with_capacity(wanted: Revision, desired: Desired, replicas: int) -> Revision:
    """Return the candidate with the replicas that it needs: for everything, or for its share."""
    if wanted.state is not State.PROGRESSING:
        return wanted
    if desired.promote:
        replicas = max(wanted.required_replicas, replicas)
    return wanted.to(wanted.state, required_replicas=max(1, replicas))


def _alive(
    snapshot: Snapshot,
    known: dict[str, Revision],
    wanted: Revision,
    address: Address,
    settled: Settled,
    now: dt.datetime,
) -> tuple[Revision, ...]:
    """Return the revisions that live on; the drain of one begins when no address needs it."""
    in_use = address.in_use | snapshot.claims.keys()
    until = write_instant(now + dt.timedelta(seconds=settled.drain_s))
    living: list[Revision] = []
    for revision in known.values():
        used = revision.child_name(snapshot.name) in in_use
        if revision.hash == wanted.hash or revision.state is State.ACTIVE:
            living.append(revision)
        elif used:
            living.append(revision.to(State.DRAINING, drain_until=None))
        elif revision.state is State.DRAINING:
            left = revision.drain_until or until
            if now < instant(left):
                living.append(revision.to(State.DRAINING, drain_until=left))
        # Else a candidate that the spec no longer asks for, which never had traffic.
    draining = [r for r in living if r.state is State.DRAINING and r.drain_until]
    draining.sort(key=lambda r: r.drain_until or "")
    tired = {r.hash for r in draining[:-_DRAINING_LIMIT]}
    return tuple(r for r in living if r.hash not in tired)


def _requeue_after(
    snapshot: Snapshot,
    alive: tuple[Revision, ...],
    wanted: Revision,
    address: Address,
    step: RolloutMove | None,
    now: dt.datetime,
) -> float | None:
    times = [
        max(0.0, (instant(revision.drain_until) - now).total_seconds())
        for revision in alive
        if revision.state is State.DRAINING and revision.drain_until
    ]
    if address.move.wake_s is not None:
        times.append(address.move.wake_s)
    if step is not None and step.wake_s is not None:
        times.append(step.wake_s)
    started = step is None or step.start or wanted.state is State.ACTIVE
    if started and not satisfied(snapshot, wanted):
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

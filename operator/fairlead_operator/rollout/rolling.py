"""A rollout in its ModelDeployment: from a snapshot to the machine's view, and what it asks for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlead_operator.planning import names, validation
from fairlead_operator.planning.children import Children, Manifest
from fairlead_operator.rollout import capacity, imperatives, memoryjson, reporting, wanted
from fairlead_operator.rollout import memory as memories
from fairlead_operator.rollout.machine import SPLIT, advance
from fairlead_operator.rollout.manifests import template_of
from fairlead_operator.rollout.revision import Revision
from fairlead_operator.rollout.revision import State as RevisionState
from fairlead_operator.rollout.settled import Settled
from fairlead_operator.rollout.snapshot import ChildKey, Snapshot
from fairlead_operator.rollout.view import Job, Live, RolloutMove, RolloutView, Side, Trial
from fairlead_operator.rollout.wanted import Desired
from fairlead_operator.traffic.split import Mirror, Split
from fairlead_operator.traffic.states import Memory as Address
from fairlead_operator.traffic.states import State as AddressState
from fairlead_runtime.contract.assignment import SLOTS

_WAITING = {
    AddressState.STARTING: "the router starts",
    AddressState.SETTLING: "connections from before the flip end",
}


def remembered(resource: Mapping[str, Any], now: dt.datetime) -> memories.Memory | None:
    """Return what status remembers of the rollout; None where it has never said anything."""
    found = (resource.get("status") or {}).get("rollout")
    return memoryjson.from_json(found, now) if isinstance(found, Mapping) else None


def judged_since(resource: Mapping[str, Any], now: dt.datetime) -> tuple[dt.datetime | None, bool]:
    """Return since when evidence is wanted, if it is, and whether answers to copies are as well."""
    memory = remembered(resource, now)
    if memory is None or memory.phase not in SPLIT:
        return None, False
    return memory.live_at, memory.phase is memories.Phase.SHADOW


def readings(resource: Mapping[str, Any]) -> str:
    """Return what the evidence was counted from, as status has it; empty where it has nothing."""
    found = (resource.get("status") or {}).get("rollout")
    return str(found.get(reporting.READINGS) or "") if isinstance(found, Mapping) else ""


def validating(resource: Mapping[str, Any], revision_hash: str, now: dt.datetime) -> bool:
    """Whether a revision is being tried out: only then does anybody look at its Job."""
    memory = remembered(resource, now)
    return (
        memory is not None
        and memory.phase is memories.Phase.VALIDATING
        and memory.hash == revision_hash
    )


def move(
    snapshot: Snapshot,
    stable: Revision | None,
    candidate: Revision,
    address: Address,
    now: dt.datetime,
    *,
    new: bool,
    may_move: bool = True,
) -> RolloutMove:
    """Return the rollout's next step.

    Args:
        snapshot: What exists.
        stable: The revision that has the address.
        candidate: The revision that the spec asks for, which may be the same.
        address: What is remembered of the address.
        now: The instant of the pass.
        new: Whether status does not remember the candidate yet: then it gets nothing.
        may_move: False where the address cannot be written: then it gets nothing more.
    """
    memory = remembered(snapshot.resource, now)
    other = stable is None or stable.hash != candidate.hash
    annotations = snapshot.resource["metadata"].get("annotations")
    view = RolloutView(
        plan=snapshot.plan,
        memory=memory,
        stable=None if stable is None else _side(snapshot, stable),
        candidate=_side(snapshot, candidate, new=new or not may_move) if other else None,
        live=_live(snapshot, memory, address),
        evidence=snapshot.evidence,
        quality=snapshot.quality,
        validation=snapshot.validation,
        imperatives=imperatives.of(annotations),
        unreachable=capacity.sized(snapshot, candidate).unreachable,
        movable=may_move,
    )
    return advance(view, now)


def at_once(snapshot: Snapshot, stable: Revision | None) -> bool:
    """Whether a candidate gets the whole address when it is ready for all of it."""
    return stable is None or (not snapshot.plan.steps and snapshot.plan.mirror is None)


def with_capacity(
    snapshot: Snapshot, candidate: Revision, stable: Revision | None, address: Address
) -> Revision:
    """Return the candidate with the replicas that all traffic needs, where it gets it at once."""
    if candidate.state is not RevisionState.PROGRESSING or not at_once(snapshot, stable):
        return candidate
    whole = capacity.whole(snapshot, candidate, address.at_start)
    needed = max(1, candidate.required_replicas, whole)
    return candidate.to(candidate.state, required_replicas=needed)


def measured(snapshot: Snapshot, candidate: Revision, step: RolloutMove) -> Revision:
    """Return the candidate with what its validation measured, and the digest that it tried out."""
    found = step.memory.measured
    if step.memory.hash != candidate.hash or found is None:
        return candidate
    digest = candidate.digest
    if snapshot.validation.trial is Trial.PASSED:
        digest = digest or snapshot.validation.digest
    return candidate.to(
        candidate.state,
        throughput_rps=found.throughput_rps or None,
        latency_p99_micros=found.latency_p99_micros or None,
        digest=digest,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWish:
    """What is to become of the validation Job: what to apply, and what not to remove."""

    manifests: tuple[Manifest, ...] = ()
    kept: ChildKey | None = None


def job(snapshot: Snapshot, candidate: Revision, step: RolloutMove, settled: Settled) -> JobWish:
    """Return what is to become of the validation Job of the candidate.

    It is made once and never applied again: its template cannot be changed.
    """
    ident = ("Job", names.validation_name(snapshot.name, candidate.hash))
    if step.job is Job.KEEP:
        return JobWish(kept=ident)
    if step.job is not Job.RUN:
        return JobWish()
    if ident in snapshot.children:
        return JobWish(kept=ident)
    make = Children(snapshot.resource)
    spec = validation.job_spec(
        name=snapshot.name,
        revision_hash=candidate.hash,
        template=template_of(snapshot, candidate, settled, make),
        validation=snapshot.validation_spec,
        objectives=snapshot.objectives,
        threads=candidate.runtime.get("threads"),
    )
    return JobWish(manifests=(make.validation(candidate.hash, spec),), kept=ident)


def desired(
    step: RolloutMove,
    snapshot: Snapshot,
    settled: Settled,
    stable: Revision | None,
    candidate: Revision,
    address: Address,
) -> Desired:
    """Return what a rollout desires of the address.

    Args:
        step: What the machine wants.
        snapshot: What exists.
        settled: The operator's settings.
        stable: The revision that had the address when it wanted that.
        candidate: The revision that the spec asks for.
        address: What is remembered of the address: a grown share moves nobody out.
    """
    whole = at_once(snapshot, stable)
    if stable is None or not step.split or step.revision != candidate.hash:
        return Desired(promote=whole)
    arms = (
        wanted.arm(snapshot, settled, stable),
        wanted.arm(snapshot, settled, candidate),
    )
    header = snapshot.plan.header
    users = (header, candidate.hash if header else "")
    weights = {arms[0].name: SLOTS - step.slots, arms[1].name: step.slots}
    mirror = None
    if step.mirrored:
        mirror = Mirror(arm=arms[1], share=step.mirrored, compared=step.mirrored)
    split = Split(
        arms=arms,
        table=wanted.table(address, arms, weights, users),
        header=users[0],
        salt=users[1],
        mirror=mirror,
    )
    return Desired(split=split, promote=False)


def _side(snapshot: Snapshot, revision: Revision, *, new: bool = False) -> Side:
    return Side(
        hash=revision.hash,
        key=revision.child_name(snapshot.name),
        version=revision.version,
        ready=not new and snapshot.replicas(revision)[1] > 0,
        enough=not new and capacity.satisfied(snapshot, revision),
    )


def _live(snapshot: Snapshot, memory: memories.Memory | None, address: Address) -> Live:
    """Return what the address does for the revision that the rollout is about."""
    written = address.configuration
    about = None if memory is None else memory.hash
    if written is None or about is None or address.state is AddressState.DRAINING:
        return Live()
    key = next((r.child_name(snapshot.name) for r in snapshot.revisions if r.hash == about), None)
    mirror = written.split.mirror
    mirrored = mirror.share if mirror is not None and mirror.arm.key == key else 0
    slots = sum(written.split.counts[arm.name] for arm in written.split.arms if arm.key == key)
    known = key in {arm.key for arm in (*written.split.arms, *written.arms, *written.mirrored)}
    if not known:
        return Live()
    routed = address.state is AddressState.SPLIT
    return Live(
        hash=about,
        slots=slots,
        mirrored=mirrored,
        since=address.confirmed_at if routed else None,
        message=_WAITING.get(address.state, ""),
    )

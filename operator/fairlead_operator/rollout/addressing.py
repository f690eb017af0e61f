"""The address of one ModelDeployment: from a snapshot to a view, a move, and what it asks for."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from dataclasses import dataclass

from fairlead_operator.api import duration
from fairlead_operator.api.reasons import Reason
from fairlead_operator.planning import names, router
from fairlead_operator.rollout import diagnosis, wanted
from fairlead_operator.rollout.capacity import ceiling, sized
from fairlead_operator.rollout.revision import Revision
from fairlead_operator.rollout.revision import State as RevisionState
from fairlead_operator.rollout.settled import Settled
from fairlead_operator.rollout.snapshot import Finding, Snapshot
from fairlead_operator.rollout.wanted import Desired
from fairlead_operator.traffic import address, bootstrap, documents, split
from fairlead_operator.traffic import memory as memories
from fairlead_operator.traffic.split import Settings
from fairlead_operator.traffic.states import (
    ROUTER,
    Hold,
    Memory,
    Move,
    State,
    Timing,
    View,
    Want,
)

_KICK_AGAIN_S = 2.0
_MOST_KICKS = 20
_REASONS = {
    Hold.ROUTER_NOT_READY: Reason.ROUTER_NOT_READY,
    Hold.ROUTER_GONE: Reason.ROUTER_GONE,
    Hold.ROUTER_UNCONFIRMED: Reason.ROUTER_UNCONFIRMED,
    Hold.SETTLING: Reason.SETTLING,
    Hold.CAPACITY_MISSING: Reason.CAPACITY_MISSING,
}
"""A draining router is no reason not to be ready: who is to have the address has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kick:
    """A router's pod whose annotation has to change, so that its kubelet looks at once."""

    pod: str
    uid: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What is to become of the address in this pass.

    Attributes:
        move: What was decided.
        before: What was remembered when it was.
        plan: What the router is made of; None where there is to be none.
        kicks: The router's pods to be told of new documents, once those are written.
        finding: Why the address is not yet as is wanted.
    """

    move: Move
    before: Memory
    plan: router.Plan | None
    kicks: tuple[Kick, ...] = ()
    finding: Finding | None = None

    @property
    def arms(self) -> frozenset[str]:
        """Child names of all arms that the routers know."""
        written = self.move.configuration
        if written is None:
            return frozenset()
        return frozenset(arm.key for arm in (*written.split.arms, *written.arms, *written.mirrored))

    @property
    def in_use(self) -> frozenset[str]:
        """Child names of all arms that have, or may still get, requests by this address."""
        return self.arms | ({self.move.select} - {ROUTER})


def remembered(snapshot: Snapshot, now: dt.datetime) -> Memory:
    """Return what status remembers; where it makes no sense, what can be seen from the cluster."""
    status = snapshot.resource.get("status") or {}
    found = memories.read(status.get("traffic"))
    if found is None:
        state = State.SETTLING if snapshot.selected == ROUTER else State.DIRECT
        active = next((r for r in snapshot.revisions if r.state is RevisionState.ACTIVE), None)
        start = snapshot.replicas(active)[0] if active and state is State.SETTLING else 0
        found = Memory(state=state, since=now, at_start=start)
    # The user's own limit holds for what a rollback has to land on as well.
    return dataclasses.replace(found, at_start=min(found.at_start, ceiling(snapshot)))


def routed(snapshot: Snapshot) -> bool:
    """Whether there is a router whose pods have to be asked before anything is decided."""
    status = snapshot.resource.get("status") or {}
    return bool(status.get("traffic")) or snapshot.selected == ROUTER


def decide(
    snapshot: Snapshot,
    settled: Settled,
    stable: Revision,
    desired: Desired,
    memory: Memory,
    now: dt.datetime,
) -> Address:
    """Return what is to become of the address.

    Args:
        snapshot: What exists.
        settled: The operator's settings.
        stable: Who has everything where nothing is split, and who is the control where it is.
        desired: What is desired.
        memory: What is remembered.
        now: The instant of the pass.
    """
    settings = router_settings(snapshot, settled)
    timing = Timing(
        settle_s=settled.settle_s,
        connection_age_s=settled.connection_age_s,
        forget_s=float(settings.timeout_s),
    )
    view = _view(snapshot, settled, stable, desired, memory)
    move = address.decide(view, settings, timing, now)
    plan = None
    if move.configuration is not None:
        plan = router.Plan(
            image=settled.router_image,
            args=bootstrap.arguments(settings, router.bootstrap_file()),
            bootstrap=documents.bootstrap_file(settings),
            documents=documents.files(move.configuration, settings),
            connection_age_s=settings.connection_age_s,
        )
    return Address(
        move=move,
        before=memory,
        plan=plan,
        kicks=_kicks(snapshot, settings, move, plan, now),
        finding=_finding(snapshot, move, timing, now),
    )


def router_settings(snapshot: Snapshot, settled: Settled) -> Settings:
    """Return what of a router's configuration does not change with the split."""
    latency, asked = snapshot.objectives.get("maxLatencyMs"), snapshot.objectives.get("timeout")
    limits = {int(each) for each in (latency, snapshot.plan.limits.latency_p99_ms) if each}
    return Settings(
        name=snapshot.name,
        timeout_s=split.timeout_s(
            max_latency_ms=latency, asked_s=None if asked is None else duration.seconds(asked)
        ),
        latency_limits_ms=tuple(sorted(limits)),
        connection_age_s=max(1, math.ceil(settled.connection_age_s)),
        workers=split.workers(router.CPU_LIMIT_MILLIS),
        routers=router.REPLICAS,
        metrics_port=router.METRICS_PORT,
        recorder=settled.recorder,
        recorder_ca=settled.recorder_ca,
        collector=settled.tracing_endpoint.removeprefix("http://") or None,
        trace_share=settled.tracing_share,
        folder=router.DOCUMENTS_DIR,
    )


def _view(
    snapshot: Snapshot, settled: Settled, stable: Revision, desired: Desired, memory: Memory
) -> View:
    counts = {
        revision.child_name(snapshot.name): snapshot.replicas(revision)
        for revision in (*snapshot.revisions, stable)
    }
    counts |= {
        each.key: (each.replicas, each.ready)
        for each in snapshot.neighbours.values()
        if each.key is not None
    }
    return View(
        memory=memory,
        selected=snapshot.selected,
        want=Want(
            stable=_control(snapshot, settled, stable, desired),
            split=desired.split,
            always=snapshot.router_always,
            least=snapshot.min_replicas,
        ),
        routers=snapshot.routers,
        routers_wanted=router.REPLICAS,
        replicas={key: count for key, (count, _) in counts.items()},
        ready={key: ready for key, (_, ready) in counts.items()},
        sized={
            revision.child_name(snapshot.name): sized(snapshot, revision).replicas
            for revision in (*snapshot.revisions, stable)
        },
    )


def _control(snapshot: Snapshot, settled: Settled, stable: Revision, desired: Desired) -> split.Arm:
    """Return the stable as an arm: under the name that the split has for it."""
    if desired.split is not None:
        return desired.split.control
    return wanted.arm(snapshot, settled, stable)


def _kicks(
    snapshot: Snapshot,
    settings: Settings,
    move: Move,
    plan: router.Plan | None,
    now: dt.datetime,
) -> tuple[Kick, ...]:
    """Return the pods to annotate: a kubelet looks at a ConfigMap a minute later on its own.

    Should it have looked before the new ConfigMap had reached it, it is told again after a while.
    """
    if plan is None or move.configuration is None:
        return ()
    versions = documents.versions(move.configuration, settings)
    behind = {r.name for r in snapshot.routers if r.versions not in (None, versions)}
    silent = {r.name for r in snapshot.routers if r.versions is None}
    waited = (now - move.memory.written_at).total_seconds() if move.memory.written_at else 0.0
    again = min(_MOST_KICKS, int(waited / _KICK_AGAIN_S))
    kicks = []
    for pod in snapshot.router_pods:
        meta, phase = pod["metadata"], (pod.get("status") or {}).get("phase")
        late = meta["name"] in behind
        if meta.get("deletionTimestamp") or phase != "Running":
            continue  # one that only starts finds the documents as they are
        told = str((meta.get("annotations") or {}).get(names.ROUTER_ANNOTATION) or "")
        value = f"{plan.documents_hash}.{again if late else 0}"
        news = not told.startswith(f"{plan.documents_hash}.") and meta["name"] in silent
        if told != value and (late or news):
            kicks.append(Kick(pod=meta["name"], uid=meta["uid"], value=value))
    return tuple(kicks)


def _finding(snapshot: Snapshot, move: Move, timing: Timing, now: dt.datetime) -> Finding | None:
    reason = None if move.hold is None else _REASONS.get(move.hold)
    if reason is None:
        return None
    written = move.memory.written_at or now
    patient = (now - written).total_seconds() < timing.confirm_s
    if reason is Reason.ROUTER_UNCONFIRMED and patient:
        return None  # what was written a moment ago is on its way
    text = move.message
    if reason in (Reason.ROUTER_NOT_READY, Reason.ROUTER_GONE):
        deployment = snapshot.children.get(("Deployment", names.router_name(snapshot.name)))
        why = diagnosis.diagnose(deployment, snapshot.router_pods)
        text += f": {why.message}" if why is not None else ""
    return Finding(reason=reason.value, message=text, stalled=False)

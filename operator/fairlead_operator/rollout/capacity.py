"""How many replicas a revision needs, and whether it has them."""

from __future__ import annotations

from fairlead_operator.rollout.revision import Revision, State
from fairlead_operator.rollout.sizing import Measured, Sizing, size
from fairlead_operator.rollout.snapshot import Snapshot


def satisfied(snapshot: Snapshot, revision: Revision) -> bool:
    """Whether a revision has as many ready replicas as it needs where it stands."""
    return snapshot.replicas(revision)[1] >= needed_replicas(snapshot, revision)


def needed_replicas(snapshot: Snapshot, revision: Revision) -> int:
    """Return the ready replicas that a revision needs: a candidate as many as its share needs."""
    if revision.state is State.PROGRESSING:
        return min(max(snapshot.min_replicas, revision.required_replicas), ceiling(snapshot))
    return sized(snapshot, revision).replicas


def whole(snapshot: Snapshot, revision: Revision, at_start: int) -> int:
    """Return the replicas that a revision needs for all of the traffic.

    Args:
        snapshot: What exists.
        revision: The revision.
        at_start: Replicas of the stable revision when the split began.
    """
    return max(at_start, sized(snapshot, revision).replicas)


def sized(snapshot: Snapshot, revision: Revision) -> Sizing:
    """Return the least replicas by the objectives, from what the revision's validation measured."""
    measured = Measured(throughput_rps=revision.throughput_rps or 0)
    return size(measured, snapshot.scaling, snapshot.objectives)


def ceiling(snapshot: Snapshot) -> int:
    """Return the most replicas that the user allows."""
    return max(snapshot.min_replicas, int(snapshot.scaling.get("maxReplicas") or 1))

"""What is desired of an address, before anybody asks whether it can be: pure, from a snapshot.

This is where splits come from. Whoever wants one says it here and nowhere else; the states of the
address (`traffic.address`) carry it out, hold it, or lead back from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairlead_operator.api.reasons import Reason
from fairlead_operator.planning import names
from fairlead_operator.rollout.revision import Revision
from fairlead_operator.rollout.settled import Settled
from fairlead_operator.rollout.snapshot import Finding, Neighbour, Snapshot
from fairlead_operator.traffic import slots
from fairlead_operator.traffic.errors import TrafficError
from fairlead_operator.traffic.split import Arm, Mirror, Split
from fairlead_operator.traffic.states import Memory
from fairlead_runtime.contract.assignment import SLOTS, Run, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What is desired of an address.

    Attributes:
        split: The split; its control is the stable revision. None: one revision has everything.
        promote: Whether the candidate replaces the stable when it has enough ready replicas.
        problem: What is wrong with what was asked for, for people.
    """

    split: Split | None = None
    promote: bool = True
    problem: Finding | None = None


def desired(
    snapshot: Snapshot,
    settled: Settled,
    stable: Revision | None,
    revisions: Sequence[Revision],
    memory: Memory,
) -> Desired:
    """Return what is desired.

    Args:
        snapshot: What exists.
        settled: The operator's settings.
        stable: The revision that has the address; None before the first one is ready.
        revisions: All revisions that live.
        memory: What was written for the routers last: a changed split moves as few users as it can.
    """
    text = by_hand(snapshot.resource)
    if stable is None:
        return Desired()
    if text is None:
        return _of_experiment(snapshot, stable)
    try:
        split = _by_hand(text, snapshot, settled, stable, revisions, memory)
    except (TrafficError, ValueError, TypeError, KeyError, AttributeError) as error:
        return Desired(split=_as_it_is(memory, stable, snapshot), promote=False, problem=_no(error))
    return Desired(split=split, promote=False)


def _of_experiment(snapshot: Snapshot, stable: Revision) -> Desired:
    """Return what an Experiment desires: its arms stay what they are, their replicas need not."""
    split, pinned = snapshot.experiment, snapshot.pinned
    if pinned is None or pinned.revision != stable.hash:
        return Desired()  # what it measures has not got the address, or no longer: it will notice
    if split is not None and split.control.key != stable.child_name(snapshot.name):
        split = None
    waits = snapshot.recognised != stable.hash
    return Desired(split=split, promote=False, problem=pinned.waiting if waits else None)


def by_others(snapshot: Snapshot, stable: Revision | None) -> bool:
    """Whether somebody but the rollout has a say in the address: an Experiment, or a hand."""
    if by_hand(snapshot.resource) is not None:
        return True
    pinned = snapshot.pinned
    return stable is not None and pinned is not None and pinned.revision == stable.hash


def neighbours(resource: Mapping[str, Any]) -> frozenset[str]:
    """Return the other ModelDeployments of the namespace whose revisions a split may name."""
    text = by_hand(resource)
    try:
        asked = json.loads(text or "{}").get("modelDeployments") or {}
        return frozenset(str(name) for name in asked.values())
    except (ValueError, AttributeError):
        return frozenset()


def by_hand(resource: Mapping[str, Any]) -> str | None:
    """Return the split that an annotation asks for, as it is written there."""
    found = (resource["metadata"].get("annotations") or {}).get(names.SPLIT_ANNOTATION)
    return None if found is None else str(found)


def arm(snapshot: Snapshot, settled: Settled, revision: Revision, name: str | None = None) -> Arm:
    """Return a revision of this ModelDeployment as an arm, by default named after itself."""
    return _arm(snapshot, settled, revision.child_name(snapshot.name), name)


def foreign_arm(snapshot: Snapshot, settled: Settled, neighbour: Neighbour, name: str) -> Arm:
    """Return the stable revision of another ModelDeployment as an arm.

    Raises:
        TrafficError: It has none.
    """
    if neighbour.key is None:
        raise TrafficError(f"ModelDeployment {neighbour.name} has no ready version")
    return _arm(snapshot, settled, neighbour.key, name)


def table(
    memory: Memory, arms: Sequence[Arm], weights: Mapping[str, int], users: tuple[str | None, str]
) -> Table:
    """Return the slot table with these weights that moves the fewest users from the last one.

    Args:
        memory: What was written for the routers last.
        arms: The arms of the new split; the first is the control.
        weights: Slots by the arm's name.
        users: Header and salt of the new split: other users have no arm yet.

    Raises:
        TrafficError: The weights are impossible.
    """
    start = slots.all_to(arms[0].name)
    last = None if memory.configuration is None else memory.configuration.split
    if last is not None and (last.header, last.salt) == users:
        key_of = {each.name: each.key for each in last.arms}
        name_of = {each.key: each.name for each in arms}
        # Who is no longer there keeps a name that nobody has, and so loses everything.
        renamed = (Run(name_of.get(key_of[r.arm], f"{r.arm}/gone"), r.slots) for r in last.table)
        start = tuple(renamed)
    return slots.change(start, weights).table


def _by_hand(
    text: str,
    snapshot: Snapshot,
    settled: Settled,
    stable: Revision,
    revisions: Sequence[Revision],
    memory: Memory,
) -> Split:
    """Return the split of the annotation.

    Its JSON has `weights` (slots by revision or variant; the stable gets the rest), and may have
    `modelDeployments` (variant to ModelDeployment), `header`, `salt`, `experiment` and `mirror`
    (`to`, `share`, `compared`).
    """
    asked = json.loads(text)
    foreign = {str(k): str(v) for k, v in (asked.get("modelDeployments") or {}).items()}

    def find(name: str) -> Arm:
        if name in foreign:
            there = snapshot.neighbours.get(foreign[name])
            if there is None:
                raise TrafficError(f"there is no ModelDeployment {foreign[name]}")
            return foreign_arm(snapshot, settled, there, name)
        for revision in reversed(revisions):
            if name in (revision.version, names.short(revision.hash)):
                return arm(snapshot, settled, revision)
        raise TrafficError(f"there is no revision {name}")

    control = arm(snapshot, settled, stable)
    weights = {control.name: SLOTS}
    arms = {control.name: control}
    for name, wanted in (asked.get("weights") or {}).items():
        found, share = find(str(name)), int(wanted)
        arms.setdefault(found.name, found)
        if found != control:
            weights[found.name] = share
            weights[control.name] -= share
    header = asked.get("header")
    users = (None if header is None else str(header), str(asked.get("salt") or ""))
    copies = asked.get("mirror")
    mirror = None
    if copies:
        mirror = Mirror(
            arm=find(str(copies["to"])),
            share=int(copies["share"]),
            compared=int(copies.get("compared") or 0),
        )
    return Split(
        arms=tuple(arms.values()),
        table=table(memory, tuple(arms.values()), weights, users),
        header=users[0],
        salt=users[1],
        experiment=asked.get("experiment"),
        mirror=mirror,
    )


def _as_it_is(memory: Memory, stable: Revision, snapshot: Snapshot) -> Split | None:
    """Return the split that the routers have: nobody is moved by a slip of the pen."""
    split = None if memory.configuration is None else memory.configuration.split
    if split is None or split.control.key != stable.child_name(snapshot.name):
        return None
    return split


def _no(error: Exception) -> Finding:
    text = f"annotation {names.SPLIT_ANNOTATION}: {str(error) or type(error).__name__}"
    return Finding(reason=Reason.INVALID_SPLIT.value, message=text, stalled=True)


def _arm(snapshot: Snapshot, settled: Settled, key: str, name: str | None) -> Arm:
    namespace = snapshot.resource["metadata"]["namespace"]
    # With the dot at its end a name is asked for as it is: no search domain can answer for it.
    host = f"{key}.{namespace}.svc.{settled.cluster_domain}."
    return Arm(name=name or key, key=key, host=host)

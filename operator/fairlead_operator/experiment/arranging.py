"""Arms, tables and epochs: what is remembered of who gets which arm."""

from __future__ import annotations

import dataclasses
import datetime as dt

from fairlead_operator.api.v1alpha1.experimentstatus import MAX_EPOCHS
from fairlead_operator.experiment.facts import Snapshot
from fairlead_operator.experiment.memory import Arm, Epoch, Memory, slots_of
from fairlead_operator.traffic import slots, weights


def arranged(snapshot: Snapshot, now: dt.datetime) -> Memory:
    """Return the memory with the arms as they are now and a table for the weights.

    The recorder may know the last table already, so that another one is another epoch.
    """
    spec, before = snapshot.spec, snapshot.memory
    arms = tuple(
        Arm(
            name=variant.name,
            model_deployment=variant.model_deployment,
            revision=snapshot.members[variant.model_deployment].revision or "",
            key=snapshot.members[variant.model_deployment].key,
            host=snapshot.members[variant.model_deployment].host,
        )
        for variant in spec.variants
    )
    if before.table and before.names == tuple(arm.name for arm in arms):
        memory, _ = with_weights(snapshot, now)
    else:
        wanted = wanted_slots(snapshot)
        memory = Memory(
            header=spec.assignment.header.lower(),
            salt=spec.assignment.salt or snapshot.uid,
            table=slots.change(slots.all_to(arms[0].name), wanted).table,
            epochs=(Epoch(number=1, since=now, slots=tuple(wanted.values())),),
        )
    new = dataclasses.replace(memory, arms=arms)
    return new if new == before else dataclasses.replace(new, split=False)


def wanted_slots(snapshot: Snapshot) -> dict[str, int]:
    """Return the slots that each arm is to have by the spec."""
    return weights.slots({variant.name: variant.weight for variant in snapshot.spec.variants})


def with_weights(snapshot: Snapshot, now: dt.datetime) -> tuple[Memory, str]:
    """Return the memory with the spec's weights: a new epoch where they are others."""
    memory = snapshot.memory
    wanted = wanted_slots(snapshot)
    known = max(snapshot.aggregates.epochs, default=0) if snapshot.aggregates else 0
    last = memory.epochs[-1].number
    # A table that the recorder was told of and no router ever got has made units leave: the next
    # epoch, with whatever table, is one that they do not leave.
    same = slots_of(memory.table, memory.names) == tuple(wanted[name] for name in memory.names)
    if same and known <= last:
        return memory, ""
    if not snapshot.registered:
        return memory, "the weights change when the recorder answers again"
    if len(memory.epochs) >= MAX_EPOCHS:
        return memory, (
            f"the weights have changed {len(memory.epochs) - 1} times, which is all that can be "
            "kept apart: they stay as they are"
        )
    new = Epoch(
        number=max(last, known) + 1,
        since=now,
        slots=tuple(wanted[name] for name in memory.names),
    )
    table = slots.change(memory.table, wanted).table
    return dataclasses.replace(memory, table=table, epochs=(*memory.epochs, new)), ""


def with_availability(snapshot: Snapshot, now: dt.datetime) -> Memory:
    """Return the memory with since when each arm has not been ready."""
    arms = []
    for arm in snapshot.memory.arms:
        member = snapshot.members.get(arm.model_deployment)
        fine = member is not None and member.ready and member.revision == arm.revision
        since = None if fine else arm.unavailable_since or now
        arms.append(dataclasses.replace(arm, unavailable_since=since))
    return dataclasses.replace(snapshot.memory, arms=tuple(arms))

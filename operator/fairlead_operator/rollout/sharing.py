"""What status and Events say of an address that has a router."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead_operator.api.conditions import Note
from fairlead_operator.rollout.addressing import Address
from fairlead_operator.rollout.snapshot import Snapshot
from fairlead_operator.traffic import memory as memories
from fairlead_operator.traffic.states import Memory, State


def percent(memory: Memory, key: str) -> int:
    """Return an arm's share in whole percent, at least 1 where it has any."""
    if memory.configuration is None:
        return 0
    split = memory.configuration.split
    slots = sum(split.counts[arm.name] for arm in split.arms if arm.key == key)
    return max(1, slots // 100) if slots else 0


def to_status(snapshot: Snapshot, address: Address, memory: Memory) -> dict[str, Any] | None:
    """Return `status.traffic`; None where the address is direct and nothing needs remembering."""
    if memory.state is State.DIRECT and memory.configuration is None:
        return None
    entry = memories.write(memory)
    owners = {each.key: each.name for each in snapshot.neighbours.values()}
    floors = [
        {"name": key, "modelDeployment": owners[key], "replicas": floor}
        for key, floor in sorted(address.move.floors.items())
        if owners.get(key) is not None
    ]
    if floors:
        entry["floors"] = floors
    return entry


_TOLD = {
    State.SETTLING.value: ("TrafficRouted", "the router has the address"),
    State.SPLIT.value: ("TrafficReady", "connections from before have ended: shares may move"),
    State.DRAINING.value: ("TrafficDirect", "the address is direct again; the router drains"),
}


def notes(before: object, after: object) -> list[Note]:
    """Return the Events that a change of the address deserves."""
    was, is_now = (
        each.get("state") if isinstance(each, Mapping) else None for each in (before, after)
    )
    told = None if was == is_now or is_now is None else _TOLD.get(str(is_now))
    return [] if told is None else [Note(reason=told[0], message=told[1])]

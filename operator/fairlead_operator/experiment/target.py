"""The other side: what the pass of a ModelDeployment takes from the Experiments beside it.

An Experiment's pass writes only its own status. From there the target's pass takes the split of its
address, and every arm's pass the revision that must stay.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fairlead_operator.api.reasons import Reason
from fairlead_operator.api.times import instant
from fairlead_operator.experiment import memory as memory_module
from fairlead_operator.experiment.facts import Rival, Snapshot
from fairlead_operator.experiment.memory import Memory
from fairlead_operator.traffic.errors import TrafficError
from fairlead_operator.traffic.split import Arm, Recorded, Split

Resource = Mapping[str, Any]
"""An Experiment as the API server gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A revision that an Experiment measures.

    Attributes:
        revision: Its hash.
        experiment: The Experiment.
        reason: For the condition of a ModelDeployment whose new revision waits.
        message: For people.
    """

    revision: str
    experiment: str
    reason: Reason
    message: str


def precedes(rival: Rival, snapshot: Snapshot) -> bool:
    """Whether another Experiment has the target: one that splits it already, else the older."""
    mine = (not snapshot.memory.split, snapshot.created, snapshot.name)
    return (not rival.splitting, rival.created, rival.name) < mine


def rivals(target: str, but: str, experiments: Iterable[Resource]) -> tuple[Rival, ...]:
    """Return the other Experiments on a target that are not over.

    Args:
        target: The ModelDeployment.
        but: The Experiment that asks.
        experiments: All Experiments of the namespace.
    """
    found = []
    for each in experiments:
        meta = each["metadata"]
        if meta["name"] == but or _target(each) != target or over(each):
            continue
        memory = memory_module.from_status(each.get("status") or {})
        found.append(Rival(name=meta["name"], created=_created(each), splitting=memory.split))
    return tuple(found)


def over(experiment: Resource) -> bool:
    """Whether an Experiment leaves its target alone from now on."""
    if experiment["metadata"].get("deletionTimestamp"):
        return True
    memory = memory_module.from_status(experiment.get("status") or {})
    wanted = bool((experiment.get("spec") or {}).get("stopped"))
    return not memory.split and (memory.ended is not None or wanted)


def wanted_split(target: str, experiments: Iterable[Resource]) -> Split | None:
    """Return the split of a target's address, or None where no Experiment wants one.

    Should two want one, which a race can do, the older has it.
    """
    found = _splitting(experiments)
    for each, memory in found:
        if _target(each) == target:
            try:
                return split_of(each["metadata"]["name"], each["metadata"]["uid"], memory)
            except (TrafficError, IndexError):
                return None  # status makes no sense to this version: nobody is split by it
    return None


def split_of(experiment: str, uid: str, memory: Memory) -> Split:
    """Return the split that an Experiment's memory asks for.

    Args:
        experiment: Its name, which each answer says.
        uid: Its UID, by which the recorder knows it.
        memory: What its status remembers.

    Raises:
        TrafficError: No router could do it.
    """
    return Split(
        arms=tuple(Arm(name=arm.name, key=arm.key, host=arm.host) for arm in memory.arms),
        table=memory.table,
        header=memory.header,
        salt=memory.salt,
        experiment=experiment,
        recorded=Recorded(uid=uid, epoch=memory.epochs[-1].number),
    )


def pinned(model_deployment: str, experiments: Iterable[Resource]) -> Pin | None:
    """Return the revision that a ModelDeployment has to keep, or None where it is free.

    Scaling is never held up, revisions are.
    """
    for each, memory in _splitting(experiments):
        for arm in memory.arms:
            if arm.model_deployment == model_deployment:
                name = each["metadata"]["name"]
                return Pin(
                    revision=arm.revision,
                    experiment=name,
                    reason=Reason.PINNED_BY_EXPERIMENT,
                    message=(
                        f"Experiment {name} measures the present revision: the new one waits "
                        "until that is stopped or deleted"
                    ),
                )
    return None


def named(experiment: Resource) -> frozenset[str]:
    """Return the ModelDeployments that an Experiment is about."""
    spec = experiment.get("spec") or {}
    arms = {str(each.get("modelDeployment")) for each in spec.get("variants") or ()}
    return frozenset({*arms, str(spec.get("target"))})


def _splitting(experiments: Iterable[Resource]) -> list[tuple[Resource, Memory]]:
    """Return the Experiments that want a split, the oldest first."""
    found = []
    for each in experiments:
        memory = memory_module.from_status(each.get("status") or {})
        if memory.split and not each["metadata"].get("deletionTimestamp"):
            found.append((each, memory))
    return sorted(found, key=lambda pair: (_created(pair[0]), pair[0]["metadata"]["name"]))


def _target(experiment: Resource) -> str | None:
    target = (experiment.get("spec") or {}).get("target")
    return None if target is None else str(target)


def _created(experiment: Resource) -> dt.datetime:
    return instant(experiment["metadata"]["creationTimestamp"])

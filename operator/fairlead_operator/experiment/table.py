"""A slot table whose runs know since which epoch they have their arm.

A unit counts in the epoch of its first exposure as long as its slot keeps the arm that it had then.
Which slots of an old epoch have stayed follows from the present table alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairlead_operator.traffic import slots
from fairlead_runtime.contract.assignment import SLOTS, Run, Table


@dataclass(frozen=True, slots=True)
class AgedRun:
    """Consecutive slots of one arm.

    Attributes:
        arm: The arm.
        slots: How many.
        epoch: Since which epoch they have it, without a break.
    """

    arm: str
    slots: int
    epoch: int


Aged = tuple[AgedRun, ...]
"""All slots in order."""


def begin(wanted: Mapping[str, int]) -> Aged:
    """Return the first table.

    Args:
        wanted: Slots by arm, the control first; they sum to 10000.

    Raises:
        TrafficError: They do not.
    """
    control = next(iter(wanted))
    first = slots.change(slots.all_to(control), wanted).table
    return tuple(AgedRun(run.arm, run.slots, 1) for run in first)


def plain(aged: Aged) -> Table:
    """Return the table as routers and `fairlead assign` take it: without epochs."""
    runs: list[Run] = []
    for run in aged:
        if runs and runs[-1].arm == run.arm:
            runs[-1] = Run(run.arm, runs[-1].slots + run.slots)
        else:
            runs.append(Run(run.arm, run.slots))
    return tuple(runs)


def change(aged: Aged, wanted: Mapping[str, int], epoch: int) -> Aged:
    """Return the table with the wanted slots, moving the least: what moves is of the new epoch.

    Args:
        aged: The table as it is.
        wanted: Slots by arm.
        epoch: The number of the new epoch.

    Raises:
        TrafficError: The slots are impossible.
    """
    new = slots.change(plain(aged), wanted).table
    moved: list[AgedRun] = []
    for old, arm, size in _overlay(aged, new):
        since = old.epoch if old.arm == arm else epoch
        if moved and (moved[-1].arm, moved[-1].epoch) == (arm, since):
            moved[-1] = AgedRun(arm, moved[-1].slots + size, since)
        else:
            moved.append(AgedRun(arm, size, since))
    return tuple(moved)


def kept(aged: Aged, epoch: int, arms: Sequence[str]) -> tuple[int, ...]:
    """Return how many slots of an epoch each arm has kept ever since, in the order of the arms."""
    found = dict.fromkeys(arms, 0)
    for run in aged:
        if run.epoch <= epoch:
            found[run.arm] += run.slots
    return tuple(found[arm] for arm in arms)


def is_whole(aged: Aged) -> bool:
    """Whether it has all slots."""
    return sum(run.slots for run in aged) == SLOTS


def _overlay(aged: Aged, new: Table) -> list[tuple[AgedRun, str, int]]:
    """Return the pieces on which neither table changes: the old run, the new arm, the size."""
    pieces: list[tuple[AgedRun, str, int]] = []
    ours = [(run, run.slots) for run in reversed(aged)]
    theirs = [(run.arm, run.slots) for run in reversed(new)]
    while ours and theirs:
        run, mine = ours.pop()
        arm, yours = theirs.pop()
        size = min(mine, yours)
        pieces.append((run, arm, size))
        if mine > size:
            ours.append((run, mine - size))
        if yours > size:
            theirs.append((arm, yours - size))
    return pieces

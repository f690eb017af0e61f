"""The slot table of an address: changed weights move the least possible, in at most 256 runs.

Only arms that shrink give slots, and only arms that grow get them, so nobody moves between two
arms that both grow. Each change adds fewer runs than there are arms. Should that pass 256 in the
end, the table is compacted: its smallest runs go to their neighbours until 128 are left, and then
the weights are set right again. That moves more users than need be, as `Change.compacted` says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fairlead_operator.traffic.errors import TrafficError
from fairlead_runtime.contract.assignment import MAX_RUNS, SLOTS, Run, Table

_COMPACT_TO = MAX_RUNS // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A new table.

    Attributes:
        table: The runs, in order.
        moved: How many slots have another arm than before.
        compacted: Whether more slots moved than the weights asked for, to keep the runs few.
    """

    table: Table
    moved: int
    compacted: bool


def all_to(arm: str) -> Table:
    """Return the table that gives everybody one arm."""
    return (Run(arm, SLOTS),)


def counts(table: Iterable[Run]) -> dict[str, int]:
    """Return the slots of each arm, in the order of their first run."""
    found: Counter[str] = Counter()
    for run in table:
        found[run.arm] += run.slots
    return dict(found)


def validate(table: Table) -> None:
    """Refuse what is not a slot table.

    Raises:
        TrafficError: The message says what is wrong.
    """
    total = sum(run.slots for run in table)
    if total != SLOTS:
        raise TrafficError(f"the runs of a slot table must sum to {SLOTS}, not {total}")
    if len(table) > MAX_RUNS:
        raise TrafficError(f"a slot table has at most {MAX_RUNS} runs, not {len(table)}")
    if any(run.slots < 1 or not run.arm for run in table):
        raise TrafficError("each run of a slot table needs an arm and at least one slot")


def distance(before: Table, after: Table) -> int:
    """Return how many slots have another arm in the second table."""
    moved = 0
    ours, theirs = list(before), list(after)
    while ours and theirs:
        (a, n), (b, m) = (ours[0].arm, ours[0].slots), (theirs[0].arm, theirs[0].slots)
        step = min(n, m)
        moved += step if a != b else 0
        ours[:1] = [Run(a, n - step)] if n > step else []
        theirs[:1] = [Run(b, m - step)] if m > step else []
    return moved


def change(table: Table, wanted: Mapping[str, int]) -> Change:
    """Return the table with the wanted slots per arm.

    Args:
        table: The table as it is.
        wanted: Slots by arm, in an order that breaks ties; who is not there gets none.

    Raises:
        TrafficError: The table or the wanted slots are impossible.
    """
    validate(table)
    if sum(wanted.values()) != SLOTS or any(slots < 0 for slots in wanted.values()):
        raise TrafficError(f"the wanted slots must be at least 0 and sum to {SLOTS}: {wanted}")
    if sum(1 for slots in wanted.values() if slots) > MAX_RUNS // 4:
        raise TrafficError(f"an address has at most {MAX_RUNS // 4} arms")
    new = _least(table, wanted)
    compacted = len(new) > MAX_RUNS
    if compacted:
        new = _least(_fewer(new, _COMPACT_TO), wanted)
    validate(new)
    return Change(table=new, moved=distance(table, new), compacted=compacted)


def _least(table: Table, wanted: Mapping[str, int]) -> Table:
    has = counts(table)
    excess = {arm: n - wanted.get(arm, 0) for arm, n in has.items() if n > wanted.get(arm, 0)}
    need = {arm: n - has.get(arm, 0) for arm, n in wanted.items() if n > has.get(arm, 0)}
    pieces: list[tuple[str | None, int]] = [(run.arm, run.slots) for run in table]
    for arm, slots in excess.items():
        pieces = _freed(pieces, arm, slots, need)
    return _filled(_merged(pieces), need)


def _freed(
    pieces: list[tuple[str | None, int]], arm: str, slots: int, need: Mapping[str, int]
) -> list[tuple[str | None, int]]:
    """Return the pieces with so many slots of an arm given up: whole runs first, the smallest."""
    new = list(pieces)
    for index in sorted((i for i, p in enumerate(new) if p[0] == arm), key=lambda i: new[i][1]):
        size = new[index][1]
        if size > slots:
            if slots:
                left = new[index - 1][0] if index else arm
                rest, gap = (arm, size - slots), (None, slots)
                # At the edge where it joins what is free or what grows: that makes no new run.
                at_left = left is None or left in need
                new[index : index + 1] = [gap, rest] if at_left else [rest, gap]
            break
        new[index] = (None, size)
        slots -= size
    return new


def _filled(pieces: list[tuple[str | None, int]], need: dict[str, int]) -> Table:
    """Return the table with what is free given to the arms that grow, to a neighbour if it can."""
    filled: list[tuple[str | None, int]] = []
    for index, (owner, size) in enumerate(pieces):
        if owner is not None:
            filled.append((owner, size))
            continue
        after = pieces[index + 1][0] if index + 1 < len(pieces) else None
        left = size
        while left:
            before = filled[-1][0] if filled else None
            near = next((arm for arm in (before, after) if arm is not None and need.get(arm)), None)
            arm = near or max(need, key=lambda each: need[each])
            taken = min(left, need[arm])
            filled.append((arm, taken))
            need[arm] -= taken
            left -= taken
    return tuple(Run(arm, size) for arm, size in _merged(filled) if arm is not None)


def _fewer(table: Table, limit: int) -> Table:
    """Return a table of at most so many runs: the smallest go to a neighbour."""
    pieces: list[tuple[str | None, int]] = [(run.arm, run.slots) for run in table]
    while len(pieces) > limit:
        index = min(range(len(pieces)), key=lambda i: pieces[i][1])
        beside = index - 1 if index else 1
        pieces[index] = (pieces[beside][0], pieces[index][1])
        pieces = _merged(pieces)
    return tuple(Run(arm, size) for arm, size in pieces if arm is not None)


def _merged(pieces: Iterable[tuple[str | None, int]]) -> list[tuple[str | None, int]]:
    merged: list[tuple[str | None, int]] = []
    for owner, size in pieces:
        if merged and merged[-1][0] == owner:
            merged[-1] = (owner, merged[-1][1] + size)
        elif size:
            merged.append((owner, size))
    return merged

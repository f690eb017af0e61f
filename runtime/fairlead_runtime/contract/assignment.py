"""Which arm a user gets: library, command line and router give the same answer.

A user's slot is `xxh64("<salt>:<user>") % 10000`, and a table gives each slot an arm. The router
hashes the same bytes, so that the arm of a user can be told offline.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import xxhash

SLOTS = 10_000
"""Slots of a table; one is a basis point of the users."""
MAX_RUNS = 256
"""Runs that a table may have, so that it fits in status and costs the router nothing."""


_BLANK = " \t"


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive slots of one arm."""

    arm: str
    slots: int


Table = tuple[Run, ...]
"""All slots in order, as runs."""


def unit(salt: str, user: str) -> str:
    """Return what is hashed for a user: the value of the unit header at the router.

    A header's value travels without the white space around it, so it does not count here either.
    """
    return f"{salt}:{user.strip(_BLANK)}"


def slot(salt: str, user: str) -> int:
    """Return a user's slot, from 0 to 9999."""
    return int(xxhash.xxh64_intdigest(unit(salt, user).encode())) % SLOTS


def arm_of_slot(table: Iterable[Run], wanted: int) -> str:
    """Return the arm that has a slot.

    Raises:
        ValueError: The table does not reach that far, or the slot is negative.
    """
    if wanted < 0:
        raise ValueError(f"slot {wanted} must not be negative")
    end = 0
    for run in table:
        end += run.slots
        if wanted < end:
            return run.arm
    raise ValueError(f"slot {wanted} is beyond the table's {end} slots")


def arm(table: Iterable[Run], salt: str, user: str) -> str:
    """Return the arm of a user."""
    return arm_of_slot(table, slot(salt, user))

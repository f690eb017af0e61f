"""What a change from one split to another needs and touches."""

from __future__ import annotations

from fairlead_operator.traffic import documents
from fairlead_operator.traffic.documents import Configuration
from fairlead_operator.traffic.split import Arm, Split


def shares(split: Split) -> list[tuple[Arm, int, int]]:
    """Return each arm with its slots and its basis points of copies."""
    mirror = split.mirror
    shares = [
        (arm, split.counts[arm.name], mirror.share if mirror and mirror.arm == arm else 0)
        for arm in split.arms
    ]
    if mirror is not None and mirror.arm not in split.arms:
        shares.append((mirror.arm, 0, mirror.share))
    return shares


def same_users(one: Split, other: Split) -> bool:
    """Whether the listeners may stay: a split without users leaves those of the last one."""
    return other.header is None or (one.header, one.salt) == (other.header, other.salt)


def wider(written: Configuration, goal: Split) -> Configuration:
    """Return the configuration with the goal's clusters beside those that are used now."""
    exact = documents.of(goal)
    arms = _joined(exact.arms, written.arms)
    mirrored = _joined(exact.mirrored, written.mirrored)
    if set(arms) == set(written.arms) and set(mirrored) == set(written.mirrored):
        return written
    return Configuration(split=written.split, arms=arms, mirrored=mirrored)


def _joined(new: tuple[Arm, ...], old: tuple[Arm, ...]) -> tuple[Arm, ...]:
    """Return all arms once: clusters are named after keys, and an arm may have a new name."""
    keys = {arm.key for arm in new}
    return (*new, *(arm for arm in old if arm.key not in keys))

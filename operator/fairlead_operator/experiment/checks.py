"""What an Experiment waits for before it starts: an ordered chain, the first that holds is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fairlead_operator.api.reasons import Reason
from fairlead_operator.experiment.facts import Input, Member, Snapshot
from fairlead_operator.experiment.target import precedes


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Why an Experiment does not start.

    Attributes:
        reason: For scripts.
        message: For people: what it waits for, and what to do.
        stalled: Whether waiting alone cannot help.
    """

    reason: Reason
    message: str
    stalled: bool = False


Check = Callable[[Snapshot], Wait | None]


def waits(snapshot: Snapshot) -> Wait | None:
    """Return why the Experiment cannot start, or None where it can."""
    return next(_found(snapshot), None)


def _found(snapshot: Snapshot) -> Iterator[Wait]:
    for check in _CHAIN:
        wait = check(snapshot)
        if wait is not None:
            yield wait


def _target_exists(snapshot: Snapshot) -> Wait | None:
    target = snapshot.spec.target
    if target in snapshot.members:
        return None
    text = f"there is no ModelDeployment {target} in this namespace: create it"
    return Wait(reason=Reason.TARGET_MISSING, message=text)


def _target_is_free(snapshot: Snapshot) -> Wait | None:
    ahead = [rival for rival in snapshot.rivals if precedes(rival, snapshot)]
    if not ahead:
        return None
    text = (
        f"Experiment {ahead[0].name} has ModelDeployment {snapshot.spec.target}: "
        "this one starts when that one is stopped or deleted"
    )
    return Wait(reason=Reason.TARGET_BUSY, message=text)


def _arms_exist(snapshot: Snapshot) -> Wait | None:
    for variant in snapshot.spec.variants:
        if variant.model_deployment not in snapshot.members:
            text = (
                f"arm {variant.name}: there is no ModelDeployment {variant.model_deployment} in "
                "this namespace: create it"
            )
            return Wait(reason=Reason.ARM_MISSING, message=text)
    return None


def _arms_ready(snapshot: Snapshot) -> Wait | None:
    for name, member in _members(snapshot):
        if member.revision is None or not member.ready:
            text = f"arm {name}: ModelDeployment {member.name} has no ready replica yet"
            return Wait(reason=Reason.ARM_NOT_READY, message=text)
        if member.moving:
            text = f"arm {name}: ModelDeployment {member.name} is being rolled out"
            return Wait(reason=Reason.ARM_NOT_READY, message=text)
    return None


def _signatures_agree(snapshot: Snapshot) -> Wait | None:
    (_, control), *others = _members(snapshot)
    for name, member in (("control", control), *others):
        if member.inputs is None:
            text = f"arm {name}: ModelDeployment {member.name} has not told its inputs yet"
            return Wait(reason=Reason.SIGNATURE_UNKNOWN, message=text)
    for name, member in others:
        problem = _difference(control.inputs or (), member.inputs or ())
        if problem:
            text = (
                f"arm {name}: ModelDeployment {member.name} does not take the inputs of "
                f"{control.name}: {problem}; its requests would fail"
            )
            return Wait(reason=Reason.SIGNATURE_DIFFERS, message=text, stalled=True)
    return None


def _recorder_knows(snapshot: Snapshot) -> Wait | None:
    if snapshot.registered:
        return None
    why = snapshot.refusal or "it does not answer"
    text = f"users are split when the recorder can count them: {why}"
    return Wait(reason=Reason.RECORDER_UNAVAILABLE, message=text)


_CHAIN: tuple[Check, ...] = (
    _target_exists,
    _target_is_free,
    _arms_exist,
    _arms_ready,
    _signatures_agree,
    _recorder_knows,
)
"""In this order: what must be so before users are split."""


def _members(snapshot: Snapshot) -> list[tuple[str, Member]]:
    return [
        (variant.name, snapshot.members[variant.model_deployment])
        for variant in snapshot.spec.variants
    ]


def _difference(target: tuple[Input, ...], arm: tuple[Input, ...]) -> str:
    """Say which of the target's inputs an arm does not take; empty where it takes them all."""
    mine = {each.name: each for each in arm}
    for wanted in target:
        found = mine.pop(wanted.name, None)
        if found is None:
            return f"it has no input {wanted.name}"
        if not found.takes(wanted):
            return f"it takes {found}, not {wanted}"
    return f"it also needs {', '.join(sorted(mine))}" if mine else ""

"""What people say by annotation: promote, pause, resume, abort, retry, each acted on once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import replace

from fairlead_operator.planning import names
from fairlead_operator.rollout.memory import Action, Ended, Memory, Outcome, Phase

PREFIX = "fairlead.dev/"
_LONGEST = 128
UNDER_WAY = frozenset({Phase.VALIDATING, Phase.STARTING, Phase.SHADOW, Phase.STEP, Phase.PROMOTING})
"""Phases of a candidate that may still get the address."""


def of(annotations: Mapping[str, str] | None) -> dict[str, str]:
    """Return the imperatives among a resource's annotations, by verb."""
    found = annotations or {}
    return {verb: found[PREFIX + verb] for verb, _ in _VERBS if found.get(PREFIX + verb)}


def obey(memory: Memory, said: Mapping[str, str], now: dt.datetime, *, ready: bool) -> Memory:
    """Return the memory after what is newly said; each value is acted on once, whatever came of it.

    Args:
        memory: What was remembered.
        said: Values by verb: `<revision-hash>[/<nonce>]`.
        now: The instant of the pass.
        ready: Whether the candidate has a ready replica.
    """
    for verb, act in _VERBS:
        value = said.get(verb, "")[:_LONGEST]
        acted = dict(memory.acted)
        if not value or acted.get(verb) == value:
            continue
        if verb == "retry" and memory.phase is Phase.ROLLING_BACK and meant(value, memory.hash):
            continue  # as soon as the stable has all traffic
        if verb == "promote" and not ready and meant(value, memory.hash):
            result = "refused: it has no ready replica"
        elif meant(value, memory.hash):
            memory, result = act(memory, now)
        else:
            result = f"ignored: revision {value.partition('/')[0]} is not under way"
        acted[verb] = value
        memory = replace(
            memory,
            acted=tuple(sorted(acted.items())),
            last_action=Action(verb=verb, value=value, result=result, at=now),
        )
    return memory


def meant(value: str, revision_hash: str | None) -> bool:
    """Whether a value names a revision, by its whole hash or the short one of its children."""
    named = value.partition("/")[0]
    return revision_hash is not None and named in (revision_hash, names.short(revision_hash))


def _resume(memory: Memory, _: dt.datetime) -> tuple[Memory, str]:
    if not memory.paused:
        return memory, "ignored: it is not paused by annotation"
    return replace(memory, paused=False), "resumed"


def _retry(memory: Memory, now: dt.datetime) -> tuple[Memory, str]:
    if memory.phase is Phase.ROLLED_BACK:
        return memory.idle(now), "retried from validation on"
    if memory.phase is Phase.VALIDATING and memory.retry_at is not None:
        return replace(memory, retry_at=now), "the next try of the validation begins now"
    return memory, "ignored: nothing has failed"


def _promote(memory: Memory, now: dt.datetime) -> tuple[Memory, str]:
    if memory.phase is Phase.VALIDATING:
        return memory, "refused: it is not validated yet"
    if memory.phase not in (Phase.STARTING, Phase.SHADOW, Phase.STEP):
        return memory, "ignored: there is nothing to promote"
    return replace(memory, phase=Phase.PROMOTING, since=now, live_at=None), "promoted"


def _pause(memory: Memory, _: dt.datetime) -> tuple[Memory, str]:
    if memory.phase not in UNDER_WAY:
        return memory, "ignored: nothing is under way"
    return replace(memory, paused=True), "paused"


def _abort(memory: Memory, now: dt.datetime) -> tuple[Memory, str]:
    if memory.phase not in UNDER_WAY:
        return memory, "ignored: nothing is under way"
    return back(memory, Outcome.ABORTED, "aborted by annotation", now), "aborted"


def back(memory: Memory, outcome: Outcome, message: str, now: dt.datetime) -> Memory:
    """Return the memory as it begins to roll back."""
    ending = Ended(
        hash=memory.hash or "",
        version=memory.version,
        outcome=outcome,
        message=message,
        started_at=memory.started_at or memory.since,
        ended_at=now,
    )
    return replace(
        memory,
        phase=Phase.ROLLING_BACK,
        since=now,
        slots=0,
        live_at=None,
        gone_at=None,  # it counts only while something is under way
        ending=ending,
    )


_Act = Callable[[Memory, dt.datetime], tuple[Memory, str]]
_VERBS: tuple[tuple[str, _Act], ...] = (
    ("resume", _resume),
    ("retry", _retry),
    ("promote", _promote),
    ("pause", _pause),
    ("abort", _abort),  # last: whoever says more than one thing at once gets the safest
)

"""The form that a rollout's memory has in status, and back: exact to the second."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fairlead_operator.api.times import instant, write_instant
from fairlead_operator.rollout import ledger as ledgers
from fairlead_operator.rollout.memory import HISTORY, Action, Ended, Memory, Outcome, Phase
from fairlead_operator.rollout.sizing import Measured

_INSTANTS = (
    ("since", "since"),
    ("started_at", "startedAt"),
    ("live_at", "liveAt"),
    ("retry_at", "retryAt"),
    ("gone_at", "stableGoneAt"),
)


def to_json(memory: Memory) -> dict[str, Any]:
    """Write a memory; `from_json` gives back the same one."""
    document: dict[str, Any] = {"phase": memory.phase.value}
    for field, name in _INSTANTS:
        moment = getattr(memory, field)
        if moment is not None:
            document[name] = write_instant(moment)
    if memory.hash is not None:
        document |= {"hash": memory.hash, "version": memory.version, "slots": memory.slots}
        document |= {"step": memory.step, "paused": memory.paused, "halted": memory.halted}
    optional: dict[str, Any] = {
        "measured": _measured(memory.measured),
        "attempts": memory.attempts,
        "job": memory.job,
        "ending": _ended(memory.ending) if memory.ending else None,
        "ledger": ledgers.to_json(memory.ledger) if memory.ledger else None,
        "said": dict(memory.said),
        "acted": dict(memory.acted),
        "lastAction": _action(memory.last_action),
        "history": [_ended(each) for each in memory.history],
    }
    return document | {name: value for name, value in optional.items() if value}


def _measured(measured: Measured | None) -> dict[str, int] | None:
    if measured is None:
        return None
    return {
        "throughputRps": measured.throughput_rps,
        "latencyP99Micros": measured.latency_p99_micros,
        "latencyP99BestMicros": measured.latency_best_micros,
    }


def _action(action: Action | None) -> dict[str, str] | None:
    if action is None:
        return None
    return {
        "verb": action.verb,
        "value": action.value,
        "result": action.result,
        "at": write_instant(action.at),
    }


def from_json(document: Mapping[str, Any], now: dt.datetime) -> Memory:
    """Read a memory; what this version cannot read is forgotten, and the rollout begins anew.

    Beginning anew is safe: validation comes first, and the stable keeps the traffic. That a
    revision was rolled back is not forgotten with the rest.
    """
    try:
        return _read(document)
    except _UNREADABLE:
        pass
    try:
        ending = _ended_from(document["ending"])
    except _UNREADABLE:
        return Memory(since=now)
    return Memory(
        phase=Phase.ROLLED_BACK,
        since=ending.ended_at,
        hash=ending.hash,
        version=ending.version,
        started_at=ending.started_at,
        ending=ending,
    )


_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError, IndexError)


def _read(document: Mapping[str, Any]) -> Memory:
    at = {field: instant(str(document[name])) for field, name in _INSTANTS if document.get(name)}
    measured = document.get("measured")
    action = document.get("lastAction")
    memory = Memory(
        phase=Phase(document["phase"]),
        since=at.pop("since"),
        hash=document.get("hash"),
        version=str(document.get("version", "")),
        step=int(document.get("step", 0)),
        slots=int(document.get("slots", 0)),
        paused=bool(document.get("paused", False)),
        halted=bool(document.get("halted", False)),
        measured=None
        if measured is None
        else Measured(
            throughput_rps=int(measured["throughputRps"]),
            latency_p99_micros=int(measured["latencyP99Micros"]),
            latency_best_micros=int(measured["latencyP99BestMicros"]),
        ),
        attempts=int(document.get("attempts", 0)),
        job=str(document.get("job", "")),
        ending=_ended_from(document["ending"]) if document.get("ending") else None,
        ledger=ledgers.from_json(document["ledger"]) if document.get("ledger") else None,
        said=_pairs(document.get("said")),
        acted=_pairs(document.get("acted")),
        last_action=None
        if action is None
        else Action(
            verb=str(action["verb"]),
            value=str(action["value"]),
            result=str(action["result"]),
            at=instant(str(action["at"])),
        ),
        history=tuple(_ended_from(each) for each in document.get("history") or ())[-HISTORY:],
    )
    return replace(
        memory,
        started_at=at.get("started_at"),
        live_at=at.get("live_at"),
        retry_at=at.get("retry_at"),
        gone_at=at.get("gone_at"),
    )


def _pairs(document: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    return tuple((str(key), str(value)) for key, value in sorted((document or {}).items()))


def _ended(ended: Ended) -> dict[str, Any]:
    return {
        "hash": ended.hash,
        "version": ended.version,
        "outcome": ended.outcome.value,
        "message": ended.message,
        "startedAt": write_instant(ended.started_at),
        "endedAt": write_instant(ended.ended_at),
    }


def _ended_from(document: Mapping[str, Any]) -> Ended:
    return Ended(
        hash=str(document["hash"]),
        version=str(document["version"]),
        outcome=Outcome(document["outcome"]),
        message=str(document["message"]),
        started_at=instant(str(document["startedAt"])),
        ended_at=instant(str(document["endedAt"])),
    )

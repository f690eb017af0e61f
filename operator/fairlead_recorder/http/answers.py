"""What is answered, as JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fairlead_recorder.store.events import MICROSECONDS, SCALE, Definition, MetricType
from fairlead_recorder.store.experiments import Experiment
from fairlead_recorder.store.outcomes import Taken
from fairlead_recorder.store.summary import Arm, Summary

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(at: int | None) -> str | None:
    """Return a time as RFC 3339 says it."""
    if at is None:
        return None
    return (_EPOCH + timedelta(microseconds=at)).isoformat().replace("+00:00", "Z")


def experiment(found: Experiment) -> dict[str, Any]:
    """Return what is registered, in the words of the registration."""
    definition = found.definition
    return {
        "uid": definition.uid,
        "namespace": definition.namespace,
        "name": definition.name,
        "salt": definition.salt,
        "variants": list(definition.variants),
        "metrics": _metrics(found.definition),
        "outcomeWindowSeconds": definition.window // MICROSECONDS,
        "epochs": [
            {
                "epoch": epoch.number,
                "startedAt": instant(epoch.started),
                "table": [{"arm": run.arm, "slots": run.slots} for run in epoch.table],
            }
            for epoch in definition.epochs
        ],
        "analysis": {_camel(name): value for name, value in definition.analysis},
        "registeredAt": instant(found.registered),
        "endedAt": instant(found.ended),
    }


def listed(found: Experiment) -> dict[str, Any]:
    """Return one line of a list."""
    return {
        "uid": found.definition.uid,
        "namespace": found.definition.namespace,
        "name": found.definition.name,
        "registeredAt": instant(found.registered),
        "endedAt": instant(found.ended),
    }


def taken(batch: Taken) -> dict[str, Any]:
    """Return what became of outcomes."""
    return {
        "accepted": batch.accepted,
        "duplicates": batch.duplicates,
        "conflicts": [{"metric": metric, "key": key} for metric, key in batch.conflicts],
    }


def summary(read: Summary) -> dict[str, Any]:
    """Return a summary."""
    definition = read.definition
    return {
        "uid": definition.uid,
        "namespace": definition.namespace,
        "name": definition.name,
        "registeredAt": instant(read.registered),
        "endedAt": instant(read.ended),
        "at": instant(read.at),
        "settling": read.settling,
        "variants": list(definition.variants),
        "metrics": _metrics(definition),
        "epochs": [
            {
                "epoch": epoch.number,
                "startedAt": instant(epoch.started),
                "slots": dict(epoch.slots),
                "stayingSlots": dict(epoch.staying),
                "arms": {
                    name: {
                        "units": arm.units,
                        "departed": arm.departed,
                        "crossed": arm.crossed,
                        "metrics": {m.name: _sums(arm, m.name, m.type) for m in definition.metrics},
                    }
                    for name, arm in epoch.arms.items()
                },
            }
            for epoch in read.epochs
        ],
        "counters": dict(read.counters),
        "gaps": {
            "count": read.gaps.count,
            "seconds": round(read.gaps.lasted / MICROSECONDS, 3),
            "latest": [
                {"from": instant(gap.started), "to": instant(gap.ended), "reason": gap.reason}
                for gap in read.gaps.latest
            ],
        },
    }


def _metrics(definition: Definition) -> list[dict[str, str]]:
    made = []
    for metric in definition.metrics:
        entry = {"name": metric.name, "type": metric.type, "goal": metric.goal}
        if metric.type == "ratio":
            entry |= {"numerator": metric.numerator, "denominator": metric.denominator}
        made.append(entry)
    return made


def _sums(arm: Arm, metric: str, kind: MetricType) -> dict[str, Any]:
    total, squares = arm.sums.get(metric, (0, 0))
    if kind == "binary":
        return {"count": arm.units, "successes": total}
    return {
        "count": arm.units,
        "total": total / SCALE,
        "squares": squares / SCALE**2,
        # The same exactly: integers that no JSON number can hold.
        "totalMillionths": str(total),
        "squaresTrillionths": str(squares),
    }


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)

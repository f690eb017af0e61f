"""An Experiment as the recorder knows it, and what it counted, from and to JSON. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from fairlead_operator.api.times import duration, write_instant
from fairlead_operator.api.v1alpha1 import ExperimentSpec, MetricSpec
from fairlead_operator.experiment.decide import Decision
from fairlead_operator.experiment.facts import Aggregates, ArmCounts, Counted
from fairlead_operator.experiment.memory import Memory
from fairlead_operator.stats.aggregates import Binary, Moments
from fairlead_operator.stats.quotients import Quotient
from fairlead_operator.stats.sequential import DEFAULT_EXPECTED_UNITS

Json = Mapping[str, Any]
_MILLIONTHS = 10**6
_TRILLIONTHS = 10**12


def registration(uid: str, spec: ExperimentSpec, memory: Memory) -> dict[str, Any]:
    """Return what the recorder has to know before a router gets the table.

    Only the last epoch: it keeps those that it was told of.
    """
    analysis, plan = spec.analysis, memory.plan
    last = memory.epochs[-1]
    planned = analysis.planned_samples_per_variant
    return {
        "uid": uid,
        "salt": memory.salt,
        "variants": list(memory.names),
        "metrics": [_metric(metric) for metric in spec.metrics],
        "outcomeWindowSeconds": max(1, int(duration(analysis.outcome_window).total_seconds())),
        "epochs": [
            {
                "epoch": last.number,
                "startedAt": write_instant(last.since),
                "table": [{"arm": run.arm, "slots": run.slots} for run in memory.table],
            }
        ],
        "analysis": {
            "alphaPercent": analysis.alpha_percent,
            "expectedUnits": plan.expected_units if plan else DEFAULT_EXPECTED_UNITS,
            "plannedUnits": 0 if planned is None else planned * len(memory.names),
            "minSamplesPerVariant": analysis.min_samples_per_variant,
        },
    }


def _metric(metric: MetricSpec) -> dict[str, str]:
    entry = {"name": metric.name, "type": metric.type, "goal": metric.goal}
    if metric.numerator is not None and metric.denominator is not None:
        entry |= {"numerator": metric.numerator, "denominator": metric.denominator}
    return entry


def aggregates(uid: str, summary: Json) -> Aggregates | None:
    """Return what a summary has counted, None where it is of another Experiment.

    Raises:
        ValueError, KeyError, TypeError: It is no summary.
    """
    if summary["uid"] != uid:
        return None
    types = {metric["name"]: metric for metric in summary["metrics"]}
    epochs = {
        int(epoch["epoch"]): {name: _arm(types, arm) for name, arm in dict(epoch["arms"]).items()}
        for epoch in summary["epochs"]
    }
    counters = summary["counters"]
    gaps = summary["gaps"]
    return Aggregates(
        at=dt.datetime.fromisoformat(summary["at"]),
        epochs=epochs,
        staying={
            int(epoch["epoch"]): {name: int(n) for name, n in epoch["stayingSlots"].items()}
            for epoch in summary["epochs"]
        },
        settling=bool(summary["settling"]),
        unexposed=int(counters["unexposed"]),
        outside=int(counters["early"]) + int(counters["late"]),
        gaps=int(gaps["count"]),
        gap_seconds=float(gaps["seconds"]),
    )


def _arm(types: Mapping[str, Json], arm: Json) -> ArmCounts:
    rows = dict(arm["metrics"])
    metrics: dict[str, Counted] = {}
    for name, row in rows.items():
        metric = types.get(name)
        if metric is None:
            continue
        if metric["type"] == "binary":
            metrics[name] = Binary(int(row["count"]), int(row["successes"]))
        elif metric["type"] == "ratio":
            # A quotient has no unit: millionths do, and they are exact.
            parts = (rows[metric["numerator"]], rows[metric["denominator"]], row)
            metrics[name] = Quotient(*(_exact(part) for part in parts))
        else:
            metrics[name] = Moments(
                int(row["count"]),
                float(Fraction(int(row["totalMillionths"]), _MILLIONTHS)),
                float(Fraction(int(row["squaresTrillionths"]), _TRILLIONTHS)),
            )
    return ArmCounts(
        units=int(arm["units"]),
        departed=int(arm["departed"]),
        crossed=int(arm["crossed"]),
        metrics=metrics,
    )


def _exact(row: Json) -> Moments:
    total, squares = int(row["totalMillionths"]), int(row["squaresTrillionths"])
    return Moments(int(row["count"]), total, squares)


def judgement(uid: str, decision: Decision, status: Json) -> dict[str, Any]:
    """Return what the recorder's page shows of a verdict.

    Args:
        uid: The Experiment's UID.
        decision: The decision.
        status: The status that was made of it.
    """
    worst: dict[tuple[str, str], dict[str, str]] = {}
    for each in status.get("guardrails") or ():
        entry = {
            "name": f"{each['metric']} ({each['kind']}), {each['variant']}"[:128],
            "verdict": str(each["verdict"])[:32],
            "value": str(each.get("value") or "")[:64],
            "limit": str(each["limit"])[:64],
        }
        key = (each["metric"], each["kind"])
        if key not in worst or each["verdict"] == "Breach":
            worst[key] = entry
    return {
        "uid": uid,
        "phase": decision.phase.value,
        "message": decision.message[:1024],
        "leader": str(status.get("leader") or ""),
        "recommendation": str((status.get("recommendation") or {}).get("text") or ""),
        "guardrails": list(worst.values())[:8],
    }

"""What a gate says, with everything that is needed to check it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What the evidence says. Missing evidence is never success."""

    PASS = "Pass"  # noqa: S105 - no password
    """Within the limit, with as much evidence as the step needs."""
    FAIL = "Fail"
    """Over the limit, with the certainty that was asked for: the candidate is condemned."""
    INCONCLUSIVE = "Inconclusive"
    """Not enough requests yet, or the limit lies inside the uncertainty."""
    NO_EVIDENCE = "NoEvidence"
    """Nothing was counted."""
    STALE = "Stale"
    """What was counted is old, or a pod could not be read."""


class Gate(StrEnum):
    """The gates, by the names that users meet in status, in metrics and in `gates.ignore`."""

    ERRORS = "Errors"
    LATENCY_P99 = "LatencyP99"
    LATENCY_INCREASE = "LatencyIncrease"
    CLIENT_ERRORS = "ClientErrors"
    RESTARTS = "Restarts"
    OUT_OF_MEMORY = "OutOfMemory"
    NON_FINITE = "NonFinite"
    MIRROR_DIFFERENCE = "MirrorDifference"
    PREDICTION_SHIFT = "PredictionShift"
    DRIFT = "Drift"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One gate's answer.

    Attributes:
        gate: Which.
        verdict: What it says; None where it is shown and decides nothing.
        value: What was measured, in `unit`; None where nothing was.
        limit: What is allowed, in `unit`; None where nothing was written.
        unit: Unit of both: `%`, `ms`, or empty for a count.
        samples: Requests, pairs or restarts that it rests on.
        end: The end of the window.
        source: Where the numbers come from.
        message: In words.
    """

    gate: Gate
    verdict: Verdict | None
    value: float | None
    limit: float | None
    unit: str
    samples: int
    end: dt.datetime | None
    source: str
    message: str


_ORDER = (
    Verdict.FAIL,
    Verdict.STALE,
    Verdict.NO_EVIDENCE,
    Verdict.INCONCLUSIVE,
    Verdict.PASS,
)


def worst(checks: Iterable[Check]) -> Verdict:
    """Return the verdict over all checks: the first of FAIL, STALE, NO_EVIDENCE, INCONCLUSIVE.

    Without a single gate that decides, nothing is known.
    """
    said = {check.verdict for check in checks}
    return next((verdict for verdict in _ORDER if verdict in said), Verdict.NO_EVIDENCE)


def shown(number: float | None, unit: str) -> str:
    """Return a number with its unit, three digits, as status shows it."""
    if number is None:
        return ""
    text = f"{number:.0f}" if number >= 100 or number == int(number) else f"{number:.3g}"
    return f"{text}{'' if unit in ('', '%') else ' '}{unit}"

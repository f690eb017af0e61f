"""What has to be remembered of an Experiment: exact, and read back from its own status."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fairlead_operator.api.reasons import ConditionType, Reason
from fairlead_operator.api.times import instant, write_instant
from fairlead_operator.traffic import slots
from fairlead_runtime.contract.assignment import Run, Table

ALGORITHM = "xxh64(salt:user) % 10000"
"""How a user's slot is computed; see `fairlead_runtime.contract.assignment`."""


class Phase(StrEnum):
    """The column PHASE, derived from the conditions."""

    PENDING = "Pending"
    RUNNING = "Running"
    DECIDED = "Decided"
    INCONCLUSIVE = "Inconclusive"
    STOPPED = "Stopped"
    INVALID = "Invalid"


ENDS = {
    Reason.DECIDED: Phase.DECIDED,
    Reason.INCONCLUSIVE: Phase.INCONCLUSIVE,
    Reason.EXPERIMENT_STOPPED: Phase.STOPPED,
    Reason.GUARDRAIL_BREACHED: Phase.STOPPED,
    Reason.ARM_UNAVAILABLE: Phase.STOPPED,
    Reason.SAMPLE_RATIO_MISMATCH: Phase.INVALID,
}
"""How an Experiment can end, and the phase that it then has for good."""
SPLITTING = frozenset({Phase.RUNNING, Phase.DECIDED, Phase.INCONCLUSIVE, Phase.INVALID})
"""Phases in which the users stay split: a verdict changes no traffic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A version of the slot table.

    Attributes:
        number: From 1.
        since: When it was written.
        slots: Slots of each arm, in the spec's order.
    """

    number: int
    since: dt.datetime
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """An arm that is pinned to a revision.

    Attributes:
        name: The variant's name.
        model_deployment: Its ModelDeployment.
        revision: The revision's hash.
        key: Name of the revision's objects.
        host: DNS name of the revision's headless Service.
        unavailable_since: Since when it is not Ready.
    """

    name: str
    model_deployment: str
    revision: str
    key: str
    host: str
    unavailable_since: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The units at which the interval is tightest.

    Attributes:
        expected_units: Of the control and one other arm, as of an even split.
        fixed_at: When it was fixed: before the first verdict.
        source: Where the number is from.
    """

    expected_units: int
    fixed_at: dt.datetime
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """The decision, as it is shown ever after.

    Attributes:
        variant: The arm.
        metric: The metric.
        at: When.
        lift: In words.
        lift_interval: In words.
        p_value: In words.
        units: Users of all arms.
    """

    variant: str
    metric: str
    at: dt.datetime
    lift: str
    lift_interval: str | None
    p_value: str
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What status remembers.

    Attributes:
        split: Whether the target's address is to be split.
        header: Header with the user, lower-case; empty before the first split.
        salt: What goes before the user; likewise.
        arms: The arms, the control first.
        table: The slot table.
        epochs: Its versions, oldest first.
        started_at: When users began to be split.
        ended: Why it is over; None while it is not.
        ended_at: When the verdict or the end was.
        why: The message of the end.
        plan: The plan, once it is fixed.
        winner: The decision.
        mismatch_at: When users were found not to arrive as the weights say.
        breached: When a guardrail was breached, by metric, kind and variant.
    """

    split: bool = False
    header: str = ""
    salt: str = ""
    arms: tuple[Arm, ...] = ()
    table: Table = ()
    epochs: tuple[Epoch, ...] = ()
    started_at: dt.datetime | None = None
    ended: Reason | None = None
    ended_at: dt.datetime | None = None
    why: str = ""
    plan: Plan | None = None
    winner: Winner | None = None
    mismatch_at: dt.datetime | None = None
    breached: tuple[tuple[str, str, str, dt.datetime], ...] = ()

    @property
    def phase(self) -> Phase:
        """The phase."""
        if self.ended is not None:
            return ENDS[self.ended]
        return Phase.PENDING if self.started_at is None else Phase.RUNNING

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arms, the control first."""
        return tuple(arm.name for arm in self.arms)


def from_status(status: Mapping[str, Any]) -> Memory:
    """Read the memory; what makes no sense to this version is as if it were not there."""
    try:
        return _read(status)
    except (AttributeError, KeyError, TypeError, ValueError):
        return Memory()


def _read(status: Mapping[str, Any]) -> Memory:
    assignment = status.get("assignment") or {}
    table = tuple(Run(str(run["arm"]), int(run["slots"])) for run in assignment.get("table") or ())
    if table:
        slots.validate(table)
    ended_at = _instant(status.get("endedAt"))
    ready: Mapping[str, Any] = {}
    for condition in status.get("conditions") or ():
        if condition["type"] == ConditionType.READY:
            ready = condition
    ended = next((end for end in ENDS if end.value == ready.get("reason")), None)
    return Memory(
        split=bool(status.get("split")),
        header=str(assignment.get("header") or ""),
        salt=str(assignment.get("salt") or ""),
        arms=tuple(_arm(entry) for entry in status.get("variants") or ()),
        table=table,
        epochs=tuple(
            Epoch(
                number=int(entry["number"]),
                since=instant(entry["since"]),
                slots=tuple(int(n) for n in entry["slots"]),
            )
            for entry in assignment.get("epochs") or ()
        ),
        started_at=_instant(status.get("startedAt")),
        ended=ended if ended_at is not None else None,
        ended_at=ended_at,
        why=str(ready.get("message") or "") if ended_at is not None else "",
        plan=_plan(status.get("plan")),
        winner=_winner(status.get("decision")),
        mismatch_at=_instant((status.get("sampleRatio") or {}).get("mismatchAt")),
        breached=tuple(
            (str(g["metric"]), str(g["kind"]), str(g["variant"]), instant(g["breachedAt"]))
            for g in status.get("guardrails") or ()
            if g.get("breachedAt")
        ),
    )


def _arm(entry: Mapping[str, Any]) -> Arm:
    return Arm(
        name=str(entry["name"]),
        model_deployment=str(entry["modelDeployment"]),
        revision=str(entry["revision"]),
        key=str(entry["key"]),
        host=str(entry["host"]),
        unavailable_since=_instant(entry.get("unavailableSince")),
    )


def _plan(entry: Mapping[str, Any] | None) -> Plan | None:
    if not entry:
        return None
    return Plan(
        expected_units=int(entry["expectedUnits"]),
        fixed_at=instant(entry["fixedAt"]),
        source=str(entry["source"]),
    )


def _winner(entry: Mapping[str, Any] | None) -> Winner | None:
    if not entry:
        return None
    return Winner(
        variant=str(entry["variant"]),
        metric=str(entry["metric"]),
        at=instant(entry["at"]),
        lift=str(entry["lift"]),
        lift_interval=entry.get("liftInterval"),
        p_value=str(entry["pValue"]),
        units=int(entry["units"]),
    )


def to_status(memory: Memory) -> dict[str, Any]:
    """Return the parts of status that `from_status` reads, but conditions and guardrails."""
    status: dict[str, Any] = {"split": memory.split}
    if memory.table:
        status["assignment"] = {
            "header": memory.header,
            "salt": memory.salt,
            "algorithm": ALGORITHM,
            "table": [{"arm": run.arm, "slots": run.slots} for run in memory.table],
            "epochs": [
                {
                    "number": epoch.number,
                    "since": write_instant(epoch.since),
                    "slots": list(epoch.slots),
                }
                for epoch in memory.epochs
            ],
        }
    if memory.arms:
        status["variants"] = [_arm_to_status(arm) for arm in memory.arms]
    for field, moment in (("startedAt", memory.started_at), ("endedAt", memory.ended_at)):
        if moment is not None:
            status[field] = write_instant(moment)
    if memory.plan is not None:
        status["plan"] = {
            "expectedUnits": memory.plan.expected_units,
            "fixedAt": write_instant(memory.plan.fixed_at),
            "source": memory.plan.source,
        }
    if memory.winner is not None:
        status["decision"] = _winner_to_status(memory.winner)
    if memory.mismatch_at is not None:
        status["sampleRatio"] = {"mismatchAt": write_instant(memory.mismatch_at)}
    return status


def _arm_to_status(arm: Arm) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": arm.name,
        "modelDeployment": arm.model_deployment,
        "revision": arm.revision,
        "key": arm.key,
        "host": arm.host,
    }
    if arm.unavailable_since is not None:
        entry["unavailableSince"] = write_instant(arm.unavailable_since)
    return entry


def _winner_to_status(winner: Winner) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "variant": winner.variant,
        "metric": winner.metric,
        "at": write_instant(winner.at),
        "lift": winner.lift,
        "pValue": winner.p_value,
        "units": winner.units,
    }
    if winner.lift_interval is not None:
        entry["liftInterval"] = winner.lift_interval
    return entry


def _instant(text: object) -> dt.datetime | None:
    return instant(str(text)) if text else None


def slots_of(table: Table, arms: Sequence[str]) -> tuple[int, ...]:
    """Return the slots of each arm in the table."""
    found = slots.counts(table)
    return tuple(found.get(arm, 0) for arm in arms)

"""What a rollout remembers from pass to pass: bounded, and instants rather than ages."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from enum import StrEnum

from fairlead_operator.rollout.ledger import Ledger
from fairlead_operator.rollout.sizing import Measured

HISTORY = 10
MESSAGE_LENGTH = 512


class Phase(StrEnum):
    """Where a rollout stands."""

    IDLE = "Idle"
    """Nothing is under way."""
    VALIDATING = "Validating"
    """The candidate is tried out by a Job; it has no pods and no traffic."""
    STARTING = "Starting"
    """It is validated, and its pods start."""
    SHADOW = "Shadow"
    """It gets copies of requests; nobody gets its answers."""
    STEP = "Step"
    """It has a share of the traffic."""
    PROMOTING = "Promoting"
    """All traffic goes to it."""
    ROLLING_BACK = "RollingBack"
    """All traffic goes back to the stable."""
    ROLLED_BACK = "RolledBack"
    """The stable has the traffic, and the candidate is not tried again by itself."""


class Outcome(StrEnum):
    """How the rollout of a revision ended."""

    PROMOTED = "Promoted"
    """It has the address."""
    GATE_FAILED = "GateFailed"
    """A gate condemned it."""
    VALIDATION_FAILED = "ValidationFailed"
    """Validation condemned it."""
    NO_DATA = "NoData"
    """A step's deadline passed without a decision, and noData is Fail."""
    ABORTED = "Aborted"
    """Somebody said so."""
    SUPERSEDED = "Superseded"
    """Another revision was asked for meanwhile."""
    REVERTED = "Reverted"
    """The stable was asked for again meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One rollout that has ended.

    Attributes:
        hash: The revision.
        version: Its version.
        outcome: How it ended.
        message: Why.
        started_at: When it began.
        ended_at: When it was decided.
    """

    hash: str
    version: str
    outcome: Outcome
    message: str
    started_at: dt.datetime
    ended_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """The last imperative, and what became of it."""

    verb: str
    value: str
    result: str
    at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What has to be remembered.

    Attributes:
        phase: Where it stands.
        since: Since when: of a step, since it was wanted.
        hash: The revision that this is about; None in IDLE.
        version: Its version.
        started_at: When its rollout began.
        step: Index of the step.
        slots: The share that is wanted for it; on the way up it never falls.
        live_at: Since when the step's split is live; holds and evidence begin here.
        paused: Whether an annotation paused it.
        halted: Whether it was paused, by whatever, in the pass before.
        measured: What its validation measured; None until it passed.
        attempts: Tries of the validation that failed for reasons of their own.
        retry_at: When the next may begin.
        job: The Job whose end was taken note of last.
        gone_at: Since when the stable has had no ready replica.
        ending: How it ends, while it rolls back and after.
        ledger: The evidence.
        said: Verdicts of the checks as they were told last.
        acted: Values of the annotations that were acted on, by verb.
        last_action: The last of them.
        history: The last ten rollouts, oldest first.
    """

    phase: Phase = Phase.IDLE
    since: dt.datetime
    hash: str | None = None
    version: str = ""
    started_at: dt.datetime | None = None
    step: int = 0
    slots: int = 0
    live_at: dt.datetime | None = None
    paused: bool = False
    halted: bool = False
    measured: Measured | None = None
    attempts: int = 0
    retry_at: dt.datetime | None = None
    job: str = ""
    gone_at: dt.datetime | None = None
    ending: Ended | None = None
    ledger: Ledger | None = None
    said: tuple[tuple[str, str], ...] = ()
    acted: tuple[tuple[str, str], ...] = ()
    last_action: Action | None = None
    history: tuple[Ended, ...] = ()

    @property
    def condemned(self) -> bool:
        """Whether the revision is to blame, by a gate or by validation."""
        return self.ending is not None and self.ending.outcome in (
            Outcome.GATE_FAILED,
            Outcome.VALIDATION_FAILED,
        )

    def idle(self, now: dt.datetime) -> Memory:
        """Return the memory with nothing under way; history and imperatives stay."""
        return Memory(
            since=now,
            job=self.job,
            acted=self.acted,
            last_action=self.last_action,
            history=self.history,
        )

    def remembering(self, ended: Ended) -> Memory:
        """Return the memory with one more rollout in its history."""
        return replace(self, history=(*self.history, ended)[-HISTORY:])


def short(text: str) -> str:
    """Return a text as status keeps it: one line, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= MESSAGE_LENGTH else line[: MESSAGE_LENGTH - 3] + "..."

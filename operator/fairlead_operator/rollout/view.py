"""What one decision about a rollout depends on, and what it wants, as data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fairlead_operator.api.conditions import Note
from fairlead_operator.api.reasons import Reason
from fairlead_operator.rollout.memory import Memory
from fairlead_operator.rollout.plan import Plan
from fairlead_operator.rollout.quality import Quality
from fairlead_operator.rollout.sizing import Measured
from fairlead_operator.rollout.verdict import Check, Verdict
from fairlead_operator.traffic.counts import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The stable, or the candidate.

    Attributes:
        hash: The revision.
        key: What evidence and router know it by: its child name.
        version: What people know it by.
        ready: Whether it has a ready replica.
        enough: Whether it has as many as it needs for all traffic.
    """

    hash: str
    key: str
    version: str
    ready: bool
    enough: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What the address really does, as every router has confirmed.

    Attributes:
        hash: The candidate's revision in the live split; None where nothing is split.
        slots: Its share.
        mirrored: Basis points of copies that it gets.
        since: Since when; None while a router has not confirmed it, or connections settle.
        message: What it waits for.
    """

    hash: str | None = None
    slots: int = 0
    mirrored: int = 0
    since: dt.datetime | None = None
    message: str = ""


class Trial(StrEnum):
    """What the validation Job of the candidate has come to."""

    NONE = "None"
    """There is no Job."""
    RUNNING = "Running"
    """It has not ended."""
    PASSED = "Passed"
    """The model may be served."""
    BLAMED = "Blamed"
    """The model is to blame."""
    BROKEN = "Broken"
    """The surroundings failed: it says nothing about the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """The validation Job of the candidate.

    Attributes:
        trial: How it ended, if it has.
        job: Identity of the Job, so that one failure is counted once.
        measured: What it measured.
        message: In words, with the figures.
        digest: Digest of the model that was tried out: what is served has to be just that.
    """

    trial: Trial = Trial.NONE
    job: str = ""
    measured: Measured | None = None
    message: str = ""
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutView:
    """Everything that a decision depends on, but the time.

    Attributes:
        plan: What the spec asks for.
        memory: What was remembered; None for a resource without any.
        stable: Who has the address.
        candidate: Who is to have it; None where the spec asks for the stable.
        live: What the address does.
        evidence: Counts since `RolloutMove.count_since`, if they could be read.
        quality: Comparisons of answers.
        validation: The candidate's validation.
        imperatives: The values of our annotations, by verb.
        unreachable: Why the objectives cannot be reached with maxReplicas; empty where they can.
        movable: Whether the address can be written: otherwise nobody gets anything in this pass.
    """

    plan: Plan
    memory: Memory | None = None
    stable: Side | None = None
    candidate: Side | None = None
    live: Live = field(default_factory=Live)
    evidence: Window | None = None
    quality: Quality | None = None
    validation: Validation = field(default_factory=Validation)
    imperatives: Mapping[str, str] = field(default_factory=dict)
    unreachable: str = ""
    movable: bool = True


class Job(StrEnum):
    """What is to become of the validation Job."""

    NONE = "None"
    """There is to be none."""
    RUN = "Run"
    """It is to be there."""
    KEEP = "Keep"
    """It stays as it is, and none is made."""
    REPLACE = "Replace"
    """It failed for reasons of its own: away with it, so that another can follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutMove:
    """What a decision wants.

    Attributes:
        memory: What to remember, written last.
        revision: The candidate under way whose share is meant; None where there is none.
        slots: Its share of the traffic.
        mirrored: Basis points of copies for it.
        split: Whether there is to be a router.
        start: Whether the wanted revision is to have pods.
        promote: Whether the candidate takes the address for good: it is the stable from now on.
        job: What is to become of the validation Job.
        count_since: Since when evidence is to be counted; None where nobody needs any.
        verdict: Over all checks.
        checks: Every gate's answer.
        reason: For conditions: where the rollout stands; None where there is none.
        message: In words.
        stalled: Whether somebody has to do something.
        step: For the column STEP.
        notes: Events.
        wake_s: When to look again without being woken.
    """

    memory: Memory
    revision: str | None = None
    slots: int = 0
    mirrored: int = 0
    split: bool = False
    start: bool = False
    promote: bool = False
    job: Job = Job.NONE
    count_since: dt.datetime | None = None
    verdict: Verdict | None = None
    checks: tuple[Check, ...] = ()
    reason: Reason | None = None
    message: str = ""
    stalled: bool = False
    step: str = ""
    notes: tuple[Note, ...] = ()
    wake_s: float | None = None

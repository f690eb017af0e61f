"""The machine as a table: the first row whose phase and condition hold says where it goes.

The rows stand in the order in which they are tried: what makes it safe before what goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from fairlead_operator.api.v1alpha1.rollout import NoData
from fairlead_operator.rollout.memory import Phase
from fairlead_operator.rollout.verdict import Verdict
from fairlead_operator.rollout.view import Trial


class Go(Enum):
    """Where a row leads."""

    VALIDATE = auto()
    """Try the candidate out."""
    TRY_AGAIN = auto()
    """Try it out once more, later: the surroundings failed."""
    START = auto()
    """Its pods start."""
    ON = auto()
    """The shadow, the first step, the next step, or all traffic: whatever comes next."""
    ALL = auto()
    """All traffic to the candidate."""
    PROMOTED = auto()
    """It is the stable from now on."""
    BLAMED = auto()
    """Roll back: validation condemned it."""
    FAILED = auto()
    """Roll back: a gate condemned it."""
    NO_DATA = auto()
    """Roll back: the deadline passed without a decision, and noData is Fail."""
    REVERTED = auto()
    """Roll back: the stable is asked for again."""
    SUPERSEDED = auto()
    """Roll back: another revision is asked for."""
    KEEP_BACK = auto()
    """The stable has the traffic; the candidate is not tried again by itself."""
    REST = auto()
    """Nothing is under way any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a row may ask.

    Attributes:
        phase: Where the rollout stands.
        asked: Whether a candidate is asked for.
        same: Whether it is the one that the rollout is about.
        arrived: Whether the one that it is about has the address already.
        needless: Whether the spec asks for no validation.
        trial: What its validation Job has come to.
        counted: Whether that Job's end was taken note of before.
        ready: Whether it has a ready replica.
        enough: Whether it has as many as all traffic needs.
        direct: Whether the spec has neither steps nor a mirror.
        stable: Whether there is a stable that serves, or did so a moment ago.
        unreachable: Whether the objectives are out of its reach.
        live: Whether every router does what is wanted.
        back: Whether the candidate has no traffic and no copies.
        held: Whether the hold is over.
        overdue: Whether the step's deadline has passed, in a live split since it is live.
        paused: Whether somebody paused it.
        verdict: What the evidence says.
        no_data: What happens where it decides nothing.
        kept: Whether a revision that was rolled back is to be remembered as such.
        shadowless: Whether the spec has no mirror.
    """

    phase: Phase
    asked: bool
    same: bool
    arrived: bool
    needless: bool
    trial: Trial
    counted: bool
    ready: bool
    enough: bool
    direct: bool
    stable: bool
    unreachable: bool
    live: bool
    back: bool
    held: bool
    overdue: bool
    paused: bool
    verdict: Verdict
    no_data: NoData
    kept: bool
    shadowless: bool

    @property
    def undecided(self) -> bool:
        """Whether the evidence decides nothing; a pause is no lack of it."""
        return self.verdict not in (Verdict.PASS, Verdict.FAIL) and not self.paused


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row.

    Attributes:
        at: Phases in which it is tried.
        words: The condition in words, as documentation has it.
        when: The condition.
        go: Where it leads.
    """

    at: frozenset[Phase]
    words: str
    when: Callable[[Situation], bool]
    go: Go


def _row(at: str, words: str, when: Callable[[Situation], bool], go: Go) -> Row:
    return Row(at=frozenset(map(Phase, at.split())), words=words, when=when, go=go)


_UNDER_WAY = "Validating Starting Shadow Step Promoting"

TABLE: tuple[Row, ...] = (
    _row("Idle", "a candidate is asked for", lambda s: s.asked, Go.VALIDATE),
    _row(_UNDER_WAY, "the candidate has the address", lambda s: s.arrived, Go.PROMOTED),
    _row(_UNDER_WAY, "the spec asks for the stable again", lambda s: not s.asked, Go.REVERTED),
    _row(_UNDER_WAY, "the spec asks for another revision", lambda s: not s.same, Go.SUPERSEDED),
    _row(
        "Shadow Step Promoting",
        "a gate says Fail",
        lambda s: s.verdict is Verdict.FAIL,
        Go.FAILED,
    ),
    _row(
        "Validating",
        "the validation passed, or the spec asks for none",
        lambda s: s.needless or (s.trial is Trial.PASSED and not s.counted),
        Go.START,
    ),
    _row(
        "Validating",
        "the validation blames the model",
        lambda s: s.trial is Trial.BLAMED and not s.counted,
        Go.BLAMED,
    ),
    _row(
        "Validating",
        "the validation could not be carried out",
        lambda s: s.trial is Trial.BROKEN and not s.counted,
        Go.TRY_AGAIN,
    ),
    _row(
        "Starting",
        "it has a ready replica, and no stable serves",
        lambda s: s.ready and not s.stable,
        Go.PROMOTED,
    ),
    _row(
        "Starting",
        (
            "the spec has neither steps nor a mirror; it has the replicas for all traffic, is not "
            "paused, and can reach the objectives"
        ),
        lambda s: s.direct and s.enough and not s.paused and not s.unreachable,
        Go.PROMOTED,
    ),
    _row(
        "Starting",
        "it has a ready replica, is not paused, and can reach the objectives",
        lambda s: s.ready and not s.direct and not s.paused and not s.unreachable,
        Go.ON,
    ),
    _row(
        "Shadow Step",
        "no stable serves any more, and it has a ready replica",
        lambda s: s.ready and not s.stable,
        Go.ALL,
    ),
    _row(
        "Shadow",
        "the spec has no mirror any more",
        lambda s: s.shadowless and not s.paused,
        Go.ON,
    ),
    _row(
        "Shadow Step",
        "the split is live, the hold is over, all gates say Pass, and it is not paused",
        lambda s: s.live and s.held and s.verdict is Verdict.PASS and not s.paused,
        Go.ON,
    ),
    _row(
        "Shadow Step",
        "the split was live for the deadline without a decision; noData is Pass",
        lambda s: s.live and s.overdue and s.no_data is NoData.PASS and s.undecided,
        Go.ON,
    ),
    _row(
        "Shadow Step",
        "the split was live for the deadline without a decision; noData is Fail",
        lambda s: s.live and s.overdue and s.no_data is NoData.FAIL and s.undecided,
        Go.NO_DATA,
    ),
    _row("Promoting", "every router gives it everything", lambda s: s.live, Go.PROMOTED),
    _row(
        "RollingBack",
        "the stable has all traffic, and the spec still asks for the candidate",
        lambda s: s.back and s.kept,
        Go.KEEP_BACK,
    ),
    _row("RollingBack", "the stable has all traffic", lambda s: s.back, Go.REST),
    _row(
        "RolledBack",
        "the spec asks for something else",
        lambda s: not s.asked or not s.same,
        Go.REST,
    ),
)


def look_up(situation: Situation) -> Go | None:
    """Return where it goes; None where it stays."""
    for row in TABLE:
        if situation.phase in row.at and row.when(situation):
            return row.go
    return None

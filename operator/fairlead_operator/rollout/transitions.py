"""What each row of the table does to the memory, and what is told of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import replace

from fairlead_operator.api import duration
from fairlead_operator.api.conditions import Note
from fairlead_operator.rollout import standing
from fairlead_operator.rollout.imperatives import back
from fairlead_operator.rollout.ledger import Ledger
from fairlead_operator.rollout.memory import Ended, Memory, Outcome, Phase, short
from fairlead_operator.rollout.sizing import Measured
from fairlead_operator.rollout.table import Go
from fairlead_operator.rollout.verdict import Check, Verdict
from fairlead_operator.rollout.view import RolloutView, Trial
from fairlead_runtime.contract.assignment import SLOTS

_FIRST_BACKOFF_S = 10.0
_LONGEST_BACKOFF_S = 300.0


class Transitions:
    """Carries out rows of the table in one pass.

    Attributes:
        notes: What is to be told.
        promoted: Whether the candidate has become the stable.
    """

    def __init__(self, view: RolloutView, now: dt.datetime) -> None:
        self.view = view
        self.plan = view.plan
        self.now = now
        self.notes: list[Note] = []
        self.promoted = False
        self._checks: tuple[Check, ...] = ()

    def follow(self, memory: Memory, go: Go, checks: tuple[Check, ...]) -> Memory:
        """Return the memory after a row."""
        self._checks = checks
        how: Mapping[Go, Callable[[Memory], Memory]] = {
            Go.VALIDATE: self._begun,
            Go.TRY_AGAIN: self._broken,
            Go.START: self._validated,
            Go.ON: self._on,
            Go.ALL: self._stable_gone,
            Go.PROMOTED: self._arrived,
            Go.BLAMED: self._blamed,
            Go.FAILED: self._failed,
            Go.NO_DATA: self._no_data,
            Go.REVERTED: self._reverted,
            Go.SUPERSEDED: self._superseded,
            Go.KEEP_BACK: self._kept_back,
            Go.REST: self._rest,
        }
        return how[go](memory)

    def say(self, memory: Memory, reason: str, text: str, *, warning: bool = False) -> None:
        """Note an Event."""
        message = f"version {memory.version}: {text}" if text else f"version {memory.version}"
        self.notes.append(Note(reason=reason, message=short(message), warning=warning))

    def _begun(self, memory: Memory) -> Memory:
        candidate = self.view.candidate
        if candidate is None:
            return memory
        begun = replace(
            memory.idle(self.now),
            phase=Phase.VALIDATING,
            hash=candidate.hash,
            version=candidate.version,
            started_at=self.now,
        )
        if self.plan.validate:
            self.say(begun, "RolloutStarted", "validation first")
        return begun

    def _broken(self, memory: Memory) -> Memory:
        attempts = memory.attempts + 1
        wait_s = min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** min(attempts - 1, 10))
        text = f"{self.view.validation.message}; tried again in {wait_s:.0f} s"
        self.say(memory, "ValidationRetried", text, warning=True)
        return replace(
            memory,
            attempts=attempts,
            retry_at=self.now + dt.timedelta(seconds=wait_s),
            job=self.view.validation.job,
        )

    def _validated(self, memory: Memory) -> Memory:
        found = self.view.validation
        passed = found.trial is Trial.PASSED
        if passed:
            self.say(memory, "Validated", found.message)
        measured = found.measured if passed else None
        return replace(
            memory,
            phase=Phase.STARTING,
            since=self.now,
            measured=measured or Measured(),
            job=found.job if passed else memory.job,
            attempts=0,
            retry_at=None,
        )

    def _on(self, memory: Memory) -> Memory:
        plan = self.plan
        if memory.phase is Phase.STARTING and plan.mirror is not None:
            share = plan.mirror.slots
            ledger = Ledger(control_share=SLOTS, candidate_share=share)
            self.say(memory, "ShadowStarted", f"{share / 100:g}% of the requests are copied")
            return replace(memory, phase=Phase.SHADOW, since=self.now, live_at=None, ledger=ledger)
        index = memory.step + 1 if memory.phase is Phase.STEP else 0
        if index >= len(plan.steps):
            return self._all(memory)
        step = plan.steps[index]
        share = max(step.slots, memory.slots)
        text = f"step {index + 1} of {len(plan.steps)}: {share / 100:g}% of the traffic"
        self.say(memory, "StepStarted", text)
        ledger = (memory.ledger or Ledger()).next(
            control_share=SLOTS - share, candidate_share=share
        )
        return replace(
            memory,
            phase=Phase.STEP,
            since=self.now,
            step=index,
            slots=share,
            live_at=None,
            ledger=ledger,
        )

    def _all(self, memory: Memory) -> Memory:
        self.say(memory, "Promoting", "all traffic goes to it")
        return replace(memory, phase=Phase.PROMOTING, since=self.now, live_at=None)

    def _arrived(self, memory: Memory) -> Memory:
        self.promoted = True
        text = standing.achieved(memory, stable=self.view.stable is not None)
        if self.plan.validate or memory.phase is Phase.PROMOTING:  # else its address says it all
            self.say(memory, "Promoted", text)
        return memory.remembering(self._ended(memory, Outcome.PROMOTED, text)).idle(self.now)

    def _rolled(self, memory: Memory, outcome: Outcome, text: str) -> Memory:
        quiet = outcome in (Outcome.REVERTED, Outcome.SUPERSEDED)
        self.say(memory, outcome.value, text, warning=not quiet)
        return back(memory, outcome, short(text), self.now)

    def _ended(self, memory: Memory, outcome: Outcome, text: str) -> Ended:
        return Ended(
            hash=memory.hash or "",
            version=memory.version,
            outcome=outcome,
            message=short(text),
            started_at=memory.started_at or memory.since,
            ended_at=self.now,
        )

    def _stable_gone(self, memory: Memory) -> Memory:
        self.say(memory, "StableGone", "no replica of the stable is ready", warning=True)
        return self._all(memory)

    def _blamed(self, memory: Memory) -> Memory:
        text = self.view.validation.message or "validation blames the model"
        memory = replace(memory, job=self.view.validation.job)
        return self._rolled(memory, Outcome.VALIDATION_FAILED, text)

    def _failed(self, memory: Memory) -> Memory:
        failed = [check for check in self._checks if check.verdict is Verdict.FAIL]
        text = "; ".join(standing.told(check) for check in failed)
        return self._rolled(memory, Outcome.GATE_FAILED, text)

    def _no_data(self, memory: Memory) -> Memory:
        after = duration.text(self.plan.deadline_s)
        text = f"{standing.undecided(self._checks)} after {after}; noData is Fail"
        return self._rolled(memory, Outcome.NO_DATA, text)

    def _reverted(self, memory: Memory) -> Memory:
        return self._rolled(memory, Outcome.REVERTED, "the spec asks for the stable again")

    def _superseded(self, memory: Memory) -> Memory:
        return self._rolled(memory, Outcome.SUPERSEDED, "the spec asks for another revision")

    def _kept_back(self, memory: Memory) -> Memory:
        return _remembered(replace(memory, phase=Phase.ROLLED_BACK, since=self.now, paused=False))

    def _rest(self, memory: Memory) -> Memory:
        if memory.phase is Phase.ROLLING_BACK:
            memory = _remembered(memory)
        return memory.idle(self.now)


def _remembered(memory: Memory) -> Memory:
    return memory if memory.ending is None else memory.remembering(memory.ending)

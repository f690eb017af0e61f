"""One step of a rollout: evidence in, imperatives obeyed, the table followed, and what is wanted.

The same view and the same `now` give the same move. Whatever a pass wants may be carried out in
part and wanted again: what is observed (the live split, the Job, the stable) goes before what is
remembered.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from fairlead_operator.api.times import instant, write_instant
from fairlead_operator.rollout import imperatives, standing
from fairlead_operator.rollout.imperatives import UNDER_WAY
from fairlead_operator.rollout.ledger import Ledger
from fairlead_operator.rollout.memory import Memory, Outcome, Phase
from fairlead_operator.rollout.plan import Plan
from fairlead_operator.rollout.table import Situation, look_up
from fairlead_operator.rollout.transitions import Transitions
from fairlead_operator.rollout.verdict import Check, Verdict, worst
from fairlead_operator.rollout.view import Job, RolloutMove, RolloutView, Side, Trial
from fairlead_runtime.contract.assignment import SLOTS

STABLE_GONE_S = 30.0
"""For so long the stable may be without a ready replica before its canary gets everything."""
SPLIT = frozenset({Phase.SHADOW, Phase.STEP, Phase.PROMOTING})
"""Phases in which evidence is judged."""
_MOST_ROWS = 8
_LOOK_S = 2.5
_SOON_S = 1.0
_LATER_S = 5.0


def advance(view: RolloutView, now: dt.datetime) -> RolloutMove:
    """Return the next step of a rollout."""
    return _Pass(view, instant(write_instant(now))).run()


def wanted(memory: Memory, plan: Plan) -> tuple[int, int]:
    """Return the candidate's share and its copies, in basis points, that a memory wants."""
    if memory.phase is Phase.PROMOTING:
        return SLOTS, 0
    if memory.phase is Phase.STEP:
        # What the spec says now, but nobody is taken out of the canary by an edit of its steps.
        index = min(memory.step, len(plan.steps) - 1)
        asked = plan.steps[index].slots if plan.steps else 0
        return max(memory.slots, asked), 0
    if memory.phase is Phase.SHADOW and plan.mirror is not None:
        return 0, plan.mirror.slots
    return 0, 0


class _Pass:
    """One decision."""

    def __init__(self, view: RolloutView, now: dt.datetime) -> None:
        self.view = view
        self.plan = view.plan
        self.now = now
        self.before = view.memory or Memory(since=now)
        self.go = Transitions(view, self.now)
        self.checks: tuple[Check, ...] = ()
        self.verdict = Verdict.NO_EVIDENCE

    def run(self) -> RolloutMove:
        memory = self._observed(self.before)
        memory = imperatives.obey(
            memory, self.view.imperatives, self.now, ready=self._ready(memory)
        )
        if memory.last_action not in (None, self.before.last_action):
            action = memory.last_action
            self.go.say(memory, "Imperative", f"{action.verb}: {action.result}")
        memory = self._clocks(memory)
        for _ in range(_MOST_ROWS):
            memory = self._lived(memory)
            self._judge(memory)
            go = look_up(self._situation(memory))
            if go is None:
                break
            memory = self.go.follow(memory, go, self.checks)
            if self.go.promoted:
                break  # who is the stable now is another view
        memory = self._told(memory)
        return self._move(memory)

    # What is observed.

    def _observed(self, memory: Memory) -> Memory:
        """Take in the evidence, and whether the stable serves."""
        view = self.view
        candidate, ledger = self._candidate(memory), memory.ledger
        counted = view.evidence if memory.phase in SPLIT and memory.live_at else None
        if counted and ledger and candidate and view.stable and memory.live_at:
            ledger = ledger.read(counted, view.stable.key, candidate.key, memory.live_at)
            if view.quality is not None:
                ledger = replace(ledger, quality=view.quality.after(ledger.quality))
            memory = replace(memory, ledger=ledger)
        if memory.phase not in UNDER_WAY or view.stable is None or view.stable.ready:
            return replace(memory, gone_at=None)
        return replace(memory, gone_at=memory.gone_at or self.now)

    def _clocks(self, memory: Memory) -> Memory:
        """A deadline does not run while the rollout is paused: it begins anew after."""
        paused = memory.phase in UNDER_WAY and self._paused(memory)
        if memory.halted and not paused and memory.phase in UNDER_WAY:
            memory = replace(memory, since=self.now)
        return memory if memory.halted == paused else replace(memory, halted=paused)

    def _lived(self, memory: Memory) -> Memory:
        """Note since when the wanted split is live: holds and evidence begin there."""
        if memory.phase not in SPLIT:
            return memory
        slots, _ = wanted(memory, self.plan)
        if slots > memory.slots:
            # A new share, also where the step's weight was raised in the spec.
            ledger = (memory.ledger or Ledger()).next(
                control_share=SLOTS - slots, candidate_share=slots
            )
            memory = replace(memory, slots=slots, live_at=None, ledger=ledger)
        if memory.live_at is None and self._live(memory) and self.view.live.since is not None:
            since = instant(write_instant(self.view.live.since))
            memory = replace(memory, live_at=max(memory.since, since))
        return memory

    def _live(self, memory: Memory) -> bool:
        live = self.view.live
        return (
            live.since is not None
            and live.hash == memory.hash
            and (live.slots, live.mirrored) == wanted(memory, self.plan)
        )

    def _back(self, memory: Memory) -> bool:
        live = self.view.live
        if live.hash is None or live.hash != memory.hash:
            return True
        return live.since is not None and not live.slots and not live.mirrored

    def _candidate(self, memory: Memory) -> Side | None:
        candidate = self.view.candidate
        return candidate if candidate is not None and candidate.hash == memory.hash else None

    def _ready(self, memory: Memory) -> bool:
        candidate = self._candidate(memory)
        return candidate is not None and candidate.ready

    def _stable(self, memory: Memory) -> bool:
        if self.view.stable is None:
            return False
        if self.view.stable.ready:
            return True
        if memory.phase is Phase.STARTING:
            return False  # nobody serves: whoever is validated and ready is better
        if memory.gone_at is None:
            return True
        return (self.now - memory.gone_at).total_seconds() < STABLE_GONE_S

    def _hold_s(self, memory: Memory) -> float:
        if memory.phase is Phase.SHADOW:
            return self.plan.mirror.hold_s if self.plan.mirror else 0.0
        if memory.phase is Phase.STEP and memory.step < len(self.plan.steps):
            return self.plan.steps[memory.step].hold_s
        return 0.0

    def _last(self, memory: Memory) -> bool:
        if memory.phase is Phase.SHADOW:
            return not self.plan.steps
        return memory.phase is Phase.STEP and memory.step >= len(self.plan.steps) - 1

    def _judge(self, memory: Memory) -> None:
        """Judge what was counted; after the end the evidence that decided stays on show."""
        ledger, ended = memory.ledger, memory.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK)
        if ledger is None or not (memory.phase in SPLIT or ended):
            self.checks, self.verdict = (), Verdict.NO_EVIDENCE
            return
        from fairlead_operator.rollout import gates  # numpy and scipy, which rest does without

        self.checks = gates.judge(
            ledger,
            self.plan.limits,
            ledger.end if ended and ledger.end else self.now,
            last=self._last(memory),
        )
        self.verdict = worst(self.checks)

    def _situation(self, memory: Memory) -> Situation:
        view, candidate = self.view, self.view.candidate
        same = candidate is not None and candidate.hash == memory.hash
        lived_s = (self.now - memory.live_at).total_seconds() if memory.live_at else -1.0
        outcome = memory.ending.outcome if memory.ending else None
        return Situation(
            phase=memory.phase,
            asked=candidate is not None,
            same=same,
            arrived=view.stable is not None and view.stable.hash == memory.hash,
            needless=not self.plan.validate,
            trial=view.validation.trial if same else Trial.NONE,
            counted=view.validation.job == memory.job,
            ready=self._ready(memory),
            enough=candidate is not None and same and candidate.ready and candidate.enough,
            direct=not self.plan.steps and self.plan.mirror is None,
            stable=self._stable(memory),
            unreachable=bool(view.unreachable),
            live=memory.live_at is not None and self._live(memory) and view.movable,
            back=self._back(memory),
            held=0 <= self._hold_s(memory) <= lived_s,
            overdue=self._overdue(memory),
            paused=self._paused(memory),
            verdict=self.verdict,
            no_data=self.plan.no_data,
            kept=same and outcome not in (Outcome.SUPERSEDED, Outcome.REVERTED),
            shadowless=self.plan.mirror is None,
        )

    def _paused(self, memory: Memory) -> bool:
        return memory.paused or self.plan.paused

    def _overdue(self, memory: Memory) -> bool:
        if self._paused(memory):
            return False
        # Nothing could be counted before the split was live, and a pause begins the step anew.
        began = max(memory.since, memory.live_at or memory.since)
        return (self.now - began).total_seconds() >= self.plan.deadline_s

    # What is said and wanted.

    def _told(self, memory: Memory) -> Memory:
        """Tell which verdicts have changed since they were told last, in an Event for each."""
        if memory.phase not in SPLIT and memory.phase is not Phase.ROLLING_BACK:
            return memory
        said = {check.gate.value: check.verdict.value for check in self.checks if check.verdict}
        before = dict(memory.said)
        condemned = memory.phase is Phase.ROLLING_BACK
        for check in self.checks:
            if not check.verdict or before.get(check.gate.value) == check.verdict.value:
                continue
            if condemned and (self.before.phase not in SPLIT or check.verdict is Verdict.FAIL):
                continue  # nobody waits for it any more, or the end has said it
            self.go.say(memory, "CheckChanged", f"{check.verdict} {standing.told(check)}")
        return replace(memory, said=tuple(sorted(said.items())))

    def _move(self, memory: Memory) -> RolloutMove:
        slots, mirrored = wanted(memory, self.plan)
        stands = standing.describe(
            memory,
            self.view,
            self.checks,
            overdue=self._overdue(memory),
            hold_s=self._hold_s(memory),
            now=self.now,
        )
        split = memory.phase in SPLIT or (
            memory.phase is Phase.ROLLING_BACK and not self._back(memory)
        )
        return RolloutMove(
            memory=memory,
            revision=memory.hash if split else None,
            slots=slots,
            mirrored=mirrored,
            split=split,
            start=self.go.promoted or memory.phase is Phase.STARTING or memory.phase in SPLIT,
            promote=self.go.promoted,
            job=self._job(memory),
            count_since=memory.live_at if memory.phase in SPLIT else None,
            verdict=self.verdict if memory.phase in SPLIT else None,
            checks=self.checks,
            reason=stands.reason,
            message=stands.message,
            stalled=stands.stalled,
            step=stands.step,
            notes=tuple(self.go.notes),
            wake_s=self._wake_s(memory),
        )

    def _job(self, memory: Memory) -> Job:
        if memory.phase is not Phase.VALIDATING:
            ending = memory.ending
            refused = ending is not None and ending.outcome is Outcome.VALIDATION_FAILED
            # Until the report is in status, and what it printed as long as somebody may ask why.
            return Job.KEEP if refused or self.before.phase is Phase.VALIDATING else Job.NONE
        known = self.view.validation
        if known.trial in (Trial.PASSED, Trial.BLAMED, Trial.BROKEN) and known.job == memory.job:
            return Job.REPLACE
        if memory.retry_at is not None and self.now < memory.retry_at:
            return Job.KEEP
        return Job.RUN

    def _wake_s(self, memory: Memory) -> float | None:
        match memory.phase:
            case Phase.IDLE | Phase.ROLLED_BACK:
                return None
            case Phase.VALIDATING:
                if memory.retry_at is not None and self.now < memory.retry_at:
                    return min(30.0, (memory.retry_at - self.now).total_seconds())
                return _LATER_S
            case Phase.STARTING:
                return _LATER_S
            case Phase.ROLLING_BACK:
                return _SOON_S
            case _:
                return _LOOK_S

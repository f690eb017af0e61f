"""Whatever happens in whatever order, a rollout keeps its promises, and left alone it ends."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from fairlead_operator.api.v1alpha1.rollout import NoData
from fairlead_operator.rollout.machine import advance, wanted
from fairlead_operator.rollout.memory import HISTORY, Phase
from fairlead_operator.rollout.memoryjson import to_json
from fairlead_operator.rollout.plan import Step
from fairlead_operator.rollout.view import Live, RolloutMove, Trial
from tests.searching import searches
from tests.unit.rollout.rolling import STEPS, World, a_plan, a_side

PLANS = st.builds(
    a_plan,
    steps=st.sampled_from([(), STEPS[:1], STEPS, (Step(slots=1000, hold_s=0),)]),
    mirror=st.sampled_from([None, Step(slots=1000, hold_s=30)]),
    no_data=st.sampled_from(NoData),
    paused=st.booleans(),
    validate=st.sampled_from([True, True, False]),
)
VERBS = st.sampled_from(["promote", "pause", "resume", "abort", "retry"])


def validated(world: World) -> set[str]:
    """Return the revisions that may have traffic: tried out, or spared by the spec."""
    found = {h for h, trial in world.tried if trial is Trial.PASSED}
    return found | world.spared


def checked(world: World, *, remembered: bool = True) -> RolloutMove:
    """Do one pass and hold it to everything that is promised of each."""
    view, now = world.view(), world.now
    if view.candidate is not None and world.job:
        world.tried.add((view.candidate.hash, view.validation.trial))
    if view.candidate is not None and not view.plan.validate:
        world.spared.add(view.candidate.hash)
    before = world.memory
    move = advance(view, now)
    assert advance(view, now) == move, "the same view gives the same move"
    world.step(remembered=remembered)
    memory = move.memory
    assert 0 <= move.slots <= 10_000
    assert not (move.slots and move.mirrored), "copies beside a share"
    assert (move.slots, move.mirrored) == wanted(memory, view.plan)
    if move.slots or move.mirrored or move.promote:
        candidate = view.candidate
        arrived = view.stable is not None and before is not None and view.stable.hash == before.hash
        assert arrived or (candidate is not None)
        about = before if move.promote else memory
        assert about is not None or move.promote
        if not move.promote:
            assert memory.hash == (candidate.hash if candidate else None), "never two candidates"
            assert memory.measured is not None, "weight before validation"
            assert memory.hash in validated(world), "weight before validation"
            assert memory.ending is None, "weight after the end"
            assert view.candidate is not None
    if move.promote and before is not None and before.ending is not None:
        # What was rolled back is another one: its successor may be promoted in the same pass.
        promoted = before.hash if view.candidate is None else view.candidate.hash
        assert promoted != before.ending.hash, "promoted after it was condemned"
    if (
        before is not None
        and before.hash == memory.hash
        and before.phase is Phase.STEP
        and memory.phase is Phase.STEP
    ):
        assert move.slots >= before.slots, "somebody was taken out of the canary"
    if memory.phase not in (Phase.IDLE, Phase.ROLLED_BACK):
        assert move.wake_s is not None, "nobody would look again"
        assert move.reason is not None or memory.phase is Phase.STARTING, "held without a reason"
    assert len(memory.history) <= HISTORY
    assert len(str(to_json(memory))) < 16_384
    return move


class Rollout(RuleBasedStateMachine):
    """Passes, whole and cut off, among everything that may happen meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.nonce = 0

    @initialize(passes=st.integers(1, 25), shadow=st.booleans())
    def a_rollout_is_under_way(self, passes: int, shadow: bool) -> None:
        self.world.plan = a_plan(mirror=Step(slots=1000, hold_s=30) if shadow else None)
        for _ in range(passes):
            checked(self.world)
            if self.world.candidate is None:
                break
            self.world.wait(15)

    @rule(remembered=st.booleans())
    def one_pass(self, remembered: bool) -> None:
        checked(self.world, remembered=remembered)

    @rule(passes=st.integers(1, 20))
    def all_goes_well_for_a_while(self, passes: int) -> None:
        for _ in range(passes):
            checked(self.world)
            self.world.wait(10)

    @rule(seconds=st.sampled_from([0.4, 2.5, 30.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule(plan=PLANS)
    def the_plan_is_edited(self, plan: object) -> None:
        self.world.plan = plan  # type: ignore[assignment]

    @rule(letter=st.sampled_from("bcd"), ready=st.booleans())
    def a_revision_is_asked_for(self, letter: str, ready: bool) -> None:
        side = a_side(letter, ready=ready)
        stable = self.world.stable
        self.world.candidate = None if stable and stable.hash == side.hash else side
        self.world.job = ""

    @rule()
    def the_stable_is_asked_for(self) -> None:
        if self.world.stable is not None:
            self.world.candidate = None

    @rule(ready=st.booleans())
    def the_stables_pods_come_and_go(self, ready: bool) -> None:
        if self.world.stable is not None:
            self.world.stable = replace(self.world.stable, ready=ready)

    @rule(ready=st.booleans())
    def the_candidates_pods_come_and_go(self, ready: bool) -> None:
        if self.world.candidate is not None:
            self.world.candidate = replace(self.world.candidate, ready=ready)

    @rule(trial=st.sampled_from(Trial))
    def a_validation_ends(self, trial: Trial) -> None:
        self.world.trial = trial

    @rule(errors=st.sampled_from([0, 0, 1, 50]), rps=st.sampled_from([0, 5, 400]))
    def the_traffic_changes(self, errors: int, rps: int) -> None:
        self.world.errors_per_s, self.world.rps = errors, rps

    @rule(obedient=st.booleans(), counted=st.booleans())
    def routers_and_evidence_come_and_go(self, obedient: bool, counted: bool) -> None:
        self.world.obedient, self.world.counted = obedient, counted

    @rule()
    def another_operator_counts_anew(self) -> None:
        self.world.since = None

    @rule(unreachable=st.sampled_from(["", "", "too little"]))
    def objectives_change(self, unreachable: str) -> None:
        self.world.unreachable = unreachable

    @rule(verb=VERBS, letter=st.sampled_from("bcd"), fresh=st.booleans())
    def somebody_says_something(self, verb: str, letter: str, fresh: bool) -> None:
        self.nonce += fresh
        self.world.said[verb] = f"{letter * 16}/{self.nonce}"

    def teardown(self) -> None:
        self.left_alone_it_ends()

    @rule()
    def left_alone_it_ends(self) -> None:
        """Try it on a copy, with everything around it well."""
        world = World()
        for name in World.__slots__:
            value = getattr(self.world, name)
            copied = value.copy() if isinstance(value, dict | list | set) else value
            setattr(world, name, copied)
        world.obedient = world.counted = True
        world.unreachable, world.rps, world.errors_per_s = "", 400, 0
        world.plan = replace(world.plan, paused=False)
        if world.trial in (Trial.NONE, Trial.RUNNING, Trial.BROKEN):
            world.trial = Trial.PASSED
        if world.candidate is not None:
            world.candidate = replace(world.candidate, ready=True)
        for _ in range(150):
            move = checked(world)
            if move.memory.paused:
                world.said["resume"] = f"{move.memory.hash}/{world.now.isoformat()}"
            if move.wake_s is None:
                break
            world.wait(20)
        else:
            raise AssertionError(f"no rest: {move}")
        assert move.memory.phase in (Phase.IDLE, Phase.ROLLED_BACK)
        assert world.live == Live(), "the split is left behind"
        if move.memory.phase is Phase.IDLE:
            assert world.candidate is None, "a candidate is forgotten"
        assert world.decide().memory == move.memory, "rest is no rest"


Rollout.TestCase.settings = searches(40, steps=15)
TestRollout = Rollout.TestCase

"""The machine, scenario by scenario: every case that the design names."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from fairlead_operator.api.reasons import Reason
from fairlead_operator.api.v1alpha1.rollout import NoData
from fairlead_operator.rollout.machine import advance
from fairlead_operator.rollout.memory import Outcome, Phase
from fairlead_operator.rollout.plan import Limits, Step
from fairlead_operator.rollout.quality import Compared, Quality
from fairlead_operator.rollout.verdict import Gate, Verdict
from fairlead_operator.rollout.view import Job, Live, Trial
from fairlead_operator.traffic.counts import Counts
from tests.unit.rollout.rolling import World, a_plan, a_side

B = "b" * 16


def test_a_good_candidate_goes_through_every_step_and_is_promoted() -> None:
    world = World()
    world.run(600)
    assert world.outcomes == [Outcome.PROMOTED]
    assert world.stable == a_side("b")
    shares = [move.slots for move in world.moves]
    assert [a for a, b in zip([-1, *shares], shares, strict=False) if a != b][1:] == [
        0, 500, 2500, 5000, 10_000,
    ]  # fmt: skip
    assert world.decide().wake_s is None
    assert world.decide().memory == world.memory


def test_nothing_is_remembered_anew_while_nothing_is_wanted() -> None:
    world = World(candidate=None)
    first = world.step()
    world.wait(1000)
    assert world.step().memory == first.memory


def test_a_candidate_gets_no_pods_and_no_traffic_before_it_is_validated() -> None:
    world = World(trial=Trial.RUNNING)
    move = world.run(120)
    assert (move.memory.phase, move.job, move.reason) == (
        Phase.VALIDATING, Job.RUN, Reason.VALIDATING,
    )  # fmt: skip
    assert not any(m.start or m.split or m.slots or m.mirrored for m in world.moves)


def test_a_candidate_that_validation_blames_never_gets_a_request_and_is_not_tried_again() -> None:
    world = World(trial=Trial.BLAMED)
    move = world.run(300)
    assert not any(m.start or m.split or m.promote for m in world.moves)
    assert (move.reason, move.stalled, move.step) == (Reason.VALIDATION_FAILED, True, "refused")
    assert "as measured" in move.message
    assert "version va serves" in move.message
    assert world.jobs == 1
    assert world.memory is not None
    assert world.memory.condemned


def test_an_outage_of_the_validation_is_tried_again_for_ever_and_condemns_nothing() -> None:
    world = World(trial=Trial.BROKEN)
    world.run(3600)
    assert world.jobs >= 10
    assert world.memory is not None
    assert world.memory.phase is Phase.VALIDATING
    assert not world.memory.condemned
    gaps = [n for n in world.notes if n.reason == "ValidationRetried"]
    assert "tried again in 10 s" in gaps[0].message
    assert "tried again in 300 s" in gaps[-1].message
    world.trial = Trial.PASSED
    world.until(Phase.STEP)


def test_one_failure_of_a_job_is_counted_once_however_often_it_is_seen() -> None:
    world = World(trial=Trial.BROKEN)
    world.step()
    world.step()
    again = [world.decide().memory.attempts for _ in range(3)]
    assert again == [1, 1, 1]


def test_the_first_deployment_is_validated_and_takes_the_address_without_a_canary() -> None:
    world = World(stable=None)
    world.run(30)
    assert world.outcomes == [Outcome.PROMOTED]
    assert not any(move.split for move in world.moves)
    assert any(move.job is Job.RUN for move in world.moves)


def test_a_first_deployment_that_is_refused_serves_nothing_and_says_so() -> None:
    world = World(stable=None, trial=Trial.BLAMED)
    move = world.run(30)
    assert "no version serves" in move.message
    assert not any(m.promote for m in world.moves)


def test_a_validated_candidate_takes_the_address_at_once_where_no_stable_is_ready() -> None:
    world = World(stable=a_side("a", ready=False), trial=Trial.RUNNING)
    world.run(40)  # longer than a moment
    world.trial = Trial.PASSED
    world.run(10)
    assert world.outcomes == [Outcome.PROMOTED]
    assert not any(move.split for move in world.moves)


def test_a_stable_that_blinks_gives_nothing_away() -> None:
    world = World()
    world.until(Phase.STEP)
    world.stable = a_side("a", ready=False)
    world.run(20)
    world.stable = a_side("a")
    move = world.run(5)
    assert move.memory.phase is Phase.STEP
    assert move.memory.gone_at is None


def test_a_stable_that_is_gone_in_mid_canary_leaves_everything_to_the_candidate() -> None:
    world = World()
    world.until(Phase.STEP)
    world.stable = a_side("a", ready=False)
    world.run(60)
    assert world.outcomes == [Outcome.PROMOTED]


def test_a_failing_candidate_is_rolled_back_without_a_minimum_of_requests() -> None:
    world = World(rps=100)
    world.until(Phase.STEP)
    world.errors_per_s = 5  # everything fails: five requests a second
    world.run(10, every=2.5)
    move = world.moves[-1]
    assert move.memory.phase is Phase.ROLLED_BACK
    assert world.outcomes == [Outcome.GATE_FAILED]
    assert (move.reason, move.stalled) == (Reason.ROLLED_BACK, True)
    assert "Errors: " in move.message
    assert "limit 1%" in move.message
    [errors] = [check for check in move.checks if check.gate == "Errors"]
    assert errors.verdict is Verdict.FAIL
    assert errors.samples < 200
    warned = [note for note in world.notes if note.warning]
    assert [note.reason for note in warned] == ["GateFailed"]


def test_the_same_revision_stays_condemned_whatever_happens_but_retry_or_another() -> None:
    world = World(rps=100, errors_per_s=100)
    world.until(Phase.ROLLED_BACK)
    world.errors_per_s = 0
    kept = world.memory
    world.run(3600, every=60)
    assert world.memory == kept
    world.said["retry"] = f"{'c' * 16}/1"
    world.run(10)
    assert world.memory is not None
    assert world.memory.phase is Phase.ROLLED_BACK
    assert world.memory.last_action is not None
    assert "ignored" in world.memory.last_action.result
    world.said["retry"] = f"{B[:8]}/2"
    world.run(600)
    assert world.outcomes == [Outcome.GATE_FAILED, Outcome.PROMOTED]


def test_retry_after_a_refusal_makes_a_new_validation_and_does_not_read_the_old_one() -> None:
    world = World(trial=Trial.BLAMED)
    world.run(30)
    world.trial = Trial.PASSED
    world.said["retry"] = B
    world.step()
    world.run(30)
    assert world.jobs == 2
    assert Outcome.VALIDATION_FAILED in world.outcomes
    assert world.memory is not None
    assert world.memory.phase is Phase.STEP


def test_another_revision_clears_the_condemned_one() -> None:
    world = World(trial=Trial.BLAMED)
    world.until(Phase.ROLLED_BACK)
    world.candidate, world.trial, world.job = a_side("c"), Trial.PASSED, ""
    world.run(600)
    assert world.outcomes == [Outcome.VALIDATION_FAILED, Outcome.PROMOTED]


def test_a_new_spec_in_mid_canary_starts_again_from_the_stable() -> None:
    world = World()
    world.until(Phase.STEP)
    world.run(70)
    assert world.live.slots == 2500
    world.candidate, world.job, world.trial = a_side("c"), "", Trial.RUNNING
    world.run(10)
    assert world.live == Live()
    assert world.memory is not None
    assert (world.memory.phase, world.memory.hash) == (Phase.VALIDATING, "c" * 16)
    assert world.outcomes == [Outcome.SUPERSEDED]
    assert not any(note.warning for note in world.notes)


def test_the_stables_spec_in_mid_canary_rolls_back_quietly() -> None:
    world = World()
    world.until(Phase.STEP)
    world.candidate = None
    world.run(10)
    assert world.memory is not None
    assert world.memory.phase is Phase.IDLE
    assert world.outcomes == [Outcome.REVERTED]
    assert not any(note.warning for note in world.notes)
    world.candidate = a_side("b")
    world.job = ""
    world.until(Phase.STEP)  # nobody condemned it


def test_no_traffic_holds_and_says_so() -> None:
    world = World(rps=0)
    world.until(Phase.STEP)
    move = world.run(900)
    assert (move.memory.phase, move.slots) == (Phase.STEP, 500)
    assert (move.reason, move.stalled, move.verdict) == (
        Reason.ROLLOUT_HELD, True, Verdict.NO_EVIDENCE,
    )  # fmt: skip
    assert "no request" in move.message
    assert move.step == "1/3 5% held"
    world.rps = 400
    world.run(600)
    assert world.outcomes == [Outcome.PROMOTED]


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [(NoData.FAIL, Outcome.NO_DATA), (NoData.PASS, Outcome.PROMOTED)],
)
def test_the_deadline_without_evidence_does_what_no_data_says(
    policy: NoData, outcome: Outcome
) -> None:
    world = World(rps=0, plan=a_plan(no_data=policy))
    world.run(2400)
    assert world.outcomes == [outcome]
    assert world.memory is not None
    assert not world.memory.condemned


def test_stale_evidence_passes_nothing() -> None:
    world = World()
    world.until(Phase.STEP)
    world.run(20)
    world.counted = False
    move = world.run(300)
    assert (move.memory.step, move.verdict) == (0, Verdict.STALE)
    assert "s old" in move.message


def test_routers_that_take_nothing_hold_everything_and_fail_nothing() -> None:
    world = World(obedient=False, plan=a_plan(no_data=NoData.FAIL))
    world.until(Phase.STEP)
    move = world.run(1200)
    assert (move.memory.phase, move.stalled) == (Phase.STEP, True)
    assert "not live yet" in move.message
    assert not world.outcomes


def test_a_step_that_is_to_last_as_long_as_its_deadline_is_not_held_while_it_lasts() -> None:
    steps = (Step(slots=500, hold_s=600), *a_plan().steps[1:])
    world = World(plan=a_plan(steps=steps), obedient=False)
    world.until(Phase.STEP)
    world.run(75)  # connections settle
    world.obedient = True
    world.run(595)
    assert not any(move.stalled for move in world.moves)
    world.run(10)
    assert world.moves[-1].memory.step == 1


def test_a_retry_that_is_said_during_the_rollback_is_done_after_it() -> None:
    world = World()
    world.until(Phase.STEP)
    world.run(5)
    world.obedient, world.errors_per_s = False, 1000
    world.until(Phase.ROLLING_BACK)
    world.errors_per_s = 0
    world.said["retry"] = B
    assert world.run(20).memory.phase is Phase.ROLLING_BACK
    world.obedient = True
    world.job = ""
    world.run(10)
    assert world.memory is not None
    assert world.memory.last_action is not None
    assert world.memory.last_action.result == "retried from validation on"


@pytest.mark.parametrize("policy", [NoData.FAIL, NoData.PASS])
def test_the_deadline_begins_when_the_split_is_live(policy: NoData) -> None:
    world = World(rps=0, obedient=False, plan=a_plan(no_data=policy))
    world.until(Phase.STEP)
    world.run(1200)  # twice the deadline, in which nothing could be counted
    world.obedient = True
    move = world.run(590)
    assert (move.memory.phase, move.memory.step, world.outcomes) == (Phase.STEP, 0, [])
    world.run(1800)
    assert world.outcomes == [Outcome.NO_DATA if policy is NoData.FAIL else Outcome.PROMOTED]


def test_each_check_that_changes_has_an_event_with_all_that_it_rests_on() -> None:
    world = World()
    world.until(Phase.STEP)
    world.run(60)
    said = [note.message for note in world.notes if note.reason == "CheckChanged"]
    for gate in ("Errors", "LatencyIncrease", "Restarts", "OutOfMemory", "NonFinite"):
        [passed] = [text for text in said if f" Pass {gate}: " in text]
        assert re.search(r"\d+ samples from \w+.* until [0-9:]+ UTC \(.+\)$", passed), gate
    assert all("limit" in text for text in said)


def test_what_else_changes_as_a_gate_fails_is_told_as_well() -> None:
    world = World()
    world.until(Phase.STEP)
    world.errors_per_s = 1000
    world.run(10)
    assert world.outcomes == [Outcome.GATE_FAILED]
    said = [note.message for note in world.notes if note.reason == "CheckChanged"]
    assert any(" Restarts: " in text for text in said)
    assert not any("Fail Errors" in text for text in said)  # the end says that


def test_where_the_address_cannot_be_written_nobody_is_promoted() -> None:
    world = World()
    world.until(Phase.PROMOTING)
    world.wait(5)
    held = advance(replace(world.view(), movable=False), world.now)
    assert (held.promote, held.memory.phase) == (False, Phase.PROMOTING)
    assert not [note for note in held.notes if note.reason == "Promoted"]
    assert world.decide().promote


def test_a_pause_keeps_the_step_and_its_deadline_begins_anew_after_it() -> None:
    world = World()
    world.until(Phase.STEP)
    world.said["pause"] = B
    move = world.run(2000)
    assert (move.memory.step, move.reason, move.stalled) == (0, Reason.ROLLOUT_PAUSED, False)
    assert move.step == "1/3 5% paused"
    world.said["resume"] = B
    assert not world.step().stalled
    world.run(600)
    assert world.outcomes == [Outcome.PROMOTED]


def test_a_pause_does_not_protect_a_candidate_that_fails() -> None:
    world = World(plan=a_plan(paused=True))
    world.until(Phase.STARTING)
    move = world.run(60)
    assert (move.memory.phase, move.slots) == (Phase.STARTING, 0)
    world.plan = a_plan()
    world.until(Phase.STEP)
    world.plan = a_plan(paused=True)
    world.errors_per_s = 100
    world.run(20)
    assert world.outcomes == [Outcome.GATE_FAILED]


def test_promote_goes_straight_to_all_traffic_once() -> None:
    world = World(rps=0)
    world.until(Phase.STEP)
    world.said["promote"] = f"{B}/now"
    world.run(10)
    assert world.outcomes == [Outcome.PROMOTED]
    assert world.memory is not None
    assert world.memory.last_action is not None
    assert world.memory.last_action.result == "promoted"
    # The annotation is still there when the next revision comes.
    world.candidate, world.job = a_side("c"), ""
    world.run(60)
    assert world.outcomes == [Outcome.PROMOTED]


def test_promote_never_skips_validation() -> None:
    world = World(trial=Trial.RUNNING)
    world.step()
    world.said["promote"] = B
    move = world.run(60)
    assert move.memory.phase is Phase.VALIDATING
    assert "refused" in (move.memory.last_action.result if move.memory.last_action else "")
    world.trial = Trial.PASSED
    move = world.until(Phase.STEP)
    assert move.slots == 500


def test_abort_rolls_back_and_is_remembered() -> None:
    world = World()
    world.until(Phase.STEP)
    world.said["abort"] = B
    move = world.run(600)
    assert move.reason is Reason.ROLLOUT_ABORTED
    assert world.outcomes == [Outcome.ABORTED]
    assert world.live == Live()


def test_who_says_promote_and_abort_at_once_gets_the_safer_one() -> None:
    world = World()
    world.until(Phase.STEP)
    world.said |= {"promote": B, "abort": B}
    world.run(30)
    assert world.outcomes == [Outcome.ABORTED]


def test_the_shadow_comes_first_and_gives_nobody_an_answer() -> None:
    world = World(plan=a_plan(mirror=Step(slots=1000, hold_s=60)))
    world.until(Phase.SHADOW)
    move = world.run(30)
    assert (move.slots, move.mirrored, move.step) == (0, 1000, "shadow 10%")
    world.run(600)
    assert world.outcomes == [Outcome.PROMOTED]


def test_a_candidate_that_fails_in_the_shadow_never_answers_anybody() -> None:
    world = World(plan=a_plan(mirror=Step(slots=1000, hold_s=60)))
    world.until(Phase.SHADOW)
    world.errors_per_s = 40
    world.run(60)
    assert world.outcomes == [Outcome.GATE_FAILED]
    assert not any(move.slots for move in world.moves)


def test_answers_that_differ_in_the_shadow_end_it_and_stay_on_show() -> None:
    limits = Limits(mirror_difference=0.1)
    world = World(plan=a_plan(mirror=Step(slots=1000, hold_s=60), limits=limits))
    world.until(Phase.SHADOW)
    world.quality = Quality(mirror=Compared(pairs=100, differing=100, end=world.now))
    world.until(Phase.ROLLED_BACK)
    world.quality = None
    move = world.run(20)
    assert world.outcomes == [Outcome.GATE_FAILED]
    assert not any(each.slots for each in world.moves)
    [check] = [each for each in move.checks if each.gate is Gate.MIRROR_DIFFERENCE]
    assert (check.verdict, check.value, check.samples) == (Verdict.FAIL, 100.0, 100)


def test_a_rollout_without_steps_is_validated_and_gets_everything() -> None:
    world = World(plan=a_plan(steps=()))
    world.run(60)
    assert world.outcomes == [Outcome.PROMOTED]


def test_a_crash_under_load_is_caught_by_restarts_and_not_by_the_stables_own() -> None:
    world = World()
    world.until(Phase.STEP)
    world.more = Counts(restarts=2)
    world.run(10)
    assert world.outcomes == [Outcome.GATE_FAILED]
    assert "Restarts: 2, limit 1" in world.moves[-1].message


def test_one_container_out_of_memory_is_enough() -> None:
    world = World()
    world.until(Phase.STEP)
    world.more = Counts(restarts=1, oom_kills=1)
    world.run(10)
    assert world.outcomes == [Outcome.GATE_FAILED]
    assert "OutOfMemory" in world.moves[-1].message


def test_an_edit_of_the_steps_takes_nobody_out_of_the_canary() -> None:
    world = World(rps=0)
    world.until(Phase.STEP)
    world.rps = 400
    world.run(70)
    assert world.live.slots == 2500
    world.plan = a_plan(steps=(Step(slots=100, hold_s=60), Step(slots=200, hold_s=60)))
    world.run(20)
    assert world.live.slots == 2500


def test_objectives_out_of_reach_hold_the_candidate_back_while_a_stable_serves() -> None:
    world = World(unreachable="200 requests/s need 12 replicas, and maxReplicas is 10")
    move = world.run(300)
    assert (move.reason, move.stalled) == (Reason.OBJECTIVES_UNREACHABLE, True)
    assert not any(m.split for m in world.moves)
    world.unreachable = ""
    world.run(600)
    assert world.outcomes == [Outcome.PROMOTED]


def test_objectives_out_of_reach_do_not_keep_a_first_deployment_from_serving() -> None:
    world = World(stable=None, unreachable="too little")
    world.run(30)
    assert world.outcomes == [Outcome.PROMOTED]


def test_no_stable_keeps_the_last_ten_rollouts_only() -> None:
    world = World(plan=a_plan(steps=()))
    for letter in "bcdefghijklm":
        world.candidate, world.job = a_side(letter), ""
        world.run(60)
    assert world.memory is not None
    assert [each.version for each in world.memory.history] == [f"v{x}" for x in "defghijklm"]


def test_a_window_from_before_the_step_is_no_evidence_for_it() -> None:
    world = World()
    world.until(Phase.STEP)
    world.run(62)
    assert world.memory is not None
    assert world.memory.ledger is not None
    assert (world.memory.step, world.memory.ledger.step_requests) == (1, 0)
    assert world.memory.ledger.all.candidate.requests > 200


def test_an_error_of_an_earlier_step_counts_in_the_later_ones() -> None:
    """Half a share of alpha in each step would add up to more than all of it."""
    limits = Limits(errors=0.01)
    world = World(plan=a_plan(limits=limits))
    world.until(Phase.STEP)
    world.run(70)
    assert world.memory is not None
    assert world.memory.ledger is not None
    before = world.memory.ledger.all.candidate.requests
    world.run(10)
    assert world.memory.ledger is not None
    assert world.memory.ledger.all.candidate.requests > before

"""Which revision has the address, and what is made and removed."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead_operator.api.times import write_instant
from fairlead_operator.rollout.decide import decide
from fairlead_operator.rollout.revision import State, revision_hash
from fairlead_operator.rollout.snapshot import Resolved, Snapshot
from tests.builders import (
    MODEL,
    NOW,
    SETTLED,
    a_deployment,
    a_revision,
    a_snapshot,
    addressed,
    carried_out,
    later,
    live,
    manifest,
)


def test_first_revision_gets_all_its_objects_and_the_address_at_once() -> None:
    decision = decide(a_snapshot(), SETTLED, NOW)
    kinds = sorted(m["kind"] for m in decision.manifests)
    assert kinds == [
        "ControllerRevision",
        "Deployment",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "Service",
        "Service",
    ]
    assert decision.freeze
    assert decision.active is None
    assert addressed(decision) == decision.wanted.hash[:8]


def test_the_default_image_is_frozen_in_the_revision() -> None:
    decision = decide(a_snapshot(), SETTLED, NOW)
    after = carried_out(a_snapshot(), decision, {})
    upgraded = dataclasses.replace(SETTLED, runtime_image="fairlead/runtime:2")
    again = decide(after, upgraded, later(60))
    assert again.wanted.image == "fairlead/runtime:1"
    assert not again.freeze


def test_other_rendering_defaults_change_no_pod_template_of_a_known_revision() -> None:
    decision = decide(a_snapshot(), SETTLED, NOW)
    name = decision.wanted.child_name("fraud")
    after = carried_out(a_snapshot(), decision, {})
    other = dataclasses.replace(SETTLED, connection_age_s=7.0)
    again = decide(after, other, later(60))
    before_template = manifest(decision, "Deployment", name)["spec"]["template"]
    assert manifest(again, "Deployment", name)["spec"]["template"] == before_template


def test_a_deployment_never_says_replicas() -> None:
    decision = decide(a_snapshot(), SETTLED, NOW)
    assert all("replicas" not in m["spec"] for m in decision.manifests if m["kind"] == "Deployment")


def test_first_revision_becomes_active_with_its_first_ready_pod() -> None:
    first = decide(a_snapshot(), SETTLED, NOW)
    after = carried_out(a_snapshot(), first, {first.wanted.hash: 1})
    assert decide(after, SETTLED, later(5)).active == dataclasses.replace(
        first.wanted, state=State.ACTIVE, active_at=write_instant(later(5))
    )


def an_update(*, candidate_ready: int, active_ready: int = 3, replicas: int = 3) -> Snapshot:
    """A snapshot where version 2 is to replace version 1."""
    old = a_revision(1, State.ACTIVE)
    new = a_revision(2, State.PROGRESSING, required_replicas=replicas)
    return a_snapshot(
        model=new.model,
        revisions=(old, new),
        recognised=new.hash,
        children=live(
            a_deployment(old, replicas=replicas, ready=active_ready),
            a_deployment(new, replicas=candidate_ready, ready=candidate_ready),
        ),
    )


def test_a_new_model_makes_a_candidate_and_leaves_the_address() -> None:
    old = a_revision(1)
    snapshot = a_snapshot(
        model={**MODEL, "version": "2"},
        revisions=(old,),
        children=live(a_deployment(old, replicas=3, ready=3)),
    )
    decision = decide(snapshot, SETTLED, NOW)
    assert decision.active == old
    assert addressed(decision) == old.hash[:8]
    assert decision.wanted.required_replicas == 3
    hpa = manifest(decision, "HorizontalPodAutoscaler", decision.wanted.child_name("fraud"))
    assert hpa["spec"]["minReplicas"] == 3


def test_a_candidate_with_too_few_ready_replicas_waits() -> None:
    decision = decide(an_update(candidate_ready=2), SETTLED, NOW)
    assert addressed(decision) == a_revision(1).hash[:8]
    assert decision.requeue_after_s is not None


def test_a_candidate_with_enough_ready_replicas_takes_the_address_and_the_old_one_drains() -> None:
    decision = decide(an_update(candidate_ready=3), SETTLED, NOW)
    assert addressed(decision) == a_revision(2).hash[:8]
    states = {r.version: r.state for r in decision.revisions}
    assert states == {"1": State.DRAINING, "2": State.ACTIVE}
    assert decision.requeue_after_s == 75.0


def test_a_candidate_with_one_ready_pod_replaces_a_revision_with_none() -> None:
    decision = decide(an_update(candidate_ready=1, active_ready=0), SETTLED, NOW)
    assert addressed(decision) == a_revision(2).hash[:8]


def test_a_replaced_revision_loses_its_autoscaler_at_once_and_the_rest_when_it_is_drained() -> None:
    old = a_revision(1)
    before = carried_out(
        a_snapshot(model=old.model, revisions=(old,), recognised=old.hash),
        decide(a_snapshot(model=old.model, revisions=(old,), recognised=old.hash), SETTLED, NOW),
        {old.hash: 1},
    )
    new = a_revision(2, State.PROGRESSING)
    ready = a_deployment(new, replicas=1, ready=1)
    snapshot = dataclasses.replace(
        before,
        model=new.model,
        revisions=(old, new),
        recognised=new.hash,
        children={**before.children, **live(ready)},
    )
    decision = decide(snapshot, SETTLED, NOW)
    name = old.child_name("fraud")
    assert decision.prune == (("HorizontalPodAutoscaler", name),)
    after = carried_out(snapshot, decision, {new.hash: 1, old.hash: 1})
    scaled = dataclasses.replace(after, scaling={"minReplicas": 5, "maxReplicas": 10})
    waiting = decide(scaled, SETTLED, later(74))
    assert not waiting.prune
    assert not [
        m
        for m in waiting.manifests
        if m["kind"].startswith("Hor") and m["metadata"]["name"] == name
    ]
    gone = decide(after, SETTLED, later(75))
    assert [key[0] for key in gone.prune] == ["Deployment", "Service", "ControllerRevision"]
    assert {key[1] for key in gone.prune} == {name}
    assert [r.version for r in gone.revisions] == ["2"]


def test_going_back_to_a_draining_revision_revives_it() -> None:
    old = a_revision(1, State.DRAINING, drain_until=write_instant(later(60)))
    new = a_revision(2, State.ACTIVE)
    snapshot = a_snapshot(
        model=old.model,
        revisions=(old, new),
        recognised=old.hash,
        children=live(a_deployment(old, ready=1), a_deployment(new, ready=1)),
    )
    first = decide(snapshot, SETTLED, NOW)
    assert first.freeze, "status has to forget the end of its drain before anything else"
    assert addressed(first) == new.hash[:8]
    after = carried_out(snapshot, first, {old.hash: 1, new.hash: 1})
    second = decide(after, SETTLED, later(1))
    assert addressed(second) == old.hash[:8]
    assert {r.version: r.state for r in second.revisions} == {
        "1": State.ACTIVE,
        "2": State.DRAINING,
    }


def test_where_the_address_cannot_move_nobody_gets_it_and_nobody_leaves() -> None:
    snapshot = an_update(candidate_ready=3)
    held = decide(snapshot, SETTLED, NOW, may_move=False)
    assert held.revisions == snapshot.revisions
    assert addressed(held) == a_revision(1).hash[:8]
    first = a_snapshot(
        revisions=(a_revision(1, State.PROGRESSING),),
        recognised=a_revision(1).hash,
        children=live(a_deployment(a_revision(1), ready=1)),
    )
    assert decide(first, SETTLED, NOW, may_move=False).active is None


def test_a_candidate_that_is_no_longer_asked_for_is_removed_at_once() -> None:
    snapshot = an_update(candidate_ready=1)
    back = dataclasses.replace(snapshot, model=a_revision(1).model, recognised=a_revision(1).hash)
    decision = decide(back, SETTLED, NOW)
    assert [r.version for r in decision.revisions] == ["1"]
    assert ("Deployment", a_revision(2).child_name("fraud")) in decision.prune


def test_the_resolved_digest_is_remembered_and_given_to_later_pods() -> None:
    revision = a_revision(1)
    digest = "sha256:" + "a" * 64
    snapshot = a_snapshot(
        revisions=(revision,),
        recognised=revision.hash,
        children=live(a_deployment(revision)),
        resolved={revision.hash: Resolved(digest=digest, size_bytes=10)},
    )
    decision = decide(snapshot, SETTLED, NOW)
    assert decision.wanted.digest == digest
    config = manifest(decision, "ConfigMap", revision.child_name("fraud"))
    assert config["data"] == {"model-digest": digest}
    unresolved = dataclasses.replace(snapshot, resolved={})
    name = revision.child_name("fraud")
    assert manifest(decision, "Deployment", name) == manifest(
        decide(unresolved, SETTLED, NOW), "Deployment", name
    ), "a resolved digest must restart no pod"


def test_a_pinned_digest_needs_no_config_map() -> None:
    pinned = {**MODEL, "digest": "sha256:" + "b" * 64}
    decision = decide(a_snapshot(model=pinned), SETTLED, NOW)
    assert not [m for m in decision.manifests if m["kind"] == "ConfigMap"]


def test_two_revisions_whose_short_hashes_collide_get_different_names() -> None:
    model = dict(MODEL)
    taken = revision_hash(model, {})
    old = a_revision(1, hash=taken[:8] + "00000000")
    snapshot = a_snapshot(model=model, revisions=(old,), children=live(a_deployment(old)))
    decision = decide(snapshot, SETTLED, NOW)
    assert decision.wanted.hash[:8] != taken[:8]


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    """Sequences of: what the user asks for, how many pods get ready, how many seconds pass."""
    step = st.tuples(
        st.sampled_from(["1", "2", "3"]), st.integers(0, 4), st.sampled_from([0, 1, 30, 80, 200])
    )
    return draw(st.lists(step, min_size=1, max_size=12))


@settings(deadline=None)
@given(stories(), st.integers(1, 3))
def test_whatever_happens_the_address_has_a_revision_that_lives(
    story: list[tuple[str, int, int]], least: int
) -> None:
    snapshot = a_snapshot(scaling={"minReplicas": least, "maxReplicas": 4})
    now = NOW
    served: str | None = None
    for version, ready, seconds in story:
        model = {**MODEL, "version": version}
        known = {r.version: r.hash for r in snapshot.revisions}
        snapshot = dataclasses.replace(snapshot, model=model, recognised=known.get(version))
        decision = decide(snapshot, SETTLED, now)
        assert decision == decide(snapshot, SETTLED, now)
        alive = {r.hash[:8]: r for r in decision.revisions}
        assert addressed(decision) in alive
        assert sum(r.state is State.ACTIVE for r in alive.values()) <= 1
        if decision.active is not None:
            assert addressed(decision) == decision.active.hash[:8]
            if served not in (None, decision.active.hash):
                assert snapshot.replicas(decision.active)[1] >= 1, "flipped to nobody"
            served = decision.active.hash
        snapshot = carried_out(
            snapshot,
            decision,
            {r.hash: 4 if r.state is not State.PROGRESSING else ready for r in alive.values()},
        )
        now = now.replace() + (later(seconds) - NOW)
    for _ in range(3):  # left alone, with pods that start, it comes to rest
        decision = decide(snapshot, SETTLED, now)
        snapshot = carried_out(snapshot, decision, {r.hash: 4 for r in decision.revisions})
        now += later(100) - NOW
    final = decide(snapshot, SETTLED, now)
    assert [r.version for r in final.revisions] == [story[-1][0]]
    assert final.active is not None
    assert final.requeue_after_s is None

"""What a decision leaves as it is: templates, digests, strangers' objects, patience."""

from __future__ import annotations

import dataclasses
from typing import Any

from fairlead_operator.api.times import write_instant
from fairlead_operator.planning import names
from fairlead_operator.rollout.decide import decide, look_again_s
from fairlead_operator.rollout.revision import State
from fairlead_operator.rollout.snapshot import Resolved
from tests.builders import (
    NOW,
    SETTLED,
    a_deployment,
    a_revision,
    a_snapshot,
    carried_out,
    later,
    live,
    manifest,
)


def test_of_many_draining_revisions_the_oldest_go_early_so_that_status_holds_them_all() -> None:
    draining = [
        a_revision(n, State.DRAINING, drain_until=write_instant(later(1000 + n)))
        for n in range(1, 9)
    ]
    active = a_revision(9)
    snapshot = a_snapshot(model=active.model, revisions=(*draining, active), recognised=active.hash)
    decision = decide(snapshot, SETTLED, NOW)
    assert [r.version for r in decision.revisions] == ["3", "4", "5", "6", "7", "8", "9"]


def test_an_object_that_only_names_us_as_its_owner_is_not_removed() -> None:
    snapshot = a_snapshot()
    stranger = {"kind": "ConfigMap", "metadata": {"name": "data", "uid": "c"}}
    mine: dict[str, Any] = {
        "kind": "ConfigMap",
        "metadata": {"name": "old", "uid": "o", "annotations": {names.APPLIED_ANNOTATION: "x"}},
    }
    going = {**mine, "metadata": {**mine["metadata"], "name": "g", "deletionTimestamp": "now"}}
    decision = decide(
        dataclasses.replace(snapshot, children=live(stranger, mine, going)), SETTLED, NOW
    )
    assert decision.prune == (("ConfigMap", "old"),)


def test_without_the_frozen_template_an_operator_with_other_defaults_keeps_what_runs() -> None:
    decision = decide(a_snapshot(), SETTLED, NOW)
    name = decision.wanted.child_name("fraud")
    after = carried_out(a_snapshot(), decision, {})
    children = {k: v for k, v in after.children.items() if k[0] != "ControllerRevision"}
    after = dataclasses.replace(after, children=children)
    template = manifest(decision, "Deployment", name)["spec"]["template"]
    other = dataclasses.replace(SETTLED, connection_age_s=7.0)
    for settled in (SETTLED, other):
        again = decide(after, settled, later(60))
        assert manifest(again, "Deployment", name)["spec"]["template"] == template
        frozen = manifest(again, "ControllerRevision", name)
        assert frozen["data"]["template"] == template


def test_the_digest_that_pods_were_given_holds_where_status_never_learnt_it() -> None:
    revision = a_revision(1)
    given, other = "sha256:" + "a" * 64, "sha256:" + "b" * 64
    config = {
        "kind": "ConfigMap",
        "metadata": {"name": revision.child_name("fraud"), "uid": "c"},
        "data": {"model-digest": given},
    }
    snapshot = a_snapshot(
        revisions=(revision,),
        recognised=revision.hash,
        children=live(a_deployment(revision), config),
        resolved={revision.hash: Resolved(digest=other, size_bytes=10)},
    )
    assert decide(snapshot, SETTLED, NOW).wanted.digest == given


def test_what_is_not_ready_is_looked_at_less_and_less_often() -> None:
    def delay(seconds: float) -> float:
        condition = {"type": "Ready", "status": "False", "lastTransitionTime": write_instant(NOW)}
        return look_again_s({"status": {"conditions": [condition]}}, None, later(seconds))

    assert [delay(s) for s in (0, 50, 100, 300, 6000)] == [5.0, 5.0, 10.0, 30.0, 60.0]
    assert look_again_s({}, write_instant(NOW), later(200)) == 20.0
    assert look_again_s({}, None, later(200)) == 5.0

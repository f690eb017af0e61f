"""What a decision says to people, and when it is worth a write."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from fairlead_operator.api.conditions import measured_wait_s
from fairlead_operator.api.reasons import Reason
from fairlead_operator.rollout import status as status_module
from fairlead_operator.rollout.decide import decide
from fairlead_operator.rollout.revision import State
from fairlead_operator.rollout.snapshot import Finding, Snapshot
from tests.builders import (
    NOW,
    SETTLED,
    a_deployment,
    a_resource,
    a_revision,
    a_snapshot,
    later,
    live,
)

FINDING = Finding(reason="Crashed", message="no GPU", stalled=False)


def composed(
    snapshot: Snapshot, *problems: Finding, unaddressed: Finding | None = None, seconds: float = 0
) -> dict[str, Any]:
    now = later(seconds)
    decision = decide(snapshot, SETTLED, now)
    return status_module.compose(snapshot, decision, problems, now, unaddressed=unaddressed)


def told(status: dict[str, Any], kind: str) -> tuple[str, str]:
    [found] = [c for c in status["conditions"] if c["type"] == kind]
    return found["status"], found["reason"]


def serving(*, ready: int = 1, least: int = 1, **changes: Any) -> Snapshot:
    revision = a_revision(1)
    return a_snapshot(
        revisions=(revision,),
        recognised=revision.hash,
        scaling={"minReplicas": least, "maxReplicas": 10},
        children=live(a_deployment(revision, replicas=least, ready=ready)),
        **changes,
    )


def updating(**changes: Any) -> Snapshot:
    old, new = a_revision(1), a_revision(2, State.PROGRESSING)
    return a_snapshot(
        model=new.model,
        revisions=(old, new),
        recognised=new.hash,
        children=live(a_deployment(old), a_deployment(new, ready=0)),
        **changes,
    )


def test_a_revision_with_all_its_replicas_is_ready_and_nothing_else() -> None:
    status = composed(serving())
    assert [told(status, kind)[0] for kind in ("Ready", "Reconciling", "Stalled")] == [
        "True",
        "False",
        "False",
    ]
    assert told(status, "Available") == ("True", "Serving")
    assert status["observedGeneration"] == 3
    assert (status["version"], status["replicas"]) == ("1", "1/1")
    assert "candidate" not in status


def test_too_few_replicas_are_available_but_not_ready() -> None:
    status = composed(serving(ready=1, least=2))
    assert told(status, "Ready") == ("False", "ReplicasUnavailable")
    assert told(status, "Reconciling")[0] == "True"
    assert told(status, "Available")[0] == "True"


def test_a_candidate_is_shown_beside_the_version_that_serves() -> None:
    status = composed(updating())
    assert (status["version"], status["candidate"], status["weight"]) == ("1", "2", 0)
    assert told(status, "Ready") == ("False", "Progressing")
    assert told(status, "Available")[0] == "True"


@pytest.mark.parametrize("stalled", [True, False])
def test_what_is_wrong_with_the_candidate_is_told_with_what_goes_on_serving(stalled: bool) -> None:
    wrong = dataclasses.replace(FINDING, stalled=stalled)
    status = composed(updating(findings={a_revision(2).hash: wrong}))
    [ready] = [c for c in status["conditions"] if c["type"] == "Ready"]
    assert ready["message"] == "revision fraud-00000002: no GPU; version 1 goes on serving"
    assert told(status, "Stalled")[0] == str(stalled)
    assert told(status, "Reconciling")[0] == str(not stalled)


def test_a_deployment_that_gave_up_waiting_is_stalled_with_or_without_a_reason() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    new = a_revision(2, State.PROGRESSING)
    deployment = a_deployment(new, ready=0)
    deployment["status"]["conditions"] = [late]
    snapshot = updating()
    children = {**snapshot.children, **live(deployment)}
    snapshot = dataclasses.replace(snapshot, children=children)
    status = composed(snapshot)
    assert told(status, "Stalled") == ("True", "ProgressDeadlineExceeded")
    status = composed(dataclasses.replace(snapshot, findings={new.hash: FINDING}))
    assert told(status, "Stalled") == ("True", "Crashed")


def test_a_problem_comes_before_all_else_and_an_address_that_is_not_ours_serves_nobody() -> None:
    conflict = Finding(reason="NameConflict", message="theirs", stalled=True)
    status = composed(serving(), conflict, unaddressed=conflict)
    assert told(status, "Ready") == ("False", "NameConflict")
    assert told(status, "Available") == ("False", "NameConflict")
    assert told(composed(serving(), conflict), "Available") == ("True", "Serving")


def test_a_transition_is_dated_by_its_first_instant() -> None:
    first = composed(serving(ready=0))
    resource = a_resource(**first)
    second = composed(serving(ready=0, resource=resource), seconds=50)
    third = composed(serving(ready=1, resource=resource), seconds=60)
    assert second["conditions"] == first["conditions"]
    [ready] = [c for c in third["conditions"] if c["type"] == "Ready"]
    assert ready["lastTransitionTime"] == "2026-01-01T12:01:00Z"


def test_numbers_and_words_alone_are_written_once_a_minute_and_decisions_at_once() -> None:
    before = composed(serving())
    resource = a_resource(**before)
    more = composed(serving(resource=resource), seconds=30)
    assert not status_module.worth_writing(before, more, later(30)), "only the instant differs"
    scaled = {**more, "replicas": "2/2"}
    assert not status_module.worth_writing(before, scaled, later(59))
    assert status_module.worth_writing(before, scaled, later(60))
    words = [{**c, "message": c["message"] + "!"} for c in more["conditions"]]
    assert not status_module.worth_writing(before, {**more, "conditions": words}, later(59))
    assert status_module.worth_writing(before, {**more, "conditions": words}, later(60))
    assert status_module.worth_writing(
        before, composed(serving(ready=0, resource=resource)), later(1)
    )
    assert status_module.worth_writing({}, before, NOW)
    assert measured_wait_s({}, NOW) == 0


def test_a_foreign_last_action_is_kept() -> None:
    snapshot = serving(resource=a_resource(lastAction={"action": "promote"}))
    assert composed(snapshot)["lastAction"] == {"action": "promote"}


def test_events_tell_what_became_of_revisions() -> None:
    first = composed(a_snapshot())
    assert [n.reason for n in status_module.notes({}, first)] == ["RevisionCreated"]
    active = composed(serving())
    pending = {**active, "revisions": [{**active["revisions"][0], "state": "Progressing"}]}
    pending["conditions"] = []
    assert [n.reason for n in status_module.notes(pending, active)] == ["AddressMoved", "Ready"]
    assert status_module.notes(active, active) == []
    gone = {**active, "revisions": []}
    assert [n.reason for n in status_module.notes(active, gone)] == ["RevisionRemoved"]


def test_a_warning_comes_once_for_each_reason_and_generation_not_for_each_wording() -> None:
    def broken(reason: str, message: str, generation: int = 3) -> dict[str, Any]:
        condition = {
            "type": "Ready",
            "status": "False",
            "reason": reason,
            "message": message,
            "observedGeneration": generation,
        }
        return {"conditions": [condition]}

    first = broken("Crashed", "port 1")
    assert [n.warning for n in status_module.notes({}, first)] == [True]
    assert status_module.notes(first, broken("Crashed", "port 2")) == []
    assert status_module.notes(first, broken("OutOfMemory", "port 1"))
    assert status_module.notes(first, broken("Crashed", "port 1", generation=4))
    assert status_module.notes(first, broken("Progressing", "")) == []


@pytest.mark.parametrize("answers", [True, False])
def test_a_refused_spec_keeps_the_rest_of_the_status(answers: bool) -> None:
    resource = a_resource(**composed(serving()))
    status = status_module.refused(
        resource, Reason.INVALID_SPEC, "spec.model: nonsense", NOW, serving=answers
    )
    assert told(status, "Ready") == ("False", "InvalidSpec")
    assert told(status, "Stalled")[0] == "True"
    assert told(status, "Reconciling")[0] == "False"
    assert told(status, "Available")[0] == str(answers)
    assert status["revisions"] == resource["status"]["revisions"]
    assert status["reason"] == "InvalidSpec"
    empty = status_module.refused(a_resource(), Reason.INVALID_SPEC, "x", NOW, serving=False)
    [available] = [c for c in empty["conditions"] if c["type"] == "Available"]
    assert available["message"] == "no version is ready"

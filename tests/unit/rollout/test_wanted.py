"""What is desired of an address: by an annotation for now, and nothing without one."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from fairlead_operator.planning import names
from fairlead_operator.rollout import wanted
from fairlead_operator.rollout.revision import State as RevisionState
from fairlead_operator.rollout.snapshot import Neighbour, Snapshot
from fairlead_operator.rollout.wanted import Desired
from fairlead_operator.traffic import documents, slots
from fairlead_operator.traffic.states import Memory, State
from tests.builders import NOW, SETTLED, a_resource, a_revision, a_snapshot

STABLE, CANDIDATE = a_revision(1), a_revision(2, RevisionState.PROGRESSING)
FRESH = Memory(since=NOW)
KEYS = {"1": STABLE.child_name("fraud"), "2": CANDIDATE.child_name("fraud")}


def a_world(asked: object, **changes: Any) -> Snapshot:
    """Return a snapshot whose annotation asks for something."""
    resource = a_resource()
    text = asked if isinstance(asked, str) else json.dumps(asked)
    resource["metadata"]["annotations"] = {names.SPLIT_ANNOTATION: text}
    return a_snapshot(resource=resource, revisions=(STABLE, CANDIDATE), **changes)


def ask(snapshot: Snapshot, memory: Memory = FRESH) -> Desired:
    return wanted.desired(snapshot, SETTLED, STABLE, snapshot.revisions, memory)


def shares(found: Desired) -> dict[str, int]:
    assert found.split is not None, found.problem
    return {arm.key: found.split.counts[arm.name] for arm in found.split.arms}


def test_without_an_annotation_the_candidate_replaces_the_stable() -> None:
    snapshot = a_snapshot(revisions=(STABLE, CANDIDATE))
    assert ask(snapshot) == Desired(split=None, promote=True, problem=None)


def test_before_the_first_revision_is_ready_nothing_is_split() -> None:
    snapshot = a_world({"weights": {"2": 100}})
    found = wanted.desired(snapshot, SETTLED, None, snapshot.revisions, FRESH)
    assert found == Desired()


@pytest.mark.parametrize("name", ["2", CANDIDATE.hash[:8]], ids=["version", "hash"])
def test_the_stable_has_what_the_others_leave(name: str) -> None:
    found = ask(a_world({"weights": {name: 1_000}, "header": "x-user-id", "salt": "s"}))
    assert shares(found) == {KEYS["1"]: 9_000, KEYS["2"]: 1_000}
    assert found.split is not None
    assert found.split.control.host == f"{KEYS['1']}.team.svc.cluster.local."
    assert (found.split.header, found.split.salt) == ("x-user-id", "s")
    assert not found.promote


def test_a_share_for_the_stable_is_what_is_left_anyway() -> None:
    assert shares(ask(a_world({"weights": {"1": 3, "2": 100}}))) == {
        KEYS["1"]: 9_900,
        KEYS["2"]: 100,
    }


def test_a_mirror_and_an_experiment_are_taken() -> None:
    mirror = {"to": "2", "share": 2_000, "compared": 100}
    asked = {"mirror": mirror, "experiment": "checkout", "header": "x-user-id", "salt": "s"}
    found = ask(a_world(asked)).split
    assert found is not None
    assert found.mirror is not None
    assert (found.mirror.arm.key, found.mirror.share, found.mirror.compared) == (
        KEYS["2"],
        2_000,
        100,
    )
    assert found.experiment == "checkout"


def test_another_model_deployment_can_be_an_arm() -> None:
    larger = Neighbour(name="fraud-large", key="fraud-large-0a1b2c3d", replicas=2, ready=2)
    asked = {"weights": {"bigger": 5_000}, "modelDeployments": {"bigger": "fraud-large"}}
    snapshot = a_world(asked, neighbours={"fraud-large": larger})
    assert wanted.neighbours(snapshot.resource) == {"fraud-large"}
    found = ask(snapshot).split
    assert found is not None
    assert [arm.name for arm in found.arms] == [KEYS["1"], "bigger"]
    assert found.arms[1].host == "fraud-large-0a1b2c3d.team.svc.cluster.local."


def test_a_changed_share_moves_the_fewest_users() -> None:
    first = ask(a_world({"weights": {"2": 1_000}})).split
    assert first is not None
    memory = dataclasses.replace(FRESH, state=State.SPLIT, configuration=documents.of(first))
    second = ask(a_world({"weights": {"2": 1_500}}), memory).split
    assert second is not None
    assert slots.distance(first.table, second.table) == 500
    memory = dataclasses.replace(memory, configuration=documents.of(second))
    assert ask(a_world({"weights": {"2": 1_500}}), memory).split == second


def test_other_users_begin_anew() -> None:
    first = ask(a_world({"weights": {"2": 9_000}, "header": "x-user-id", "salt": "s"})).split
    assert first is not None
    memory = dataclasses.replace(FRESH, state=State.SPLIT, configuration=documents.of(first))
    asked = {"weights": {"2": 1_000}, "header": "x-user-id", "salt": "t"}
    assert ask(a_world(asked), memory).split == ask(a_world(asked)).split


def test_a_table_outlives_new_names_of_the_same_arms_and_arms_that_are_gone() -> None:
    split = ask(a_world({"weights": {"2": 4_000}})).split
    assert split is not None
    memory = dataclasses.replace(FRESH, state=State.SPLIT, configuration=documents.of(split))
    control, other = (
        dataclasses.replace(arm, name=name)
        for arm, name in zip(split.arms, ("control", "bigger"), strict=True)
    )
    kept = wanted.table(memory, (control, other), {"control": 6_000, "bigger": 4_000}, (None, ""))
    assert [(run.arm, run.slots) for run in kept] == [
        ({KEYS["1"]: "control", KEYS["2"]: "bigger"}[run.arm], run.slots) for run in split.table
    ]
    alone = wanted.table(memory, (control,), {"control": 10_000}, (None, ""))
    assert alone == slots.all_to("control")


BROKEN = {
    "no JSON": ("{", "annotation"),
    "no object": ("[]", "annotation"),
    "an unknown revision": ({"weights": {"9": 1}}, "there is no revision 9"),
    "too much": ({"weights": {"2": 10_001}}, "must be at least 0"),
    "less than nothing": ({"weights": {"2": -1}}, "must be at least 0"),
    "no number": ({"weights": {"2": "half"}}, "half"),
    "a bad header": ({"weights": {"2": 1}, "header": "X Y", "salt": "s"}, "header"),
    "a mirror of nobody": ({"mirror": {"to": "9", "share": 5}}, "there is no revision 9"),
    "a ModelDeployment that is not there": (
        {"weights": {"b": 1}, "modelDeployments": {"b": "gone"}}, "no ModelDeployment gone",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "words"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_is_reported_and_moves_nobody(asked: object, words: str) -> None:
    found = ask(a_world(asked))
    assert found.split is None
    assert not found.promote
    assert found.problem is not None
    assert found.problem.reason == "InvalidSplit"
    assert words in found.problem.message
    live = ask(a_world({"weights": {"2": 4_000}})).split
    assert live is not None
    memory = dataclasses.replace(FRESH, state=State.SPLIT, configuration=documents.of(live))
    assert ask(a_world(asked), memory).split == live


def test_a_neighbour_without_a_version_cannot_be_an_arm() -> None:
    asked = {"weights": {"b": 1}, "modelDeployments": {"b": "new"}}
    found = ask(a_world(asked, neighbours={"new": Neighbour(name="new", key=None)}))
    assert found.problem is not None
    assert "has no ready version" in found.problem.message


@pytest.mark.parametrize("text", ["{", "[]", '{"modelDeployments": 5}'])
def test_nonsense_names_no_neighbours(text: str) -> None:
    assert wanted.neighbours(a_world(text).resource) == frozenset()

"""From a snapshot to what becomes of the address, and what that asks of everything else."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from fairlead_operator.planning import names
from fairlead_operator.rollout import addressing
from fairlead_operator.rollout.decide import Decision, decide
from fairlead_operator.rollout.revision import State as RevisionState
from fairlead_operator.rollout.snapshot import Snapshot
from fairlead_operator.traffic import documents
from fairlead_operator.traffic import memory as memories
from fairlead_operator.traffic.documents import Versions
from fairlead_operator.traffic.states import ROUTER, Router, State
from tests.builders import (
    NOW,
    SETTLED,
    a_deployment,
    a_resource,
    a_revision,
    a_snapshot,
    later,
    live,
    manifest,
)

OLD, NEW = a_revision(1), a_revision(2, RevisionState.PROGRESSING)
KEYS = {"1": OLD.child_name("fraud"), "2": NEW.child_name("fraud")}
ROUTERS = ("r1", "r2")


def a_service(selector: dict[str, str]) -> dict[str, Any]:
    return {"kind": "Service", "metadata": {"name": "fraud"}, "spec": {"selector": selector}}


def a_world(share: int | None, *, replicas: int = 1, **changes: Any) -> Snapshot:
    """Return version 1 with the address and version 2 beside it; a share is wanted for it."""
    resource = a_resource()
    if share is not None:
        text = json.dumps({"weights": {"2": share}})
        resource["metadata"]["annotations"] = {names.SPLIT_ANNOTATION: text}
    base = a_snapshot(
        resource=resource,
        model=NEW.model,
        revisions=(OLD, NEW),
        recognised=NEW.hash,
        children=live(
            a_deployment(OLD, replicas=replicas, ready=replicas),
            a_deployment(NEW, replicas=replicas, ready=replicas),
            a_service(names.selector("fraud", OLD.hash)),
        ),
    )
    return dataclasses.replace(base, **changes)


def after(snapshot: Snapshot, decision: Decision, *, taken: bool = True) -> Snapshot:
    """Return the snapshot when a decision on the address was carried out and routers run."""
    status = {"traffic": memories.write(decision.memory)}
    chosen = manifest(decision, "Service", "fraud")["spec"]["selector"]
    children = {**snapshot.children, ("Service", "fraud"): a_service(chosen)}
    routers: tuple[Router, ...] = ()
    pods: tuple[dict[str, Any], ...] = ()
    written = decision.memory.configuration
    if written is not None:
        settings = addressing.router_settings(snapshot, SETTLED)
        versions = documents.versions(written, settings) if taken else Versions()
        routers = tuple(
            Router(name=name, ready=True, versions=versions, connections=0) for name in ROUTERS
        )
        told = {kick.pod: {names.ROUTER_ANNOTATION: kick.value} for kick in decision.address.kicks}
        before = {p["metadata"]["name"]: p["metadata"]["annotations"] for p in snapshot.router_pods}
        pods = tuple(
            {
                "metadata": {"name": n, "uid": n, "annotations": told.get(n, before.get(n, {}))},
                "status": {"phase": "Running"},
            }
            for n in ROUTERS
        )
    resource = {**snapshot.resource, "status": status}
    return dataclasses.replace(
        snapshot,
        resource=resource,
        children=children,
        routers=routers,
        router_pods=pods,
        revisions=decision.revisions,
    )


def reached(share: int, *, replicas: int = 1) -> tuple[Snapshot, float]:
    """Return a world in which a share is live, and the seconds that it took."""
    snapshot, seconds = a_world(share, replicas=replicas), 0.0
    for _ in range(10):
        decision = decide(snapshot, SETTLED, later(seconds))
        snapshot = after(snapshot, decision)
        if decision.address.move.live:
            return snapshot, seconds
        seconds += decision.address.move.wake_s or 0.0
    raise AssertionError(decision.address.move)


def test_where_nothing_is_split_there_is_no_router_and_nobody_is_asked() -> None:
    snapshot = a_world(None, revisions=(OLD,), model=OLD.model, recognised=OLD.hash)
    decision = decide(snapshot, SETTLED, NOW)
    assert decision.address.plan is None
    assert not addressing.routed(snapshot)
    assert not [m for m in decision.manifests if "router" in m["metadata"]["name"]]


def test_a_router_is_made_before_the_address_in_one_pass() -> None:
    decision = decide(a_world(1_000), SETTLED, NOW)
    names_ = [(m["kind"], m["metadata"]["name"]) for m in decision.manifests]
    assert names_[-1] == ("Service", "fraud")
    assert names_.index(("ConfigMap", "fraud-fl-router")) > names_.index(
        ("HorizontalPodAutoscaler", KEYS["2"])
    ), "floors come first"
    assert decision.memory.state is State.STARTING
    assert decision.active == OLD, "a split by hand promotes nobody"


def test_a_candidate_starts_with_what_its_share_needs_and_not_with_everything() -> None:
    decision = decide(a_world(2_500, replicas=4), SETTLED, NOW)
    scaler = manifest(decision, "HorizontalPodAutoscaler", KEYS["2"])
    assert scaler["spec"]["minReplicas"] == 1
    stable = manifest(decision, "HorizontalPodAutoscaler", KEYS["1"])
    assert stable["spec"]["minReplicas"] == 4


def test_a_kubelet_is_told_of_each_new_table_and_again_while_its_router_is_behind() -> None:
    snapshot, seconds = reached(1_000)
    assert decide(snapshot, SETTLED, later(seconds)).address.kicks == ()
    snapshot = dataclasses.replace(
        snapshot, resource={**snapshot.resource, "metadata": a_world(2_000).resource["metadata"]}
    )
    decision = decide(snapshot, SETTLED, later(seconds))
    assert [kick.pod for kick in decision.address.kicks] == list(ROUTERS)
    snapshot = after(snapshot, decision, taken=False)
    for waited, again in ((1.0, False), (2.5, True), (3.5, True)):
        found = decide(snapshot, SETTLED, later(seconds + waited)).address.kicks
        assert bool(found) is again, f"after {waited} s"
    done = after(snapshot, decide(snapshot, SETTLED, later(seconds)))
    assert decide(done, SETTLED, later(seconds + 3)).address.kicks == ()


def test_a_pod_that_is_going_or_only_starts_is_not_told() -> None:
    snapshot, seconds = reached(1_000)
    behind = dataclasses.replace(snapshot.routers[0], versions=Versions())
    for meta, phase in (({"deletionTimestamp": "now"}, "Running"), ({}, "Pending")):
        pod = {"metadata": {"name": "r1", "uid": "r1", **meta}, "status": {"phase": phase}}
        there = dataclasses.replace(snapshot, router_pods=(pod,), routers=(behind,))
        assert decide(there, SETTLED, later(seconds + 9)).address.kicks == ()


def test_a_router_that_cannot_be_asked_is_told_once() -> None:
    snapshot, seconds = reached(1_000)
    silent = dataclasses.replace(snapshot.routers[0], versions=None)
    pod = {"metadata": {"name": "r1", "uid": "r1"}, "status": {"phase": "Running"}}
    snapshot = dataclasses.replace(snapshot, router_pods=(pod,), routers=(silent,))
    [kick] = decide(snapshot, SETTLED, later(seconds + 9)).address.kicks
    told = {**pod["metadata"], "annotations": {names.ROUTER_ANNOTATION: kick.value}}
    snapshot = dataclasses.replace(snapshot, router_pods=({**pod, "metadata": told},))
    assert decide(snapshot, SETTLED, later(seconds + 60)).address.kicks == ()


def test_a_router_that_does_not_start_says_why() -> None:
    snapshot = a_world(1_000)
    snapshot = after(snapshot, decide(snapshot, SETTLED, NOW), taken=False)
    waiting = {"reason": "ImagePullBackOff", "message": "not found"}
    status = {"image": "router:9", "ready": False, "state": {"waiting": waiting}, "name": "router"}
    pod = {
        "metadata": {"name": "r1", "uid": "r1"},
        "status": {"phase": "Pending", "containerStatuses": [status]},
    }
    routers = (Router(name="r1", ready=False),)
    snapshot = dataclasses.replace(snapshot, router_pods=(pod,), routers=routers)
    finding = decide(snapshot, SETTLED, later(30)).address.finding
    assert finding is not None
    assert finding.reason == "RouterNotReady"
    assert finding.message == (
        "0 of 2 routers are ready for the address: image router:9 cannot be pulled: not found"
    )


def test_a_revision_that_the_address_may_still_need_is_not_drained() -> None:
    snapshot, seconds = reached(10_000)
    resource = {**snapshot.resource, "metadata": a_resource()["metadata"]}
    snapshot = dataclasses.replace(snapshot, resource=resource)
    decision = decide(snapshot, SETTLED, later(seconds))
    old = next(r for r in decision.revisions if r.version == "1")
    assert (old.state, old.drain_until) == (RevisionState.DRAINING, None)
    assert decision.address.in_use == {KEYS["1"], KEYS["2"]}
    assert manifest(decision, "HorizontalPodAutoscaler", KEYS["1"])
    snapshot = after(snapshot, decision)
    decision = decide(snapshot, SETTLED, later(seconds + 130))
    assert decision.address.plan is None
    [old] = [r for r in decision.revisions if r.version == "1"]
    assert old.drain_until is not None, "now its drain begins"


def test_a_candidate_that_is_no_longer_asked_for_lives_while_it_has_users() -> None:
    snapshot, seconds = reached(5_000)
    metadata = a_resource()["metadata"]
    snapshot = dataclasses.replace(
        snapshot,
        resource={**snapshot.resource, "metadata": metadata},
        model=OLD.model,
        recognised=OLD.hash,
    )
    decision = decide(snapshot, SETTLED, later(seconds))
    left = next(r for r in decision.revisions if r.version == "2")
    assert (left.state, left.drain_until) == (RevisionState.DRAINING, None)
    assert decision.memory.configuration is not None
    assert decision.memory.configuration.split.counts[KEYS["1"]] == 10_000


def test_an_address_that_could_not_be_written_is_remembered_as_it_is() -> None:
    snapshot = a_world(1_000)
    snapshot = after(snapshot, decide(snapshot, SETTLED, NOW))
    flips = decide(snapshot, SETTLED, later(1))
    assert flips.memory.state is State.SETTLING
    assert flips.address.move.select == ROUTER
    refused = decide(snapshot, SETTLED, later(1), may_move=False)
    assert refused.memory.state is State.STARTING


def test_replicas_of_a_rollback_stay_within_what_the_user_allows() -> None:
    snapshot, seconds = reached(1_000, replicas=4)
    snapshot = dataclasses.replace(snapshot, scaling={"minReplicas": 1, "maxReplicas": 2})
    decision = decide(snapshot, SETTLED, later(seconds))
    stable = manifest(decision, "HorizontalPodAutoscaler", KEYS["1"])
    assert stable["spec"]["minReplicas"] == 2


@pytest.mark.parametrize(
    ("objectives", "timeout", "edges"),
    [
        ({}, 60, ()),
        ({"maxLatencyMs": 50}, 60, (50,)),
        ({"maxLatencyMs": 9_000}, 180, (9_000,)),
        ({"maxLatencyMs": 9_000, "timeout": "1m30s"}, 90, (9_000,)),
    ],
    ids=str,
)
def test_timeouts_and_edges_come_from_the_objectives(
    objectives: dict[str, Any], timeout: int, edges: tuple[int, ...]
) -> None:
    settings = addressing.router_settings(a_snapshot(objectives=objectives), SETTLED)
    assert (settings.timeout_s, settings.latency_limits_ms) == (timeout, edges)


@pytest.mark.parametrize("rolled_out", [False, True])
def test_a_former_bootstrap_goes_when_no_pod_can_need_it(rolled_out: bool) -> None:
    snapshot, seconds = reached(1_000)
    decision = decide(snapshot, SETTLED, later(seconds))
    deployment = manifest(decision, "Deployment", "fraud-fl-router")
    old = "fraud-fl-router-00000000"
    there = {
        ("Deployment", "fraud-fl-router"): {
            **deployment,
            "metadata": {**deployment["metadata"], "generation": 2},
            "status": {
                "observedGeneration": 2,
                "replicas": 2 if rolled_out else 3,
                "updatedReplicas": 2,
                "readyReplicas": 2,
            },
        },
        ("ConfigMap", old): {"metadata": {"name": old, "labels": names.MANAGED_BY}},
    }
    snapshot = dataclasses.replace(snapshot, children={**snapshot.children, **there})
    gone = decide(snapshot, SETTLED, later(seconds)).prune
    assert (("ConfigMap", old) in gone) is rolled_out

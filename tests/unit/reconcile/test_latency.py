"""The column P99: who is asked, how often, what it says, and that it costs few writes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from fairlead_operator.evidence.direct import Pods as Asked
from fairlead_operator.evidence.ledger import Ledger
from fairlead_operator.evidence.readings import Group, Reading
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.errors import UnreachableError
from fairlead_operator.kube.kinds import Kind
from fairlead_operator.reconcile.latency import READ_EVERY_S, LatencyKeeper
from fairlead_operator.rollout import status as status_module
from fairlead_operator.rollout.decide import decide
from fairlead_operator.rollout.snapshot import Snapshot
from fairlead_operator.stats.histogram import Histogram
from tests.builders import NOW, SETTLED, a_deployment, a_revision, a_snapshot, later, live

REVISION = a_revision(1)
EDGES = (1.0, 5.0, 25.0, 100.0)


class Pods(Cluster):
    """A cluster with one ready pod, and what that pod has counted so far."""

    def __init__(self) -> None:
        self.listed = 0
        self.lost = False
        self.buckets = [0] * 5
        self.seconds = 0.0

    async def list(
        self, kind: Kind, namespace: str | None, *, labels: str = "", fields: str = ""
    ) -> list[dict[str, Any]]:
        self.listed += 1
        if self.lost:
            raise UnreachableError("no route to host")
        return [
            {
                "metadata": {"name": "p", "creationTimestamp": NOW.isoformat()},
                "status": {
                    "podIP": "10.0.0.1",
                    "conditions": [{"type": "Ready", "status": "True"}],
                },
            }
        ]

    async def read(self, known: Ledger, pods: Asked) -> Ledger:
        latency = Histogram(EDGES, tuple(self.buckets))
        numbers = {"answered": latency.count}
        [arm] = pods.keys
        reading = Reading(
            pod="p", at=later(self.seconds), started=later(-900), arm=arm,
            groups={"model": Group(numbers=numbers, latency=latency)},
        )  # fmt: skip
        return known.advance([reading], [], keys=pods.keys, pods=["p"], needed=["p"])


class World:
    def __init__(self) -> None:
        self.pods = Pods()
        self.keeper = LatencyKeeper(self.pods, self.pods.read)
        self.found: Snapshot = a_snapshot(
            revisions=(REVISION,),
            recognised=REVISION.hash,
            children=live(a_deployment(REVISION)),
        )

    async def minute(self, *grown: int) -> str | None:
        """Let pods answer requests, by bucket, and look when it is time."""
        for index, number in enumerate(grown):
            self.pods.buckets[index] += number
        self.pods.seconds += READ_EVERY_S
        return await self.look()

    async def look(self) -> str | None:
        return await self.keeper.observe(self.found, REVISION, later(self.pods.seconds))


async def test_the_p99_is_of_the_last_minutes_and_not_of_what_was_before() -> None:
    world = World()
    assert await world.minute(0, 0, 0, 5_000) is None  # whatever pods counted before the first look
    assert await world.minute(0, 1_000, 0, 0) == "5ms"
    assert await world.minute(0, 0, 1_000, 0) == "25ms"
    for _ in range(5):
        shown = await world.minute(900, 0, 0, 0)
    assert shown == "1ms"


async def test_beyond_the_last_edge_it_says_so() -> None:
    world = World()
    await world.minute()
    assert await world.minute(500, 0, 0, 0, 50) == ">100ms"


async def test_too_few_requests_have_no_p99() -> None:
    world = World()
    await world.minute()
    assert await world.minute(0, 99) == ""
    assert await world.minute(0, 1) == "5ms"


async def test_a_model_that_nobody_asks_shows_nothing_and_is_read_more_and_more_seldom() -> None:
    world = World()
    await world.minute()
    assert await world.minute(0, 1_000) == "5ms"
    assert await world.minute() == ""
    listed, waits = world.pods.listed, []
    for _ in range(60):
        await world.minute()
        waits.append(world.keeper.wait_s(world.found, REVISION, later(world.pods.seconds)))
    assert world.pods.listed - listed < 20
    assert max(each or 0 for each in waits) == 4 * READ_EVERY_S


async def test_a_p99_between_two_buckets_stays_what_it_was() -> None:
    world = World()
    await world.minute()
    shown = [await world.minute(0, 1_000, *each) for each in [(9,), (13,), (8,), (12,)]]
    assert shown == ["5ms"] * 4
    for _ in range(5):
        last = await world.minute(0, 1_000, 40)
    assert last == "25ms"


async def test_pods_that_cannot_be_listed_hold_up_nothing() -> None:
    world = World()
    await world.minute()
    assert await world.minute(0, 1_000) == "5ms"
    world.pods.lost = True
    assert await world.minute(0, 0, 1_000) == "5ms"


async def test_nobody_is_asked_without_a_ready_replica_or_between_two_looks() -> None:
    world = World()
    await world.minute()
    for _ in range(5):
        await world.look()
    assert world.pods.listed == 1
    world.found = dataclasses.replace(world.found, children=live(a_deployment(REVISION, ready=0)))
    assert await world.minute() is None
    assert world.pods.listed == 1


def composed(before: dict[str, Any], latency: str | None) -> dict[str, Any]:
    found = a_snapshot(
        revisions=(REVISION,), recognised=REVISION.hash, children=live(a_deployment(REVISION))
    )
    resource = {**found.resource, "status": before}
    found = dataclasses.replace(found, resource=resource)
    return status_module.compose(found, decide(found, SETTLED, NOW), (), NOW, latency=latency)


@pytest.mark.parametrize(
    ("latency", "shown"), [("5ms", "5ms"), ("", None), (None, "25ms")], ids=["new", "none", "open"]
)
def test_status_keeps_what_is_not_known_better(latency: str | None, shown: str | None) -> None:
    before = composed({}, "25ms")
    assert before["latencyP99"] == "25ms"
    assert composed(before, latency).get("latencyP99") == shown
    other = {**before, "stableRevision": "another"}
    assert composed(other, None).get("latencyP99") is None


def test_another_p99_is_worth_a_write_a_minute_later_and_the_same_never_is() -> None:
    before, after = composed({}, "5ms"), composed({}, "25ms")
    assert not status_module.worth_writing(before, after, later(59))
    assert status_module.worth_writing(before, after, later(61))
    assert not status_module.worth_writing(before, before, later(600))

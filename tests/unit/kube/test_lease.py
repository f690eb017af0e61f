"""The Lease, on a clock that the tests move, over a cluster that holds nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.errors import ConflictError, NotLeaderError, UnreachableError
from fairlead_operator.kube.kinds import Kind
from fairlead_operator.kube.lease import Lease


class Shelf(Cluster):
    """Holds one Lease, as the API server does; away when told so."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.away = False

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        if self.away:
            raise UnreachableError("away")
        return self.lease

    async def create(self, kind: Kind, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.lease is not None:
            raise ConflictError("exists")
        return self._keep(body)

    async def replace(self, kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
        if body["metadata"]["resourceVersion"] != str(self.version):
            raise ConflictError("stale")
        return self._keep(body)

    def _keep(self, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.lease = body
        return body


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def a_lease(shelf: Shelf, clock: Clock, identity: str = "a") -> Lease:
    return Lease(shelf, namespace="ns", name="l", identity=identity, monotonic=clock)


async def test_the_first_replica_gets_the_lease_and_others_do_not() -> None:
    shelf, clock = Shelf(), Clock()
    first, second = a_lease(shelf, clock, "a"), a_lease(shelf, clock, "b")
    await first.step()
    await second.step()
    first.check()
    with pytest.raises(NotLeaderError):
        second.check()


async def test_a_leader_that_cannot_renew_stops_writing_before_anybody_else_may_begin() -> None:
    shelf, clock = Shelf(), Clock()
    first, second = a_lease(shelf, clock, "a"), a_lease(shelf, clock, "b")
    await first.step()
    await second.step()
    shelf.away = True
    clock.now += 9
    await first.step()
    assert first.held()
    clock.now += 1
    await first.step()
    assert not first.held()
    assert not first.acquired.is_set()
    shelf.away = False
    clock.now += 4
    await second.step()
    assert not second.held(), "the Lease lasts 15 s"
    clock.now += 1
    await second.step()
    assert second.held()
    await first.step()
    assert not first.held()
    assert shelf.lease is not None
    assert shelf.lease["spec"]["leaseTransitions"] == 2


async def test_a_lease_that_its_holder_renews_is_not_taken_however_the_clocks_differ() -> None:
    shelf, clock, fast = Shelf(), Clock(), Clock()
    first, second = a_lease(shelf, clock, "a"), a_lease(shelf, fast, "b")
    for _ in range(10):
        await first.step()
        await second.step()
        fast.now += 14
    assert not second.held()


async def test_for_how_long_it_has_been_held_begins_anew_after_a_break() -> None:
    shelf, clock = Shelf(), Clock()
    lease = a_lease(shelf, clock)
    assert lease.held_for_s() == 0
    await lease.step()
    clock.now += 5
    await lease.step()
    clock.now += 5
    assert lease.held_for_s() == 10
    shelf.away = True
    clock.now += 10
    assert lease.held_for_s() == 0
    await lease.step()
    shelf.away = False
    await lease.step()
    clock.now += 1
    assert lease.held_for_s() == 1

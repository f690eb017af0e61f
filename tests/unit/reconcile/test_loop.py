"""Liveness that knows staleness, by an explicit clock."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest

from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.kube.cache import Cache, Key
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.errors import NotFoundError
from fairlead_operator.kube.kinds import Kind
from fairlead_operator.kube.lease import Lease
from fairlead_operator.reconcile import routers
from fairlead_operator.reconcile.loop import Loop
from fairlead_operator.reconcile.passes import Reconciler, Result
from fairlead_operator.reconcile.queue import WorkQueue
from fairlead_operator.settings import Settings
from fairlead_operator.telemetry import JSONFormatter, Metrics, about


class Empty(Cluster):
    """A cluster with nothing in it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, str]] = []

    async def list(
        self, kind: Kind, namespace: str | None, *, labels: str = "", fields: str = ""
    ) -> list[dict[str, Any]]:
        self.asked.append((kind.kind, namespace, labels))
        return []


class Held(Lease):
    """A Lease that is held for as long as a test says."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def held(self) -> bool:
        return self.seconds > 0

    def held_for_s(self) -> float:
        return self.seconds


OPEN = ("ModelDeployment", "Experiment")
"""Kinds of the user, of which everything is listed."""


def a_loop(*, held_s: float = 0.0, **settings: Any) -> tuple[Loop, Metrics, Empty]:
    cluster, cache, metrics = Empty(), Cache(), Metrics()
    chosen = Settings(resync_s=100, **settings)
    reconciler = Reconciler(cluster, cache, chosen, metrics, routers.reader(Scraper()))
    loop = Loop(cluster, cache, reconciler, Held(held_s), chosen, metrics)
    return loop, metrics, cluster


async def test_a_loop_is_ready_with_its_first_resync_and_stale_long_after_its_last() -> None:
    loop, _, _ = a_loop()
    now = time.monotonic()
    assert not loop.ready()
    assert loop.stale(now + 359) is None
    why = loop.stale(now + 400)
    assert why is not None
    assert "the last full resync ended" in why
    await loop.resync()
    assert loop.ready()
    assert loop.stale(time.monotonic() + 359) is None
    assert loop.stale(time.monotonic() + 361) is not None


@pytest.mark.parametrize(
    ("waited", "held", "stale"), [(121, 500, True), (119, 500, False), (9999, 5, False)]
)
async def test_a_queue_is_stale_by_what_waited_while_this_replica_could_work(
    waited: float, held: float, stale: bool
) -> None:
    loop, metrics, _ = a_loop(held_s=held)
    await loop.resync()
    clock = [0.0]
    loop.queue = WorkQueue(clock=lambda: clock[0])
    loop.queue.add(("ns", "m"))
    clock[0] = waited
    assert (loop.stale() is not None) is stale
    age = metrics.registry.get_sample_value("fairlead_operator_queue_age_seconds")
    assert age == min(waited, held)


async def test_a_resync_lists_only_what_it_was_told_to_and_of_children_only_ours() -> None:
    loop, _, cluster = a_loop(namespaces=("a", "b"))
    await loop.resync()
    assert {namespace for _, namespace, _ in cluster.asked} == {"a", "b"}
    ours = "app.kubernetes.io/managed-by=fairlead"
    assert {labels for kind, _, labels in cluster.asked if kind not in OPEN} == {ours}
    everywhere, _, cluster = a_loop()
    await everywhere.resync()
    assert {namespace for _, namespace, _ in cluster.asked} == {None}


class Idle:
    """Passes that nobody waits for."""

    async def run(self, key: Key) -> Result:
        raise AssertionError(f"nobody works here: {key}")

    async def refresh(self, key: Key) -> None:
        raise AssertionError(f"nobody works here: {key}")


async def test_an_experiment_wakes_its_arms_and_its_rivals_and_is_woken_by_its_arms() -> None:
    cluster, cache, metrics = Empty(), Cache(), Metrics()
    loop = Loop(cluster, cache, Idle(), Held(0), Settings(), metrics, Idle())

    def an_experiment(name: str, target: str) -> dict[str, Any]:
        arms = [{"name": "a", "modelDeployment": target}, {"name": "b", "modelDeployment": "other"}]
        meta = {"namespace": "ns", "name": name, "uid": name, "resourceVersion": "1"}
        return {
            "kind": "Experiment",
            "metadata": meta,
            "spec": {"target": target, "variants": arms},
        }

    async def due(queue: WorkQueue[Key]) -> set[str]:
        found = set()
        while queue.depth():
            key = await queue.get()
            found.add(key[1])
            queue.done(key)
        return found

    loop.observe(an_experiment("first", "m"), deleted=False)
    loop.observe(an_experiment("elsewhere", "n"), deleted=False)
    assert await due(loop.queue) == {"m", "n", "other"}
    assert await due(loop.experiments) == {"first", "elsewhere"}
    loop.observe(an_experiment("second", "m"), deleted=False)
    assert await due(loop.experiments) == {"first", "second", "elsewhere"}
    await due(loop.queue)
    meta = {"namespace": "ns", "name": "n", "uid": "o1", "resourceVersion": "1"}
    loop.observe({"kind": "ModelDeployment", "metadata": meta}, deleted=False)
    assert await due(loop.queue) == {"n"}
    assert await due(loop.experiments) == {"elsewhere"}
    loop.observe(an_experiment("first", "m"), deleted=True)
    assert await due(loop.queue) == {"m", "other"}
    assert "second" in await due(loop.experiments)


async def test_a_cluster_without_the_experiments_crd_is_no_fault() -> None:
    class Older(Empty):
        async def list(
            self, kind: Kind, namespace: str | None, *, labels: str = "", fields: str = ""
        ) -> list[dict[str, Any]]:
            if kind.kind == "Experiment":
                raise NotFoundError("the server could not find the requested resource", status=404)
            return await super().list(kind, namespace, labels=labels, fields=fields)

    loop = Loop(Older(), Cache(), Idle(), Held(0), Settings(), Metrics(), Idle())
    await loop.resync()
    assert loop.ready()


def test_a_log_line_is_json_and_names_its_object() -> None:
    record = logging.makeLogRecord(
        {"name": "x", "levelname": "INFO", "msg": "made %s", "args": ("it",), "extra_field": 5}
        | about("ModelDeployment", "ns", "fraud")
    )
    line = json.loads(JSONFormatter().format(record))
    assert line["message"] == "made it"
    assert (line["kind"], line["namespace"], line["name"]) == ("ModelDeployment", "ns", "fraud")
    assert line["extra_field"] == 5
    assert "about" not in line
    plain = json.loads(JSONFormatter().format(logging.makeLogRecord({"msg": "x"})))
    assert "namespace" not in plain


async def test_an_address_wakes_the_models_that_are_its_arms_and_they_wake_it() -> None:
    loop, _, _ = a_loop()
    floors = [{"name": "larger-0a1b2c3d", "modelDeployment": "larger", "replicas": 2}]

    def a_model(name: str, **status: Any) -> dict[str, Any]:
        meta = {"namespace": "team", "name": name, "uid": name, "resourceVersion": "1"}
        return {"kind": "ModelDeployment", "metadata": meta, "status": status}

    loop.observe(a_model("fraud", traffic={"floors": floors}), deleted=False)
    woken = {await loop.queue.get() for _ in range(loop.queue.depth())}
    assert woken == {("team", "fraud"), ("team", "larger")}
    for key in woken:
        loop.queue.done(key)
    loop.observe(a_model("larger"), deleted=False)
    woken = {await loop.queue.get() for _ in range(loop.queue.depth())}
    assert woken == {("team", "fraud"), ("team", "larger")}

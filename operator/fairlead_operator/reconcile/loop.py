"""The control loop: workers drain the queue, a resync refills it, liveness knows a stall."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fairlead_operator.experiment import target
from fairlead_operator.kube.cache import Cache, Key, claimed
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.errors import (
    ConflictError,
    ForbiddenError,
    KubeError,
    NotFoundError,
    NotLeaderError,
)
from fairlead_operator.kube.kinds import CHILDREN, EXPERIMENT, MODEL_DEPLOYMENT, Kind
from fairlead_operator.kube.lease import Lease
from fairlead_operator.planning import names
from fairlead_operator.reconcile.passes import Result
from fairlead_operator.reconcile.queue import WorkQueue
from fairlead_operator.settings import Settings
from fairlead_operator.telemetry import Metrics, about

log = logging.getLogger(__name__)
_RESYNC_RETRY_S = 5.0
_QUEUE_STALE_S = 120.0
_PASS_TIMEOUT_S = 60.0
_FORBIDDEN_RETRY_S = 30.0
_OURS = ",".join(f"{key}={value}" for key, value in names.MANAGED_BY.items())


class Passes(Protocol):
    """Runs the passes of one kind."""

    async def run(self, key: Key) -> Result:
        """Run one pass over a resource."""

    async def refresh(self, key: Key) -> None:
        """Read the resource anew."""


@dataclass(frozen=True, slots=True)
class _Lane:
    """One kind of resource, its queue, and who runs its passes."""

    kind: Kind
    queue: WorkQueue[Key]
    passes: Passes


class Loop:
    """Everything that runs beside the watches; `run` ends only by cancellation."""

    def __init__(
        self,
        cluster: Cluster,
        cache: Cache,
        reconciler: Passes,
        lease: Lease,
        settings: Settings,
        metrics: Metrics,
        experimenter: Passes | None = None,
    ) -> None:
        """Take what the loop works with.

        Args:
            cluster: The API server.
            cache: What the watches see.
            reconciler: Runs the passes of ModelDeployments.
            lease: Says whether this replica may work.
            settings: The operator's settings.
            metrics: Where it counts.
            experimenter: Runs the passes of Experiments; None leaves them alone.
        """
        self._cluster = cluster
        self._cache = cache
        self._lease = lease
        self._settings = settings
        self._metrics = metrics
        self.queue: WorkQueue[Key] = WorkQueue()
        self.experiments: WorkQueue[Key] = WorkQueue()
        self._reconciler = reconciler
        self._experimenter = experimenter
        self._resynced_at: float | None = None
        self._started_at = time.monotonic()
        self._synced = asyncio.Event()
        metrics.watch_queue(self._depth, self._waiting_s)
        metrics.leader.set_function(lambda: float(lease.held()))
        metrics.rollouts.leads = metrics.results.leads = lease.held
        metrics.resources.set_function(lambda: float(len(cache.model_deployments())))
        metrics.resync_every.set(settings.resync_s)
        metrics.known.watch(
            leads=lease.held,
            models=lambda: filter(None, map(cache.model_deployment, cache.model_deployments())),
            experiments=cache.experiments,
        )

    def observe(self, obj: Mapping[str, Any], *, deleted: bool) -> None:
        """Take in one watch event: remember the object, make due whom it concerns."""
        key = self._cache.observe(obj, deleted=deleted)
        if obj.get("kind") == EXPERIMENT.kind:
            self._observe_experiment(obj)
            return
        if key is None:
            return
        self.queue.add(key)
        for arm in claimed(obj):
            self.queue.add(arm)  # the address that it is an arm of wants other replicas of it
        for other in self._cache.claimants(key):
            self.queue.add((other["metadata"]["namespace"], other["metadata"]["name"]))
        for each in self._cache.experiments(key[0]):
            if key[1] in target.named(each):
                self._add_experiment(each)

    def _observe_experiment(self, obj: Mapping[str, Any]) -> None:
        """Make an Experiment due, its arms, and the others that would have the same target."""
        self._add_experiment(obj)
        namespace = obj["metadata"]["namespace"]
        wanted = target.named(obj)
        for name in wanted:
            self.queue.add((namespace, name))
        for each in self._cache.experiments(namespace):
            if target.named(each) & wanted:
                self._add_experiment(each)

    def _add_experiment(self, obj: Mapping[str, Any]) -> None:
        if self._experimenter is not None:
            self.experiments.add((obj["metadata"]["namespace"], obj["metadata"]["name"]))

    async def run(self) -> None:
        """Run the Lease, the resync and the workers."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._lease.run(), name="lease")
            group.create_task(self._resync_forever(), name="resync")
            for lane in self._lanes:
                for number in range(self._settings.workers):
                    group.create_task(self._work(lane), name=f"{lane.kind.plural}-{number}")

    def stale(self, now: float | None = None) -> str | None:
        """Say why the loop should be restarted, or None where it is alive."""
        now = time.monotonic() if now is None else now
        last = self._started_at if self._resynced_at is None else self._resynced_at
        limit = 3 * self._settings.resync_s + 60
        if now - last > limit:
            return f"the last full resync ended {now - last:.0f} s ago (limit {limit:.0f} s)"
        age = self._waiting_s()
        if self._synced.is_set() and age > _QUEUE_STALE_S:
            return f"a key has been due for {age:.0f} s (limit {_QUEUE_STALE_S:.0f} s)"
        return None

    @property
    def _lanes(self) -> list[_Lane]:
        lanes = [_Lane(MODEL_DEPLOYMENT, self.queue, self._reconciler)]
        if self._experimenter is not None:
            lanes.append(_Lane(EXPERIMENT, self.experiments, self._experimenter))
        return lanes

    def _waiting_s(self) -> float:
        """For how long the oldest due key has been waiting for a replica that may work."""
        oldest = max(lane.queue.age_s() for lane in self._lanes)
        return min(oldest, self._lease.held_for_s())

    def _depth(self) -> int:
        return sum(lane.queue.depth() for lane in self._lanes)

    def ready(self) -> bool:
        """Whether the caches are warm."""
        return self._synced.is_set()

    async def resync(self) -> None:
        """List everything that is watched, believe it, and make every key due."""
        namespaces: tuple[str | None, ...] = self._settings.namespaces or (None,)
        listed: list[dict[str, Any]] = []
        self._cache.begin_listing()
        for kind in (MODEL_DEPLOYMENT, EXPERIMENT, *CHILDREN):
            for namespace in namespaces:
                listed += await self._listed(kind, namespace)
        for key in self._cache.replace_all(listed):
            self.queue.add(key)
        for each in self._cache.experiments():
            self._add_experiment(each)
        self._resynced_at = time.monotonic()
        self._metrics.resynced.set_to_current_time()
        self._synced.set()

    async def _listed(self, kind: Kind, namespace: str | None) -> list[dict[str, Any]]:
        labels = "" if kind in (MODEL_DEPLOYMENT, EXPERIMENT) else _OURS
        try:
            return await self._cluster.list(kind, namespace, labels=labels)
        except NotFoundError:
            if kind is not EXPERIMENT:
                raise
            return []  # its CRD is newer than the one of the models, and may not be there yet

    async def _resync_forever(self) -> None:
        while True:
            try:
                async with asyncio.timeout(max(60.0, self._settings.resync_s)):
                    await self.resync()
            except (KubeError, TimeoutError) as error:
                self._metrics.resyncs.labels("failed").inc()
                self._metrics.errors.labels(_label(error)).inc()
                log.warning("resync failed, next try in %.0f s: %s", _RESYNC_RETRY_S, error)
                await asyncio.sleep(_RESYNC_RETRY_S)
                continue
            self._metrics.resyncs.labels("ok").inc()
            await asyncio.sleep(self._settings.resync_s * (0.9 + 0.2 * random.random()))  # noqa: S311

    async def _work(self, lane: _Lane) -> None:
        await self._synced.wait()
        while True:
            await self._lease.acquired.wait()
            key = await lane.queue.get()
            await self._one(lane, key)

    async def _one(self, lane: _Lane, key: Key) -> None:
        where = about(lane.kind.kind, *key)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(_PASS_TIMEOUT_S):
                result = await lane.passes.run(key)
        except NotLeaderError:
            # The next leader's resync finds the key; it only must not be lost for this replica.
            lane.queue.done(key, requeue_after_s=1.0)
            self._count("not_leader", started)
        except (ConflictError, NotFoundError) as error:
            # Somebody wrote in between: the watch or this read brings the newer object.
            with contextlib.suppress(KubeError):
                await lane.passes.refresh(key)
            delay = lane.queue.failed(key)
            self._count("conflict", started)
            log.info("stale, again in %.1f s: %s", delay, error, extra=where)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the key must not be lost
            self._failed(lane, key, error, where, started)
        else:
            lane.queue.done(key, requeue_after_s=result.requeue_after_s)
            self._count("changed" if result.changed else "unchanged", started)
            if result.changed:
                log.info("reconciled: %s", "; ".join(result.changed), extra=where)

    def _failed(
        self, lane: _Lane, key: Key, error: Exception, where: dict[str, Any], started: float
    ) -> None:
        reason = _label(error)
        slow = _FORBIDDEN_RETRY_S if isinstance(error, ForbiddenError) else 0.0
        delay = lane.queue.failed(key, at_least_s=slow)
        self._metrics.errors.labels(reason).inc()
        self._count("failed", started)
        expected = isinstance(error, (KubeError, TimeoutError))
        log.log(
            logging.WARNING if expected else logging.ERROR,
            "pass failed (%s), again in %.1f s: %s",
            reason,
            delay,
            error,
            extra=where,
            exc_info=None if expected else error,
        )

    def _count(self, outcome: str, started: float) -> None:
        self._metrics.passes.labels(outcome).inc()
        self._metrics.seconds.observe(time.perf_counter() - started)


def _label(error: Exception) -> str:
    """The error's name in the metrics."""
    return error.label if isinstance(error, KubeError) else type(error).__name__

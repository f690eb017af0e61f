"""One pass over one ModelDeployment: gather, decide, act, status last."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairlead_operator.api.conditions import MEASURED_EVERY_S, Note, measured_wait_s
from fairlead_operator.api.reasons import Reason
from fairlead_operator.evidence.prometheus import PrometheusError
from fairlead_operator.evidence.recorder import Recorder
from fairlead_operator.kube.cache import Cache, Key
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.errors import ConflictError
from fairlead_operator.kube.kinds import BY_KIND, MODEL_DEPLOYMENT
from fairlead_operator.planning import names
from fairlead_operator.planning.children import Manifest
from fairlead_operator.reconcile import act, counting, gather, routers
from fairlead_operator.reconcile.counting import Count
from fairlead_operator.reconcile.drift import DriftKeeper, ReadDrift
from fairlead_operator.reconcile.latency import LatencyKeeper, ReadCounts
from fairlead_operator.reconcile.performance import PerformanceKeeper
from fairlead_operator.reconcile.routers import ReadRouters
from fairlead_operator.reconcile.statuses import Statuses
from fairlead_operator.rollout import status as status_module
from fairlead_operator.rollout.addressing import Kick
from fairlead_operator.rollout.decide import Decision, decide, look_again_s
from fairlead_operator.rollout.settled import Settled
from fairlead_operator.rollout.snapshot import Finding
from fairlead_operator.settings import Settings
from fairlead_operator.telemetry import Metrics

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a pass did.

    Attributes:
        changed: One word or two for each write but Events.
        requeue_after_s: When to look again without being woken.
    """

    changed: tuple[str, ...] = ()
    requeue_after_s: float | None = None


@dataclass(slots=True)
class _Applied:
    """What became of a plan's manifests, the address last."""

    changed: list[str] = field(default_factory=list)
    problems: list[Finding] = field(default_factory=list)
    address: Finding | None = None


class Reconciler:
    """Runs passes; holds nothing between them but the cache."""

    def __init__(
        self,
        cluster: Cluster,
        cache: Cache,
        settings: Settings,
        metrics: Metrics,
        read_routers: ReadRouters,
        read_drift: ReadDrift | None = None,
        count: Count = counting.nobody,
        recorder: Recorder | None = None,
        read_latency: ReadCounts | None = None,
    ) -> None:
        self._read_routers = read_routers
        self._drift = DriftKeeper(cluster, read_drift)
        self._performance = PerformanceKeeper(recorder)
        self._latency = LatencyKeeper(cluster, read_latency)
        self._count = count
        self._cluster = cluster
        self._cache = cache
        self._metrics = metrics
        self._statuses = Statuses(
            cluster=cluster,
            cache=cache,
            metrics=metrics,
            identity=settings.identity or "fairlead-operator",
        )
        self._settled = Settled(
            runtime_image=settings.runtime_image,
            gpu_runtime_image=settings.gpu_runtime_image,
            router_image=settings.router_image,
            settle_s=settings.settle_s,
            cluster_domain=settings.cluster_domain,
            recorder=settings.recorder_exposures or None,
            recorder_ca=settings.recorder_ca,
            recorder_url=settings.recorder_url,
            tracing_endpoint=settings.tracing_endpoint,
            tracing_share=settings.tracing_share,
            drain_s=settings.drain_s,
            connection_age_s=settings.connection_age_s,
            network_policies=settings.network_policies,
            private_redirects=settings.private_redirects,
        )

    async def refresh(self, key: Key) -> None:
        """Read the resource anew: what the cache holds has turned out to be old."""
        live = await self._cluster.get(MODEL_DEPLOYMENT, *key)
        if live is not None:
            self._cache.observe(live)
        elif (known := self._cache.model_deployment(key)) is not None:
            self._cache.observe(known, deleted=True)

    async def run(self, key: Key, now: dt.datetime | None = None) -> Result:
        """Run one pass; safe to repeat, and to stop between any two steps."""
        resource = self._cache.model_deployment(key)
        if resource is None or resource["metadata"].get("deletionTimestamp"):
            self._metrics.rollouts.forget(key)
            return Result()  # the garbage collector removes the children, with or without us
        now = now or dt.datetime.now(dt.UTC)
        try:
            snapshot = await gather.snapshot(
                self._cluster, self._cache, self._read_routers, self._count, resource, now
            )
        except gather.SpecError as error:
            self._metrics.errors.labels(Reason.INVALID_SPEC.value).inc()
            serving = gather.serving(self._cache, resource)
            new = status_module.refused(
                resource, Reason.INVALID_SPEC, str(error), now, serving=serving
            )
            return Result(changed=await self._write_status(resource, new, now))
        if snapshot.evidence is not None and snapshot.evidence.trouble:
            # The pass goes on: what decides now is how old the evidence is.
            self._metrics.errors.labels(PrometheusError.__name__).inc()
        snapshot = await self._drift.compared(snapshot, now)
        changed: list[str] = []
        decision = decide(snapshot, self._settled, now)
        told = decision.step.notes if decision.step is not None else ()
        if decision.freeze:
            # A revision's defaults are remembered before anything is made from them: an operator
            # that takes over between here and the end finds the same revision, not a new one.
            new = status_module.compose(snapshot, decision, (), now, carried_out=False)
            changed += await self._write_status(resource, new, now, told)
            told = ()
            resource = self._cache.model_deployment(key) or resource
        elif _lacks(snapshot.children, decision) and not await self._still_there(resource):
            return Result()
        kicks = decision.address.kicks
        done = await self._apply(snapshot.children, decision.manifests, kicks, snapshot.name)
        changed += done.changed
        if done.address is not None:
            # Nobody has got the address that could not be written, and nobody has left it.
            decision = decide(snapshot, self._settled, now, may_move=False)
            if told and decision.step is not None:
                told = decision.step.notes  # no word of a move that was not made
        else:
            changed += await self._prune(snapshot.children, decision.prune)
        snapshot = gather.with_resource(snapshot, resource)
        unaddressed = done.address if ("Service", snapshot.name) not in snapshot.children else None
        self._metrics.rollouts.show(key, decision.step)
        drift, performance, latency = await asyncio.gather(
            self._drift.observe(snapshot, decision.active, now),
            self._performance.observe(snapshot, decision.active, now),
            self._latency.observe(snapshot, decision.active, now),
        )
        new = status_module.compose(
            snapshot,
            decision,
            done.problems,
            now,
            unaddressed=unaddressed,
            drift=drift,
            performance=performance,
            latency=latency,
        )
        changed += await self._write_status(resource, new, now, told)
        waits = (
            self._requeue(resource, new, decision, done.problems, now),
            self._drift.wait_s(snapshot, decision.active, now),
            self._performance.wait_s(snapshot, decision.active, now),
            self._latency.wait_s(snapshot, decision.active, now),
        )
        return Result(
            changed=tuple(changed),
            requeue_after_s=min((each for each in waits if each is not None), default=None),
        )

    async def _still_there(self, resource: Mapping[str, Any]) -> bool:
        """Whether the resource exists: without its event, its children would be made for nobody."""
        key = _key(resource)
        await self.refresh(key)
        live = self._cache.model_deployment(key)
        if live is None or live["metadata"].get("deletionTimestamp"):
            return False
        return bool(live["metadata"]["uid"] == resource["metadata"]["uid"])

    async def _apply(
        self,
        children: Mapping[tuple[str, str], Mapping[str, Any]],
        manifests: tuple[Manifest, ...],
        kicks: tuple[Kick, ...],
        name: str,
    ) -> _Applied:
        done = _Applied()
        documents = ("ConfigMap", names.router_name(name))
        for manifest in manifests:
            ident = (manifest["kind"], manifest["metadata"]["name"])
            try:
                outcome = await act.ensure(self._cluster, manifest, children.get(ident))
            except ConflictError:
                await self._refresh_child(manifest, children.get(ident))
                raise
            if outcome.live is not None:
                self._cache.observe(outcome.live)
            if outcome.problem is not None:
                self._metrics.errors.labels(outcome.problem.reason).inc()
                done.problems.append(outcome.problem)
                if manifest is manifests[-1]:
                    done.address = outcome.problem
            if outcome.verb:
                self._metrics.writes.labels(ident[0], outcome.verb).inc()
                done.changed.append(f"{outcome.verb} {ident[0]} {ident[1]}")
            if ident == documents and outcome.problem is None:
                await self._tell(manifest["metadata"]["namespace"], kicks, done)
        return done

    async def _tell(self, namespace: str, kicks: tuple[Kick, ...], done: _Applied) -> None:
        for kick in kicks:
            problem = await routers.tell(self._cluster, namespace, kick)
            if problem is not None:
                self._metrics.errors.labels(problem.reason).inc()
                done.problems.append(problem)
                continue
            self._metrics.writes.labels("Pod", "told").inc()
            done.changed.append(f"told Pod {kick.pod}")

    async def _refresh_child(self, manifest: Manifest, known: Mapping[str, Any] | None) -> None:
        """Read a child anew: it is not the one that the cache holds."""
        meta = manifest["metadata"]
        live = await self._cluster.get(BY_KIND[manifest["kind"]], meta["namespace"], meta["name"])
        if known is not None and (
            live is None or live["metadata"]["uid"] != known["metadata"]["uid"]
        ):
            self._cache.observe(known, deleted=True)
        if live is not None:
            self._cache.observe(live)

    async def _prune(
        self,
        children: Mapping[tuple[str, str], Mapping[str, Any]],
        gone: tuple[tuple[str, str], ...],
    ) -> list[str]:
        changed: list[str] = []
        for ident in gone:
            live = children[ident]
            await act.remove(self._cluster, live)
            self._cache.observe(live, deleted=True)
            self._metrics.writes.labels(ident[0], "deleted").inc()
            changed.append(f"deleted {ident[0]} {ident[1]}")
        return changed

    async def _write_status(
        self,
        resource: Mapping[str, Any],
        new: dict[str, Any],
        now: dt.datetime,
        told: tuple[Note, ...] = (),
    ) -> tuple[str, ...]:
        before = resource.get("status") or {}
        if not status_module.worth_writing(before, new, now):
            return ()
        notes = (*told, *status_module.notes(before, new))
        await self._statuses.write(MODEL_DEPLOYMENT, resource, new, notes)
        return ("status",)

    def _requeue(
        self,
        resource: Mapping[str, Any],
        new: Mapping[str, Any],
        decision: Decision,
        problems: list[Finding],
        now: dt.datetime,
    ) -> float | None:
        wanted = decision.requeue_after_s
        times = [wanted] if wanted is not None else []
        live = self._cache.model_deployment(_key(resource)) or resource
        if problems:
            times.append(look_again_s(live, None, now))
        written = live.get("status") or {}
        later = now + dt.timedelta(seconds=MEASURED_EVERY_S)
        if status_module.worth_writing(written, new, later):
            times.append(max(1.0, measured_wait_s(written, now)))
        return min(times) if times else None


def _lacks(children: Mapping[tuple[str, str], object], decision: Decision) -> bool:
    return any((m["kind"], m["metadata"]["name"]) not in children for m in decision.manifests)


def _key(resource: Mapping[str, Any]) -> Key:
    return resource["metadata"]["namespace"], resource["metadata"]["name"]

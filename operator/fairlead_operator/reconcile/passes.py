"""One pass over one ModelDeployment: gather, decide, act, status last."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlead_operator.api.reasons import Reason
from fairlead_operator.kube import events
from fairlead_operator.kube.cache import Cache, Key
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.kinds import MODEL_DEPLOYMENT
from fairlead_operator.planning.children import Manifest
from fairlead_operator.reconcile import act, gather
from fairlead_operator.rollout import status as status_module
from fairlead_operator.rollout.decide import Settled, decide
from fairlead_operator.rollout.snapshot import Finding
from fairlead_operator.settings import Settings
from fairlead_operator.telemetry import Metrics

log = logging.getLogger(__name__)
_PROBLEM_RETRY_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a pass did.

    Attributes:
        changed: One word or two for each write but Events.
        requeue_after_s: When to look again without being woken.
    """

    changed: tuple[str, ...] = ()
    requeue_after_s: float | None = None


class Reconciler:
    """Runs passes; holds nothing between them but the cache."""

    def __init__(
        self, cluster: Cluster, cache: Cache, settings: Settings, metrics: Metrics
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._metrics = metrics
        self._identity = settings.identity or "fairlead-operator"
        self._settled = Settled(
            runtime_image=settings.runtime_image,
            drain_s=settings.drain_s,
            connection_age_s=settings.connection_age_s,
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
            return Result()  # the garbage collector removes the children, with or without us
        now = now or dt.datetime.now(dt.UTC)
        try:
            snapshot = await gather.snapshot(self._cluster, self._cache, resource, now)
        except gather.SpecError as error:
            new = status_module.refused(resource, Reason.INVALID_SPEC, str(error), now)
            return Result(changed=await self._write_status(resource, new, now))
        changed: list[str] = []
        decision = decide(snapshot, self._settled, now)
        if decision.freeze:
            # A revision's defaults are remembered before anything is made from them: an operator
            # that takes over between here and the end finds the same revision, not a new one.
            new = status_module.compose(snapshot, decision, (), now)
            changed += await self._write_status(resource, new, now)
            resource = self._cache.model_deployment(key) or resource
        applied, problems = await self._apply(snapshot.children, decision.manifests)
        changed += applied
        if not problems:
            changed += await self._prune(snapshot.children, decision.prune)
        snapshot = gather.with_resource(snapshot, resource)
        new = status_module.compose(snapshot, decision, problems, now)
        changed += await self._write_status(resource, new, now)
        return Result(
            changed=tuple(changed),
            requeue_after_s=self._requeue(resource, new, decision.requeue_after_s, problems, now),
        )

    async def _apply(
        self,
        children: Mapping[tuple[str, str], Mapping[str, Any]],
        manifests: tuple[Manifest, ...],
    ) -> tuple[list[str], list[Finding]]:
        changed: list[str] = []
        problems: list[Finding] = []
        for manifest in manifests:
            ident = (manifest["kind"], manifest["metadata"]["name"])
            outcome = await act.ensure(self._cluster, manifest, children.get(ident))
            if outcome.live is not None:
                self._cache.observe(outcome.live)
            if outcome.problem is not None:
                problems.append(outcome.problem)
            if outcome.verb:
                self._metrics.writes.labels(ident[0], outcome.verb).inc()
                changed.append(f"{outcome.verb} {ident[0]} {ident[1]}")
        return changed, problems

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
        self, resource: Mapping[str, Any], new: dict[str, Any], now: dt.datetime
    ) -> tuple[str, ...]:
        before = resource.get("status") or {}
        if not status_module.worth_writing(before, new, now):
            return ()
        meta = resource["metadata"]
        body = {
            "apiVersion": MODEL_DEPLOYMENT.api_version,
            "kind": MODEL_DEPLOYMENT.kind,
            "metadata": {
                "name": meta["name"],
                "namespace": meta["namespace"],
                "resourceVersion": meta["resourceVersion"],
            },
            "status": new,
        }
        live = await self._cluster.apply(MODEL_DEPLOYMENT, body, "status")
        self._cache.observe(live)
        self._metrics.writes.labels(MODEL_DEPLOYMENT.kind, "status").inc()
        for note in status_module.notes(before, new):
            await events.post(
                self._cluster,
                live,
                instance=self._identity,
                reason=note.reason,
                note=note.message,
                action="Reconcile",
                warning=note.warning,
            )
        return ("status",)

    def _requeue(
        self,
        resource: Mapping[str, Any],
        new: Mapping[str, Any],
        wanted: float | None,
        problems: list[Finding],
        now: dt.datetime,
    ) -> float | None:
        times = [wanted] if wanted is not None else []
        if problems:
            times.append(_PROBLEM_RETRY_S)
        written = (self._cache.model_deployment(_key(resource)) or resource).get("status") or {}
        if any(
            status_module.worth_writing(written, new, now + dt.timedelta(seconds=later))
            for later in (status_module.MEASURED_EVERY_S,)
        ):
            times.append(max(1.0, status_module.measured_wait_s(written, now)))
        return min(times) if times else None


def _key(resource: Mapping[str, Any]) -> Key:
    return resource["metadata"]["namespace"], resource["metadata"]["name"]

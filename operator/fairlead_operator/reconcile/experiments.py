"""One pass over one Experiment: gather, decide, tell the recorder, status last.

It writes its own status and nothing else in the cluster. From there the passes of its target and of
its arms take what they have to do.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from fairlead_operator.api.conditions import MEASURED_EVERY_S, measured_wait_s
from fairlead_operator.api.reasons import Reason
from fairlead_operator.api.v1alpha1 import ExperimentSpec
from fairlead_operator.evidence import recorded
from fairlead_operator.evidence.recorder import Recorder, RecorderError
from fairlead_operator.experiment import memory as memory_module
from fairlead_operator.experiment import status as status_module
from fairlead_operator.experiment.decide import Decision, decide
from fairlead_operator.experiment.facts import Aggregates, Snapshot
from fairlead_operator.experiment.memory import Memory
from fairlead_operator.kube.cache import Cache, Key
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.kinds import EXPERIMENT
from fairlead_operator.reconcile.experimentfacts import Facts
from fairlead_operator.reconcile.passes import Result
from fairlead_operator.reconcile.statuses import Statuses
from fairlead_operator.settings import Settings
from fairlead_operator.telemetry import Metrics

log = logging.getLogger(__name__)
_ASK_EVERY_S = 30.0
"""So old a summary may be while guardrails are looked at every few seconds."""
_REGISTER_EVERY_S = 300.0
"""So often a recorder is told what it should know: one that lost its database knows it again."""


class Experimenter:
    """Runs passes over Experiments; what it holds between them can be lost at any time."""

    def __init__(
        self,
        cluster: Cluster,
        cache: Cache,
        settings: Settings,
        metrics: Metrics,
        recorder: Recorder,
        facts: Facts,
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._metrics = metrics
        self._statuses = Statuses(
            cluster=cluster,
            cache=cache,
            metrics=metrics,
            identity=settings.identity or "fairlead-operator",
        )
        self._recorder = recorder
        self._facts = facts
        self._told: dict[Key, tuple[dt.datetime, dict[str, Any]]] = {}
        self._counted: dict[Key, tuple[dt.datetime, Aggregates]] = {}
        self._uids: dict[Key, str] = {}
        self._over: set[str] = set()

    async def refresh(self, key: Key) -> None:
        """Read the resource anew: what the cache holds has turned out to be old."""
        live = await self._cluster.get(EXPERIMENT, *key)
        if live is not None:
            self._cache.observe(live)
        elif (known := self._cache.experiment(key)) is not None:
            self._cache.observe(known, deleted=True)

    async def run(self, key: Key, now: dt.datetime | None = None) -> Result:
        """Run one pass; safe to repeat, and to stop between any two steps."""
        resource = self._cache.experiment(key)
        if resource is None or resource["metadata"].get("deletionTimestamp"):
            await self._forget(key)
            return Result()
        now = now or dt.datetime.now(dt.UTC)
        uid = resource["metadata"]["uid"]
        if self._uids.get(key, uid) != uid:
            await self._forget(key)
        self._uids[key] = uid
        try:
            spec = ExperimentSpec.model_validate(resource.get("spec"))
        except ValidationError as error:
            first = error.errors()[0]
            text = f"{'.'.join(('spec', *map(str, first['loc'])))}: {first['msg']}"
            self._metrics.errors.labels(Reason.INVALID_SPEC.value).inc()
            new = status_module.refused(resource, text, now)
            return Result(changed=await self._write_status(resource, new, now))
        memory = memory_module.from_status(resource.get("status") or {})
        counting = memory.split or memory.ended is None
        refusal = await self._register(key, uid, spec, memory, now) if counting else ""
        snapshot = await self._facts.snapshot(resource, spec, memory, now)
        snapshot = _with_recorder(
            snapshot, refusal, await self._aggregates(key, uid, now) if counting else None
        )
        decision = decide(snapshot, now)
        if counting and decision.memory.table != memory.table:
            # It has to know a table before a router does: its exposures would be lost.
            problem = await self._register(key, uid, spec, decision.memory, now)
            if problem:
                decision = decide(_with_recorder(snapshot, problem, snapshot.aggregates), now)
        self._metrics.results.show(key, decision)
        new = status_module.compose(resource, snapshot, decision, now)
        changed = await self._write_status(resource, new, now)
        if changed and decision.memory.table:
            await self._tell(key, uid, decision, new)
        if decision.memory.ended is not None and not decision.memory.split:
            await self._end(key, uid)
        return Result(changed=changed, requeue_after_s=_requeue(resource, new, decision, now))

    async def _register(
        self, key: Key, uid: str, spec: ExperimentSpec, memory: Memory, now: dt.datetime
    ) -> str:
        """Tell the recorder of the table; return why it does not know it, empty where it does."""
        if not memory.table:
            return await self._absent()
        body = recorded.registration(uid, spec, memory)
        at, told = self._told.get(key, (now, {}))
        if told == body and 0 <= (now - at).total_seconds() < _REGISTER_EVERY_S:
            return ""
        try:
            await self._recorder.register(*key, body)
        except RecorderError as error:
            self._told.pop(key, None)
            return str(error)
        self._told[key] = (now, body)
        return ""

    async def _absent(self) -> str:
        """Return why a recorder cannot be told anything; empty where it can."""
        try:
            await self._recorder.ready()
        except RecorderError as error:
            return str(error)
        return ""

    async def _aggregates(self, key: Key, uid: str, now: dt.datetime) -> Aggregates | None:
        told = self._told.get(key)
        if told is None:
            return None
        at, known = self._counted.get(key, (None, None))
        if at is not None and known is not None and not known.settling:
            fresh = 0 <= (now - at).total_seconds() < _ASK_EVERY_S
            if fresh and told[1]["epochs"][-1]["epoch"] in known.epochs:
                return known
        try:
            found = recorded.aggregates(uid, await self._recorder.summary(*key))
        except (RecorderError, ValueError, KeyError, TypeError) as error:
            self._counted.pop(key, None)
            log.warning("the recorder has no summary of %s/%s: %s", *key, error)
            return None
        if found is not None:
            self._counted[key] = (now, found)
        return found

    async def _tell(self, key: Key, uid: str, decision: Decision, status: dict[str, Any]) -> None:
        """Let the recorder's page show the verdict; it is told again with the next change."""
        try:
            await self._recorder.judged(*key, recorded.judgement(uid, decision, status))
        except RecorderError as error:
            log.info("the recorder was not told of the verdict on %s/%s: %s", *key, error)

    async def _end(self, key: Key, uid: str) -> None:
        """Tell the recorder that it is over; should it not hear, the next operator tells it."""
        if uid in self._over:
            return
        try:
            await self._recorder.end(*key, uid)
        except RecorderError as error:
            log.info("the recorder was not told of the end of %s/%s: %s", *key, error)
            return
        self._over.add(uid)

    async def _forget(self, key: Key) -> None:
        uid = self._uids.pop(key, None)
        self._told.pop(key, None)
        self._counted.pop(key, None)
        self._facts.forget(key)
        self._metrics.results.forget(key)
        if uid is not None:
            await self._end(key, uid)
            self._over.discard(uid)

    async def _write_status(
        self, resource: Mapping[str, Any], new: dict[str, Any], now: dt.datetime
    ) -> tuple[str, ...]:
        before = resource.get("status") or {}
        if not status_module.worth_writing(before, new, now):
            return ()
        notes = status_module.notes(before, new)
        await self._statuses.write(EXPERIMENT, resource, new, notes)
        return ("status",)


def _with_recorder(snapshot: Snapshot, refusal: str, aggregates: Aggregates | None) -> Snapshot:
    return dataclasses.replace(
        snapshot, registered=not refusal, refusal=refusal, aggregates=aggregates
    )


def _requeue(
    resource: Mapping[str, Any], new: Mapping[str, Any], decision: Decision, now: dt.datetime
) -> float | None:
    times = [] if decision.wake_s is None else [decision.wake_s]
    before = resource.get("status") or {}
    later = now + dt.timedelta(seconds=MEASURED_EVERY_S)
    if status_module.worth_writing(before, new, later) and before.get("measuredAt"):
        times.append(max(1.0, measured_wait_s(before, now)))
    return min(times) if times else None

"""Everything that a pass needs to know, read once, as one frozen snapshot."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from fairlead_operator.api import duration
from fairlead_operator.api.times import instant
from fairlead_operator.api.v1alpha1 import ModelSpec, ObjectivesSpec, RuntimeSpec, ScalingSpec
from fairlead_operator.api.v1alpha1.drift import DriftSpec
from fairlead_operator.api.v1alpha1.performance import PerformanceSpec
from fairlead_operator.api.v1alpha1.rollout import RolloutSpec, ValidationSpec
from fairlead_operator.kube.cache import Cache
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.kinds import EVENT, POD
from fairlead_operator.planning import names
from fairlead_operator.reconcile import counting, neighbourhood
from fairlead_operator.reconcile.counting import Count, Counted
from fairlead_operator.reconcile.neighbourhood import owned
from fairlead_operator.reconcile.routers import ReadRouters
from fairlead_operator.rollout import addressing, diagnosis, rolling, trial, wanted
from fairlead_operator.rollout.capacity import satisfied
from fairlead_operator.rollout.plan import Plan, parse
from fairlead_operator.rollout.quality import Quality
from fairlead_operator.rollout.revision import Revision, State, from_status
from fairlead_operator.rollout.snapshot import Finding, Resolved, Snapshot
from fairlead_operator.rollout.watching import Watching
from fairlead_operator.stats import drift_rules
from fairlead_operator.stats.drift_rules import Rules

_JOB_LABEL = "batch.kubernetes.io/job-name"
"""What the Job controller writes on the pods of a Job."""
_PODS_SPEAK_AFTER_S = 3.0
"""A pod that has just been made has nothing to tell yet."""


class SpecError(Exception):
    """The spec makes no sense to this version of the operator."""


async def snapshot(
    cluster: Cluster,
    cache: Cache,
    read_routers: ReadRouters,
    count: Count,
    resource: Mapping[str, Any],
    now: dt.datetime,
) -> Snapshot:
    """Return the snapshot of one ModelDeployment.

    Args:
        cluster: Who is asked for pods, where they have something to tell.
        cache: What the watches have seen.
        read_routers: How router pods are asked, while there are any.
        count: How evidence is read, while a rollout is judged.
        resource: The ModelDeployment.
        now: The instant of the pass.

    Raises:
        SpecError: The spec cannot be understood; the message names the field.
        KubeError: The API server could not be asked.
    """
    meta = resource["metadata"]
    spec = resource.get("spec")
    model, runtime, scaling, objectives = _spec(spec)
    validation, plan = _plan(spec)
    known = [from_status(e) for e in (resource.get("status") or {}).get("revisions") or ()]
    revisions = tuple(revision for revision in known if revision is not None)
    split, pinned, arms = neighbourhood.experiment(cache, resource)
    others = wanted.neighbours(resource) | arms
    first = Snapshot(
        resource=resource,
        model=model,
        runtime=runtime,
        scaling=scaling,
        revisions=revisions,
        recognised=_recognise(revisions, model, runtime),
        children=owned(cache, resource),
        objectives=objectives,
        plan=plan,
        drift=_drift(spec),
        performance=_performance(spec),
        validation_spec=validation,
        router_always=isinstance(spec, Mapping) and spec.get("router") == "Always",
        neighbours=neighbourhood.neighbours(cache, resource, others),
        claims=neighbourhood.claims(cache, resource),
        experiment=split,
        pinned=pinned,
    )
    if addressing.routed(first):
        # Where they cannot be listed the pass fails, and everything stays as it is: no router and
        # no news of routers are not the same.
        selector = ",".join(f"{k}={v}" for k, v in names.router_selector(first.name).items())
        pods = await cluster.list(POD, meta["namespace"], labels=selector)
        told = await read_routers(pods)
        first = dataclasses.replace(first, routers=told, router_pods=tuple(pods))
    candidate = next((r for r in revisions if r.hash == first.recognised), None)
    counted = await _judged(cluster, first, candidate, count, now)
    if counted is not None:
        quality = Quality(mirror=counted.mirror)
        first = dataclasses.replace(
            first, evidence=counted.window, quality=quality, readings=counted.readings
        )
    if candidate is None:
        return first
    if rolling.validating(resource, candidate.hash, now):
        name = names.validation_name(first.name, candidate.hash)
        tried = await cluster.list(POD, meta["namespace"], labels=f"{_JOB_LABEL}={name}")
        found = trial.outcome(first.children.get(("Job", name)), tried)
        first = dataclasses.replace(first, validation=found)
    findings, resolved = await _ask_pods(cluster, first, candidate, meta["namespace"], now)
    return dataclasses.replace(first, findings=findings, resolved=resolved)


def serving(cache: Cache, resource: Mapping[str, Any]) -> bool:
    """Whether the revision that has the address, by status, has a ready replica."""
    found = Snapshot(
        resource=resource, model={}, runtime={}, scaling={}, children=owned(cache, resource)
    )
    entries = (resource.get("status") or {}).get("revisions") or ()
    revisions = [revision for entry in entries if (revision := from_status(entry)) is not None]
    return any(r.state is State.ACTIVE and found.replicas(r)[1] > 0 for r in revisions)


def with_resource(before: Snapshot, resource: Mapping[str, Any]) -> Snapshot:
    """Return the same snapshot of a resource whose status has been written since."""
    return dataclasses.replace(before, resource=resource)


async def _judged(
    cluster: Cluster,
    found: Snapshot,
    candidate: Revision | None,
    count: Count,
    now: dt.datetime,
) -> Counted | None:
    """Read what both revisions of a rollout did since their split is live; else nobody is asked."""
    meta = found.resource["metadata"]
    address = f"{meta['namespace']}/{meta['name']}"
    since, compare = rolling.judged_since(found.resource, now)
    stable = next((r for r in found.revisions if r.state is State.ACTIVE), None)
    if since is None or stable is None or candidate is None:
        return await count(address, None, now, compare=False)
    labels = f"{names.OWNER_LABEL}={meta['name']}"
    models = await cluster.list(POD, meta["namespace"], labels=labels)
    keys = (stable.child_name(found.name), candidate.child_name(found.name))
    pods = counting.pods(keys, found.router_pods, models)
    readings = rolling.readings(found.resource)
    return await count(address, pods, since, compare=compare, readings=readings)


async def _ask_pods(
    cluster: Cluster, found: Snapshot, wanted: Revision, namespace: str, now: dt.datetime
) -> tuple[dict[str, Finding], dict[str, Resolved]]:
    """Read the wanted revision's pods, only where they have something to tell."""
    deployment = found.children.get(("Deployment", wanted.child_name(found.name)))
    if deployment is None:
        return {}, {}
    ready = found.replicas(wanted)[1]
    age = (now - instant(wanted.created_at)).total_seconds()
    unhappy = not satisfied(found, wanted) and age >= _PODS_SPEAK_AFTER_S
    untold = wanted.size_bytes is None and ready > 0
    if not unhappy and not untold:
        return {}, {}
    selector = ",".join(f"{k}={v}" for k, v in names.selector(found.name, wanted.hash).items())
    pods = await cluster.list(POD, namespace, labels=selector)
    findings: dict[str, Finding] = {}
    if unhappy:
        events: list[dict[str, Any]] = []
        for pod in [pod for pod in pods if diagnosis.waiting_for_volumes(pod)][:2]:
            fields = f"involvedObject.name={pod['metadata']['name']},type=Warning"
            events += await cluster.list(EVENT, namespace, fields=fields)
        finding = diagnosis.diagnose(deployment, pods, events)
        if finding is not None:
            findings[wanted.hash] = finding
    told = diagnosis.resolved(pods)
    return findings, {wanted.hash: told} if told else {}


_Part = Mapping[str, Any]
_Kind = (
    ModelSpec
    | RuntimeSpec
    | ScalingSpec
    | ObjectivesSpec
    | RolloutSpec
    | ValidationSpec
    | DriftSpec
    | PerformanceSpec
)


def _spec(spec: object) -> tuple[_Part, _Part, _Part, _Part]:
    if not isinstance(spec, Mapping):
        raise SpecError("spec: an object is needed")
    return (
        _part(ModelSpec, spec, "model"),
        _part(RuntimeSpec, spec, "runtime"),
        _part(ScalingSpec, spec, "scaling"),
        _part(ObjectivesSpec, spec, "objectives"),
    )


def _plan(spec: object) -> tuple[_Part, Plan]:
    given = spec if isinstance(spec, Mapping) else {}
    _part(RolloutSpec, given, "rollout")
    return _part(ValidationSpec, given, "validation"), parse(given)


def _drift(spec: object) -> Rules:
    given = _part(DriftSpec, spec if isinstance(spec, Mapping) else {}, "drift")
    try:
        return drift_rules.of_spec(given)
    except ValueError as error:
        raise SpecError(f"spec.drift.lookEvery: {error}") from error


def _performance(spec: object) -> Watching | None:
    if not isinstance(spec, Mapping) or spec.get("performance") is None:
        return None
    given = _part(PerformanceSpec, spec, "performance")
    try:
        duration.seconds(str(given["window"]))
    except ValueError as error:
        raise SpecError(f"spec.performance.window: {error}") from error
    return Watching(spec=given)


def _part(kind: type[_Kind], spec: Mapping[str, Any], name: str) -> _Part:
    given = spec.get(name)
    try:
        return _dump(kind.model_validate({} if given is None else given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(("spec", name, *map(str, first["loc"])))
        raise SpecError(f"{where}: {first['msg']}") from error


def _recognise(
    revisions: tuple[Revision, ...], model: Mapping[str, Any], runtime: Mapping[str, Any]
) -> str | None:
    """Return the remembered revision that this spec asks for.

    Both sides are read by today's models, so that a field that did not exist when the revision was
    made counts with its default.
    """
    ranked = sorted(revisions, key=lambda revision: revision.state is State.DRAINING)
    for revision in ranked:
        try:
            then = (
                _dump(ModelSpec.model_validate(dict(revision.model))),
                _dump(RuntimeSpec.model_validate(dict(revision.runtime))),
            )
        except ValidationError:
            continue
        if then == (model, runtime):
            return revision.hash
    return None


def _dump(model: _Kind) -> _Part:
    dumped: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped

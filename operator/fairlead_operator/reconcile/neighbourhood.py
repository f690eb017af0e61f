"""What the cache knows of a ModelDeployment's children, and of others that share an address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fairlead_operator.experiment import target
from fairlead_operator.kube.cache import Cache
from fairlead_operator.rollout.revision import State, from_status
from fairlead_operator.rollout.snapshot import ChildKey, Finding, Neighbour, Pinned, Snapshot
from fairlead_operator.traffic.split import Split


def owned(cache: Cache, resource: Mapping[str, Any]) -> dict[ChildKey, Mapping[str, Any]]:
    """Return the children of this very object, not of one that had its name before."""
    meta = resource["metadata"]
    return {
        ident: live
        for ident, live in cache.children((meta["namespace"], meta["name"])).items()
        if any(
            reference.get("uid") == meta["uid"]
            for reference in live["metadata"].get("ownerReferences") or ()
        )
    }


def neighbours(
    cache: Cache, resource: Mapping[str, Any], names: Iterable[str]
) -> dict[str, Neighbour]:
    """Return the other ModelDeployments of these names that exist in the same namespace."""
    namespace, own = resource["metadata"]["namespace"], resource["metadata"]["name"]
    found: dict[str, Neighbour] = {}
    for name in names:
        other = cache.model_deployment((namespace, name))
        if other is not None and name != own and not other["metadata"].get("deletionTimestamp"):
            found[name] = _neighbour(cache, other)
    return found


def claims(cache: Cache, resource: Mapping[str, Any]) -> dict[str, int]:
    """Return the replicas that other addresses need, by child name of this ModelDeployment."""
    meta = resource["metadata"]
    found: dict[str, int] = {}
    for other in cache.claimants((meta["namespace"], meta["name"])):
        for floor in other["status"]["traffic"]["floors"]:
            if floor.get("modelDeployment") == meta["name"]:
                key = str(floor["name"])
                found[key] = max(found.get(key, 0), int(floor.get("replicas") or 0))
    return found


def experiment(
    cache: Cache, resource: Mapping[str, Any]
) -> tuple[Split | None, Pinned | None, frozenset[str]]:
    """Return what Experiments want of this ModelDeployment.

    Returns:
        The split of its address, the revision that has to stay, and whose revisions are arms.
    """
    meta = resource["metadata"]
    experiments = cache.experiments(meta["namespace"])
    split = target.wanted_split(meta["name"], experiments)
    pin = target.pinned(meta["name"], experiments)
    arms: frozenset[str] = frozenset()
    for each in experiments:
        if split is not None and each["metadata"]["name"] == split.experiment:
            arms = target.named(each)
    if pin is None:
        return split, None, arms
    waiting = Finding(reason=pin.reason.value, message=pin.message, stalled=False)
    return split, Pinned(revision=pin.revision, waiting=waiting), arms


def _neighbour(cache: Cache, other: Mapping[str, Any]) -> Neighbour:
    name = other["metadata"]["name"]
    there = Snapshot(resource=other, model={}, runtime={}, scaling={}, children=owned(cache, other))
    for entry in (other.get("status") or {}).get("revisions") or ():
        revision = from_status(entry)
        if revision is not None and revision.state is State.ACTIVE:
            replicas, ready = there.replicas(revision)
            key = revision.child_name(name)
            return Neighbour(name=name, key=key, replicas=replicas, ready=ready)
    return Neighbour(name=name, key=None)

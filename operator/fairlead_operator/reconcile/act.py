"""Making one object as it should be, and removing one that should not be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlead_operator.api.reasons import Reason
from fairlead_operator.kube.cache import owner_key
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.errors import ConflictError, ForbiddenError, InvalidError
from fairlead_operator.kube.kinds import BY_KIND
from fairlead_operator.planning import names
from fairlead_operator.planning.children import Manifest
from fairlead_operator.planning.diff import differences
from fairlead_operator.rollout.snapshot import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one manifest.

    Attributes:
        verb: `created`, `applied`, or empty where nothing had to be written.
        live: The object as the API server has it now.
        problem: Why it is not as it should be.
    """

    verb: str = ""
    live: dict[str, Any] | None = None
    problem: Finding | None = None


async def ensure(cluster: Cluster, manifest: Manifest, known: Mapping[str, Any] | None) -> Outcome:
    """Apply a manifest unless the live object says it already; never touch a stranger's object."""
    kind = BY_KIND[manifest["kind"]]
    meta = manifest["metadata"]
    live = known
    if live is None:
        # Not in the cache is not the same as not there: it may be somebody else's.
        live = await cluster.get(kind, meta["namespace"], meta["name"])
        if live is not None and not _ours(live, manifest):
            return Outcome(problem=_in_the_way(manifest, live))
    if live is not None and live["metadata"].get("deletionTimestamp"):
        return Outcome(problem=_going(manifest))  # its watch event brings us back sooner
    if live is not None and same(manifest, live):
        return Outcome(live=dict(live) if known is None else None)
    try:
        if live is None:  # not by force: somebody may make one of this name in this moment
            answer = await cluster.apply(kind, manifest, force=False)
        else:  # this very object: neither its successor nor, where it has gone, another one
            this = {**manifest, "metadata": {**meta, "uid": live["metadata"]["uid"]}}
            answer = await cluster.apply(kind, this)
    except InvalidError as error:
        if "metadata.uid" in str(error):  # how it says that this is another object by now
            raise ConflictError(str(error), status=error.status) from error
        return Outcome(problem=_refused(Reason.CHILD_INVALID, manifest, error))
    except ForbiddenError as error:
        return Outcome(problem=_refused(Reason.CHILD_FORBIDDEN, manifest, error))
    return Outcome(verb="created" if live is None else "applied", live=answer)


async def remove(cluster: Cluster, live: Mapping[str, Any]) -> None:
    """Delete one object of ours."""
    meta = live["metadata"]
    await cluster.delete(BY_KIND[live["kind"]], meta["namespace"], meta["name"], uid=meta["uid"])


def same(manifest: Manifest, live: Mapping[str, Any]) -> bool:
    """Whether the live object says everything the manifest does, and was made from just that."""
    applied = (live["metadata"].get("annotations") or {}).get(names.APPLIED_ANNOTATION)
    if applied != manifest["metadata"]["annotations"][names.APPLIED_ANNOTATION]:
        return False
    return not differences(manifest, live)


def _ours(live: Mapping[str, Any], manifest: Manifest) -> bool:
    meta = manifest["metadata"]
    owner = meta["ownerReferences"][0]
    return owner_key(live) == (meta["namespace"], owner["name"]) and any(
        reference.get("uid") == owner["uid"]
        for reference in live["metadata"].get("ownerReferences") or ()
    )


def _in_the_way(manifest: Manifest, live: Mapping[str, Any]) -> Finding:
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    owner = manifest["metadata"]["ownerReferences"][0]["name"]
    if owner_key(live) == (manifest["metadata"]["namespace"], owner):
        return _going(manifest)  # of a former ModelDeployment of this name: it is being collected
    owners = live["metadata"].get("ownerReferences") or ()
    owner = f" (owned by {owners[0]['kind']} {owners[0]['name']})" if owners else ""
    return Finding(
        reason=Reason.NAME_CONFLICT.value,
        message=f"{kind} {name} exists and is not ours{owner}: "
        "remove or rename it, or give this ModelDeployment another name",
        stalled=True,
    )


def _going(manifest: Manifest) -> Finding:
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    text = f"waits until the former {kind} {name} is gone"
    return Finding(reason=Reason.FORMER_OBJECT_GOING.value, message=text, stalled=False)


def _refused(reason: Reason, manifest: Manifest, error: Exception) -> Finding:
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    return Finding(
        reason=reason.value,
        message=f"the API server refuses {kind} {name}: {error}",
        stalled=reason is Reason.CHILD_INVALID,
    )

"""A revision: one exact model on one exact runtime, as `status.revisions` remembers it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from fairlead_operator.api.times import instant
from fairlead_operator.planning import names


class State(StrEnum):
    """Where a revision stands."""

    PROGRESSING = "Progressing"
    """Its pods start; it has no traffic while another revision is active."""
    ACTIVE = "Active"
    """It has the address."""
    DRAINING = "Draining"
    """The address has moved on; its connections end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One revision.

    Attributes:
        hash: Hex hash of the model and runtime as first seen.
        version: The label on metrics and responses.
        state: Where it stands.
        image: The runtime image, frozen: a new operator's default does not reach it.
        model: `spec.model` as first seen.
        runtime: `spec.runtime` as first seen.
        created_at: When it was first seen.
        required_replicas: Ready replicas that it needs before the address moves to it.
        digest: Digest of the model's bytes, once a pod has told it.
        size_bytes: Size of the model file, likewise.
        active_at: When it got the address.
        drain_until: When its pods may go.
        throughput_rps: Requests a second of one replica, as its validation measured.
        latency_p99_micros: Its latency, likewise.
    """

    hash: str
    version: str
    state: State
    image: str
    model: Mapping[str, Any]
    runtime: Mapping[str, Any]
    created_at: str
    required_replicas: int = 1
    digest: str | None = None
    size_bytes: int | None = None
    active_at: str | None = None
    drain_until: str | None = None
    throughput_rps: int | None = None
    latency_p99_micros: int | None = None

    def child_name(self, owner: str) -> str:
        """Return the name of its Deployment, headless Service and HPA."""
        return names.revision_name(owner, self.hash)

    def to(self, state: State, **changes: Any) -> Revision:  # noqa: ANN401 - field values
        """Return this revision in another state."""
        return replace(self, state=state, **changes)


def revision_hash(model: Mapping[str, Any], runtime: Mapping[str, Any], salt: int = 0) -> str:
    """Return the hash of a revision (16 hex digits of SHA-256 over canonical JSON).

    The hash is an identity, made once: a revision is recognised by comparing specs, so a field
    with a default that a later version adds makes no new revision.
    """
    document: dict[str, Any] = {"model": model, "runtime": runtime}
    if salt:
        document["salt"] = salt
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def from_status(entry: Mapping[str, Any]) -> Revision | None:
    """Read a revision from status; None where the entry makes no sense to this version.

    A state that only a newer operator knows is one between pods and traffic: a candidate.
    """
    try:
        for field in ("createdAt", "drainUntil"):
            if entry.get(field):
                instant(str(entry[field]))
        known = entry["state"] in set(State)
        return Revision(
            hash=str(entry["hash"]),
            version=str(entry["version"]),
            state=State(entry["state"]) if known else State.PROGRESSING,
            image=str(entry["image"]),
            model=dict(entry["model"]),
            runtime=dict(entry.get("runtime") or {}),
            created_at=str(entry["createdAt"]),
            required_replicas=int(entry.get("requiredReplicas") or 1),
            digest=entry.get("digest"),
            size_bytes=entry.get("sizeBytes"),
            active_at=entry.get("activeAt"),
            drain_until=entry.get("drainUntil"),
            throughput_rps=entry.get("throughputRps"),
            latency_p99_micros=entry.get("latencyP99Micros"),
        )
    except (AttributeError, KeyError, ValueError, TypeError):
        return None


def to_status(revision: Revision, owner: str, replicas: int, ready: int) -> dict[str, Any]:
    """Write a revision to status."""
    entry: dict[str, Any] = {
        "hash": revision.hash,
        "name": revision.child_name(owner),
        "version": revision.version,
        "state": revision.state.value,
        "image": revision.image,
        "model": dict(revision.model),
        "runtime": dict(revision.runtime),
        "createdAt": revision.created_at,
        "requiredReplicas": revision.required_replicas,
        "replicas": replicas,
        "readyReplicas": ready,
    }
    optional = {
        "digest": revision.digest,
        "sizeBytes": revision.size_bytes,
        "activeAt": revision.active_at,
        "drainUntil": revision.drain_until,
        "throughputRps": revision.throughput_rps,
        "latencyP99Micros": revision.latency_p99_micros,
    }
    entry.update({key: value for key, value in optional.items() if value is not None})
    return entry

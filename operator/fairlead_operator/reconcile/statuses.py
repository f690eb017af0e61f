"""Writing the status of a resource of either kind, and the Events that the step deserves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fairlead_operator.api.conditions import Note
from fairlead_operator.kube import events
from fairlead_operator.kube.cache import Cache
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.kinds import Kind
from fairlead_operator.telemetry import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Statuses:
    """Writes statuses.

    Attributes:
        cluster: Where they are written.
        cache: Sees what was written at once.
        metrics: Counts the writes.
        identity: Who the Events say that they are from.
    """

    cluster: Cluster
    cache: Cache
    metrics: Metrics
    identity: str

    async def write(
        self,
        kind: Kind,
        resource: Mapping[str, Any],
        status: Mapping[str, Any],
        notes: Iterable[Note],
    ) -> None:
        """Write a status on the very version of the resource that was read, then post the notes.

        Raises:
            ConflictError: The resource has changed since.
            KubeError: The API server could not be asked, or refused.
        """
        meta = resource["metadata"]
        body = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {
                "name": meta["name"],
                "namespace": meta["namespace"],
                "resourceVersion": meta["resourceVersion"],
            },
            "status": status,
        }
        live = await self.cluster.apply(kind, body, "status")
        self.cache.observe(live)
        self.metrics.writes.labels(kind.kind, "status").inc()
        for note in notes:
            await events.post(
                self.cluster,
                live,
                instance=self.identity,
                reason=note.reason,
                note=note.message,
                action="Reconcile",
                warning=note.warning,
            )

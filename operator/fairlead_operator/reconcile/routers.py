"""Asking router pods what they have taken, and telling their kubelets to look at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from fairlead_operator.api.reasons import Reason
from fairlead_operator.evidence import routers
from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.errors import ConflictError, ForbiddenError, NotFoundError
from fairlead_operator.kube.kinds import POD
from fairlead_operator.planning import names, router
from fairlead_operator.rollout.addressing import Kick
from fairlead_operator.rollout.snapshot import Finding
from fairlead_operator.traffic.states import Router

Pods = Sequence[Mapping[str, Any]]
ReadRouters = Callable[[Pods], Awaitable[tuple[Router, ...]]]
"""Asks router pods; one that cannot be asked is in the answer all the same."""


def reader(scraper: Scraper) -> ReadRouters:
    """Return how router pods are asked: by their published statistics."""

    async def read(pods: Pods) -> tuple[Router, ...]:
        asked = [
            routers.RouterPod(
                name=pod["metadata"]["name"],
                ip=str((pod.get("status") or {}).get("podIP") or ""),
                ready=ready(pod),
                port=router.METRICS_PORT,
            )
            for pod in pods
        ]
        found = await routers.observe(asked, scraper)
        return tuple(
            dataclasses.replace(each, going=going(pod))
            for each, pod in zip(found, pods, strict=True)
        )

    return read


def ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod gets new connections."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return not going(pod) and any(
        each.get("type") == "Ready" and each.get("status") == "True" for each in conditions
    )


def going(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is being deleted."""
    return bool(pod["metadata"].get("deletionTimestamp"))


async def tell(cluster: Cluster, namespace: str, kick: Kick) -> Finding | None:
    """Annotate a router's pod, so that its kubelet looks at the ConfigMap now and not in a minute.

    Returns:
        Why that is not possible, if it is not; a pod that has gone meanwhile is no reason.
    """
    meta = {"uid": kick.uid, "annotations": {names.ROUTER_ANNOTATION: kick.value}}
    try:
        await cluster.merge(POD, namespace, kick.pod, {"metadata": meta})
    except (NotFoundError, ConflictError):
        return None
    except ForbiddenError as error:
        text = f"the API server refuses to annotate Pod {kick.pod}: {error}"
        return Finding(reason=Reason.CHILD_FORBIDDEN.value, message=text, stalled=False)
    return None

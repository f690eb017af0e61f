"""Reading the evidence of a rollout: the pods of both revisions and of the router."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from fairlead_operator.evidence.direct import Direct, Pods, model_pod
from fairlead_operator.evidence.routers import RouterPod
from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.planning import names, router
from fairlead_operator.reconcile.routers import going, ready
from fairlead_operator.traffic.counts import Window

Count = Callable[[str, Pods | None, dt.datetime], Awaitable[Window | None]]
"""Counts an address's pods since an instant; without pods it is forgotten."""


async def nobody(_: str, __: Pods | None, ___: dt.datetime) -> None:
    """Count nothing."""


def counter(scraper: Scraper) -> Count:
    """Return how evidence is read: from the pods themselves."""
    direct = Direct(scraper)

    async def count(address: str, found: Pods | None, since: dt.datetime) -> Window | None:
        if found is None:
            direct.forget(address)
            return None
        return (await direct.read(address, found, since)).window()

    return count


def pods(
    keys: tuple[str, str],
    routers: Sequence[Mapping[str, Any]],
    models: Sequence[Mapping[str, Any]],
) -> Pods:
    """Return the pods to read: those that are going have said what they had to say.

    Args:
        keys: The stable's and the candidate's child names.
        routers: The router's pods.
        models: The pods of all revisions.
    """
    arms = {key.rpartition("-")[2]: key for key in keys}
    return Pods(
        keys=keys,
        routers=tuple(
            RouterPod(
                name=pod["metadata"]["name"],
                ip=str((pod.get("status") or {}).get("podIP") or ""),
                ready=ready(pod),
                port=router.METRICS_PORT,
            )
            for pod in routers
            if not going(pod)
        ),
        models=tuple(
            model_pod(pod, arms[arm])
            for pod in models
            if not going(pod)
            and (arm := (pod["metadata"].get("labels") or {}).get(names.REVISION_LABEL)) in arms
        ),
    )

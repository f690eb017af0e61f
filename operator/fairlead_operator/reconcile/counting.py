"""Reading the evidence of a rollout: the pods of both revisions and of the router."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from fairlead_operator.evidence import compared, saved
from fairlead_operator.evidence.compared import Comparison
from fairlead_operator.evidence.direct import Direct, Pods, model_pod
from fairlead_operator.evidence.ledger import Ledger
from fairlead_operator.evidence.routers import RouterPod
from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.planning import names, router
from fairlead_operator.planning.podtemplate import METRICS_PORT
from fairlead_operator.reconcile.routers import going, ready
from fairlead_operator.rollout.quality import Compared
from fairlead_operator.traffic.counts import Window

TOLERANCE_MILLI = 1
"""Numbers of compared answers may differ by so many thousandths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What was counted for a rollout.

    Attributes:
        window: Counts of both revisions.
        mirror: Answers to copies, compared; None where nobody gets copies.
        readings: What it was counted from, in a form for status: another operator goes on with it.
    """

    window: Window
    mirror: Compared | None = None
    readings: str = ""


class Count(Protocol):
    """Who counts an address's pods."""

    async def __call__(
        self,
        address: str,
        pods: Pods | None,
        since: dt.datetime,
        *,
        compare: bool,
        readings: str = "",
    ) -> Counted | None:
        """Return what was counted since an instant.

        Args:
            address: `namespace/name`; what the counts are kept under.
            pods: The pods; None forgets the address.
            since: What happened before is not counted.
            compare: Whether answers to copies are compared as well.
            readings: `Counted.readings` as status has it, for who does not know the address yet.
        """


async def nobody(
    address: str,  # noqa: ARG001
    pods: Pods | None,  # noqa: ARG001
    since: dt.datetime,  # noqa: ARG001
    *,
    compare: bool,  # noqa: ARG001
    readings: str = "",  # noqa: ARG001
) -> Counted | None:
    """Count nothing."""
    return None


class Provider(Protocol):
    """Where an address's counts come from: `Direct` or `Prometheus`."""

    stale_after_s: float
    """Counts that are older pass nothing."""

    async def read(self, address: str, pods: Pods, since: dt.datetime) -> Ledger:
        """Return what was counted since an instant; where nobody can be asked, what was known."""

    def knows(self, address: str) -> bool:
        """Whether an address has been read, or restored, and not been forgotten."""

    def restore(self, address: str, ledger: Ledger) -> None:
        """Go on with a ledger that was stored, whoever counted it."""

    def forget(self, address: str) -> None:
        """Count an address no more."""


class Counter:
    """Counts by a provider; what was counted before a restart is in status."""

    def __init__(self, scraper: Scraper, provider: Provider | None = None) -> None:
        """Say who reads.

        Args:
            scraper: Who reads answers to copies, from the pods themselves.
            provider: Who counts; by default the same, from the same pods.
        """
        self._scraper = scraper
        self._provider = provider or Direct(scraper)
        self._compared: dict[str, Comparison] = {}

    async def __call__(
        self,
        address: str,
        pods: Pods | None,
        since: dt.datetime,
        *,
        compare: bool,
        readings: str = "",
    ) -> Counted | None:
        """Return what was counted since an instant."""
        if pods is None or not compare:
            self._compared.pop(address, None)
        if pods is None:
            self._provider.forget(address)
            return None
        if not self._provider.knows(address) and (known := saved.unpack(readings)) is not None:
            self._provider.restore(address, known)
        ledger = await self._provider.read(address, pods, since)
        window = replace(ledger.window(), stale_after_s=self._provider.stale_after_s)
        mirror = await self._answers(address, pods, since, window.end) if compare else None
        return Counted(window=window, mirror=mirror, readings=saved.pack(ledger))

    async def _answers(
        self, address: str, pods: Pods, since: dt.datetime, end: dt.datetime
    ) -> Compared:
        mine, theirs = (
            [
                compared.target(pod.name, pod.ip, METRICS_PORT)
                for pod in pods.models
                if pod.ready and pod.arm == key
            ]
            for key in pods.keys[:2]
        )
        known = self._compared.get(address) or Comparison(begin=since)
        grown, _ = await compared.read(
            known, mine, theirs, self._scraper, tolerance_milli=TOLERANCE_MILLI
        )
        self._compared[address] = grown
        found = grown.found
        return Compared(
            pairs=found.rows + found.mismatched,
            differing=found.differing_rows + found.mismatched,
            end=end,
        )


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
                created=dt.datetime.fromisoformat(pod["metadata"]["creationTimestamp"]),
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

"""Evidence read from the pods themselves: the provider that needs nothing else in the cluster."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairlead_operator.evidence import ledger as ledgers
from fairlead_operator.evidence import modelpage, routerpage
from fairlead_operator.evidence.drift import inner_port
from fairlead_operator.evidence.exposition import ExpositionError
from fairlead_operator.evidence.ledger import Ledger
from fairlead_operator.evidence.readings import Life, Reading
from fairlead_operator.evidence.routers import RouterPod
from fairlead_operator.evidence.scrape import Page, Scraper, Target, Unread
from fairlead_operator.traffic.counts import STALE_AFTER_S

HTTP_PORT = 8080
"""Where a model pod's `/metrics` is, if it has no port for it alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPod:
    """A model pod that is not being deleted.

    Attributes:
        name: The pod's name.
        ip: Its address; empty where it has none yet.
        arm: The arm whose pod it is.
        ready: Whether it gets requests; one that is not need not answer.
        created: When it was created.
        restarts: How often its containers were started again.
        out_of_memory: Whether the last one that ended was killed for want of memory.
        port: Where its metrics are.
    """

    name: str
    ip: str
    arm: str
    ready: bool
    created: dt.datetime
    restarts: int = 0
    out_of_memory: bool = False
    port: int = HTTP_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """The pods of one address.

    Attributes:
        keys: Keys of the arms that are counted, mirrored ones included; the first is the control.
        routers: The router's pods; none while nothing is split.
        models: The model pods of these arms.
    """

    keys: tuple[str, ...]
    routers: Sequence[RouterPod] = field(default_factory=tuple)
    models: Sequence[ModelPod] = field(default_factory=tuple)

    @property
    def names(self) -> list[str]:
        """All pods, routers first."""
        return [*(pod.name for pod in self.routers), *(pod.name for pod in self.models)]

    @property
    def ready(self) -> list[str]:
        """Those that should answer."""
        routers = (pod.name for pod in self.routers if pod.ready)
        return [*routers, *(pod.name for pod in self.models if pod.ready)]


def model_pod(manifest: Mapping[str, Any], arm: str) -> ModelPod:
    """Return what is needed of a pod as the API gives it.

    Args:
        manifest: The pod.
        arm: The arm whose pod it is.
    """
    status = manifest.get("status") or {}
    containers = status.get("containerStatuses") or []
    ended = [(each.get("lastState") or {}).get("terminated") or {} for each in containers]
    ready = [each["status"] for each in status.get("conditions") or [] if each["type"] == "Ready"]
    return ModelPod(
        name=manifest["metadata"]["name"],
        ip=status.get("podIP", ""),
        arm=arm,
        ready=ready == ["True"],
        created=dt.datetime.fromisoformat(manifest["metadata"]["creationTimestamp"]),
        restarts=sum(int(each.get("restartCount", 0)) for each in containers),
        out_of_memory=any(each.get("reason") == "OOMKilled" for each in ended),
        port=inner_port(manifest.get("spec") or {}) or HTTP_PORT,
    )


def lives(pods: Pods) -> list[Life]:
    """Return what the cluster says about the model pods' containers."""
    return [
        Life(
            pod=pod.name,
            arm=pod.arm,
            created=pod.created,
            restarts=pod.restarts,
            out_of_memory=pod.out_of_memory,
        )
        for pod in pods.models
    ]


async def read(ledger: Ledger, pods: Pods, scraper: Scraper) -> Ledger:
    """Read all pods side by side and return the ledger with what they counted."""
    targets = [
        Target(pod=pod.name, ip=pod.ip, port=pod.port, path=routerpage.PATH) for pod in pods.routers
    ]
    targets += [
        Target(pod=pod.name, ip=pod.ip, port=pod.port, path=modelpage.PATH) for pod in pods.models
    ]
    pages = await scraper.read(targets)
    arms = {pod.name: pod.arm for pod in pods.models}
    readings = [
        reading
        for target, page in zip(targets, pages, strict=True)
        if (reading := _reading(target.pod, arms.get(target.pod), page)) is not None
    ]
    return ledger.advance(
        readings,
        lives(pods),
        keys=pods.keys,
        pods=pods.names,
        needed=pods.ready,
    )


class Direct:
    """Counts of several addresses, each since an instant of its own."""

    stale_after_s = STALE_AFTER_S

    def __init__(self, scraper: Scraper) -> None:
        self._scraper = scraper
        self._ledgers: dict[str, Ledger] = {}

    async def read(self, address: str, pods: Pods, since: dt.datetime) -> Ledger:
        """Read an address's pods and return what was counted since an instant, or a little later.

        Args:
            address: What the counts are kept under.
            pods: The pods.
            since: What happened before is not counted. Where it moves on, counting begins anew with
                the first reading after it: the counts of two splits are never added up.
        """
        known = self._ledgers.get(address) or ledgers.new(_now())
        grown = await read(known, pods, self._scraper)
        if grown.begin < since <= grown.end:
            grown = grown.again()
        self._ledgers[address] = grown
        return grown

    def knows(self, address: str) -> bool:
        """Whether an address has been read, or restored, and not been forgotten."""
        return address in self._ledgers

    def restore(self, address: str, ledger: Ledger) -> None:
        """Go on with a ledger that was stored, unless the address is known already."""
        self._ledgers.setdefault(address, ledger)

    def forget(self, address: str) -> None:
        """Count an address no more."""
        self._ledgers.pop(address, None)


def _reading(pod: str, arm: str | None, page: Page | Unread) -> Reading | None:
    if isinstance(page, Unread):
        return None
    try:
        if arm is None:
            return routerpage.reading(pod, page)
        return modelpage.reading(pod, arm, page)
    except ExpositionError:
        return None


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)

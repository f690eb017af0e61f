"""One replica at a time drains the queue: a `coordination.k8s.io` Lease decides which.

The official client's leader election is not used: it writes local time as UTC, ends the process
where the API server is away for a moment, and never gives a Lease back (docs/adr/0003).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import random
import time
from collections.abc import Callable
from typing import Any

from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.errors import ConflictError, KubeError, NotLeaderError
from fairlead_operator.kube.kinds import LEASE

DURATION_S = 15
RENEW_DEADLINE_S = 10
RETRY_S = 2
log = logging.getLogger(__name__)


class Lease:
    """Acquires and renews the Lease; `check` is asked before each write.

    Another replica's Lease counts as expired when it has not changed for its duration as measured
    by *this* replica's monotonic clock, so skewed clocks do no harm (client-go does the same).
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        namespace: str,
        name: str,
        identity: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._monotonic = monotonic
        self._renewed_at: float | None = None
        self._seen: tuple[str, float] = ("", 0.0)
        self._held_since: float | None = None
        self.acquired = asyncio.Event()

    def held(self) -> bool:
        """Whether this replica holds the Lease now, by its own clock."""
        if self._renewed_at is None:
            return False
        return self._monotonic() - self._renewed_at < RENEW_DEADLINE_S

    def held_for_s(self) -> float:
        """Return for how many seconds this replica has held the Lease without a break."""
        if self._held_since is None or not self.held():
            return 0.0
        return self._monotonic() - self._held_since

    def check(self) -> None:
        """Raise NotLeaderError unless this replica holds the Lease."""
        if not self.held():
            raise NotLeaderError("this replica does not hold the Lease")

    async def run(self) -> None:
        """Try to acquire, then renew, until cancelled; then give the Lease back."""
        try:
            while True:
                await self.step()
                await asyncio.sleep(RETRY_S * (1 + 0.2 * random.random()))  # noqa: S311
        finally:
            with contextlib.suppress(KubeError, TimeoutError):
                async with asyncio.timeout(3):
                    await asyncio.shield(self._release())

    async def step(self) -> None:
        """Acquire or renew once; a failure is logged and tried again by the next step."""
        started = self._monotonic()
        try:
            async with asyncio.timeout(RENEW_DEADLINE_S):
                won = await self._try()
        except (KubeError, TimeoutError) as error:
            if not isinstance(error, ConflictError):
                log.warning("cannot renew the Lease: %s", error)
            won = False
        if won:
            if not self.acquired.is_set():
                log.info("holding the Lease %s/%s", self._namespace, self._name)
                self._held_since = started
            self._renewed_at = started
            self.acquired.set()
        elif not self.held() and self.acquired.is_set():
            log.warning("lost the Lease %s/%s", self._namespace, self._name)
            self.acquired.clear()

    async def _try(self) -> bool:
        lease = await self._cluster.get(LEASE, self._namespace, self._name)
        if lease is None:
            await self._cluster.create(LEASE, self._namespace, self._fresh({}))
            return True
        spec: dict[str, Any] = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder not in ("", self._identity):
            version = str(lease["metadata"].get("resourceVersion"))
            if version != self._seen[0]:
                self._seen = (version, self._monotonic())
            duration = float(spec.get("leaseDurationSeconds") or DURATION_S)
            if self._monotonic() - self._seen[1] < duration:
                return False
        body = self._fresh(spec)
        body["metadata"]["resourceVersion"] = lease["metadata"]["resourceVersion"]
        await self._cluster.replace(LEASE, body)
        return True

    async def _release(self) -> None:
        if not self.held():
            return
        self._renewed_at = None
        self.acquired.clear()
        lease = await self._cluster.get(LEASE, self._namespace, self._name)
        if lease and (lease.get("spec") or {}).get("holderIdentity") == self._identity:
            body = self._fresh(lease["spec"], holder="")
            body["metadata"]["resourceVersion"] = lease["metadata"]["resourceVersion"]
            body["spec"]["leaseDurationSeconds"] = 1
            await self._cluster.replace(LEASE, body)

    def _fresh(self, spec: dict[str, Any], *, holder: str | None = None) -> dict[str, Any]:
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        ours = spec.get("holderIdentity") == self._identity
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity if holder is None else holder,
                "leaseDurationSeconds": DURATION_S,
                "acquireTime": (spec.get("acquireTime") if ours else None) or now,
                "renewTime": now,
                "leaseTransitions": int(spec.get("leaseTransitions") or 0) + (0 if ours else 1),
            },
        }

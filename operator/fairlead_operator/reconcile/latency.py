"""The column P99: what a model's pods tell of their latency, looked at once a minute.

It is for people. Rollouts and Experiments are judged by what the routers counted, not by this: a
pod that hangs says nothing.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fairlead_operator.evidence import direct
from fairlead_operator.evidence import ledger as ledgers
from fairlead_operator.evidence.direct import Pods, model_pod
from fairlead_operator.evidence.ledger import Ledger
from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.errors import KubeError
from fairlead_operator.kube.kinds import POD
from fairlead_operator.planning import names
from fairlead_operator.reconcile.looking import Looked, forget
from fairlead_operator.rollout.revision import Revision
from fairlead_operator.rollout.snapshot import Snapshot
from fairlead_operator.stats.histogram import Histogram
from fairlead_operator.traffic.counts import Counts

READ_EVERY_S = 60.0
LOOKS = 5
"""The value is of so many looks: five minutes."""
LEAST = 100
"""Fewer predictions than this have no 99th percentile."""
_MOST_DOUBLINGS = 2
_NOTHING = Counts()
ReadCounts = Callable[[Ledger, Pods], Awaitable[Ledger]]
"""Reads pods and returns the ledger with what they have counted since."""


def reader(scraper: Scraper) -> ReadCounts:
    """Return how pods are read."""

    async def read(known: Ledger, pods: Pods) -> Ledger:
        return await direct.read(known, pods, scraper)

    return read


@dataclass(slots=True)
class _Known(Looked):
    """What is remembered of one revision."""

    ledger: Ledger | None = None
    looks: deque[Counts] = field(default_factory=lambda: deque(maxlen=LOOKS))
    quiet: int = 0
    edge_ms: float | None = None
    """What is shown: the upper edge of a bucket."""

    @property
    def every_s(self) -> float:
        """How often pods are read: seldom while nobody asks them anything."""
        return READ_EVERY_S * (1 << min(self.quiet, _MOST_DOUBLINGS))


class LatencyKeeper:
    """Remembers the last minutes of each model; what it forgets with the process comes again."""

    def __init__(self, cluster: Cluster, read: ReadCounts | None) -> None:
        self._cluster, self._read = cluster, read
        self._known: dict[tuple[str, str], _Known] = {}

    async def observe(
        self, snapshot: Snapshot, revision: Revision | None, now: dt.datetime
    ) -> str | None:
        """Return the p99 of the revision that has the address, in words such as `25ms`.

        Args:
            snapshot: What exists.
            revision: The revision; None where none has the address.
            now: The instant of the pass.

        Returns:
            Empty where too little is asked to tell; None where nothing is known yet.
        """
        if self._read is None or revision is None or snapshot.replicas(revision)[1] == 0:
            return None
        key = (str(snapshot.resource["metadata"]["uid"]), revision.hash)
        known = self._known.setdefault(key, _Known())
        if known.due(now, known.every_s):
            with contextlib.suppress(KubeError):  # a column must not hold up a pass
                await self._look(known, self._read, snapshot, revision, now)
            forget(self._known, now)
        return _words(known)

    def wait_s(
        self, snapshot: Snapshot, revision: Revision | None, now: dt.datetime
    ) -> float | None:
        """Return when to look again; None where there is nothing to look at."""
        if revision is None:
            return None
        known = self._known.get((str(snapshot.resource["metadata"]["uid"]), revision.hash))
        return None if known is None else known.wait_s(now, known.every_s)

    async def _look(
        self,
        known: _Known,
        read: ReadCounts,
        snapshot: Snapshot,
        revision: Revision,
        now: dt.datetime,
    ) -> None:
        arm = revision.child_name(snapshot.name)
        selector = names.selector(snapshot.name, revision.hash)
        found = await self._cluster.list(
            POD,
            snapshot.resource["metadata"]["namespace"],
            labels=",".join(f"{label}={value}" for label, value in selector.items()),
        )
        models = [pod for pod in (model_pod(each, arm) for each in found) if pod.ready]
        begun = known.ledger or ledgers.new(now)
        grown = await read(begun, Pods(keys=(arm,), models=models))
        counts = grown.served.get(arm, _NOTHING)
        if known.ledger is not None:
            if not counts.requests:
                known.looks.clear()  # what was measured before is old
            known.looks.append(counts)
            known.quiet = 0 if counts.requests else known.quiet + 1
        known.ledger = grown.again()


def _words(known: _Known) -> str | None:
    if not known.looks:
        return None
    latency = sum(known.looks, _NOTHING).latency
    if latency is None or latency.count < LEAST:
        known.edge_ms = None
        return ""
    low, high, most = (_edge(latency, share) for share in (0.98, 0.99, 0.995))
    # A p99 at the edge of two buckets would be now the one and now the other, at a write each time.
    if known.edge_ms is None or not low <= known.edge_ms <= most:
        known.edge_ms = high
    if math.isinf(known.edge_ms):
        return f">{math.ceil(latency.edges[-1])}ms"
    return f"{math.ceil(known.edge_ms)}ms"


def _edge(latency: Histogram, share: float) -> float:
    """Return the upper edge of the bucket that holds a quantile; infinite beyond the last."""
    bounds = latency.quantile_bounds(share)
    return math.inf if bounds is None else bounds.high

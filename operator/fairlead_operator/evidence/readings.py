"""What was read from one pod at one instant: its raw counters, which only grow while it runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from fairlead_operator.stats.histogram import Histogram
from fairlead_operator.traffic.counts import coarser


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Counters that begin together and are read together.

    Attributes:
        numbers: Counters by name; one that is not there is 0.
        latency: Milliseconds, in buckets; None where nothing was measured yet.
    """

    numbers: Mapping[str, int] = field(default_factory=dict)
    latency: Histogram | None = None

    def since(self, before: Group) -> Group | None:
        """Return what was counted since; None where a counter fell, so that it began anew."""
        names = {*self.numbers, *before.numbers}
        grown = {name: self.numbers.get(name, 0) - before.numbers.get(name, 0) for name in names}
        if any(number < 0 for number in grown.values()):
            return None
        if before.latency is None:
            return Group(numbers=grown, latency=self.latency)
        if self.latency is None:
            return None
        # Of a reading that was stored only some edges may be left.
        edges = tuple(sorted({*self.latency.edges} & {*before.latency.edges}))
        now, then = coarser(self.latency, edges), coarser(before.latency, edges)
        buckets = tuple(a - b for a, b in zip(now.counts, then.counts, strict=True))
        if any(count < 0 for count in buckets):
            return None
        return Group(numbers=grown, latency=Histogram(edges, buckets))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The counters of one pod.

    Attributes:
        pod: The pod's name, which no later pod has.
        at: When it was asked.
        started: When its process began, as well as it can tell.
        arm: The arm whose pod it is; empty for a router.
        groups: The counters: of a router by its cluster, of a model pod one group.
    """

    pod: str
    at: dt.datetime
    started: dt.datetime
    arm: str = ""
    groups: Mapping[str, Group] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What the cluster says about the containers of one model pod.

    Attributes:
        pod: The pod's name.
        arm: The arm whose pod it is.
        created: When the pod was created.
        restarts: How often its containers were started again.
        out_of_memory: Whether the last one that ended was killed for want of memory.
    """

    pod: str
    arm: str
    created: dt.datetime
    restarts: int
    out_of_memory: bool = False

"""What one run has measured, as lines of `name: value` with the aims beside them."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bench import audit
from cluster.build import KUBERNETES_VERSION


@dataclass(slots=True, kw_only=True)
class Figures:
    """The measurements of one run.

    Attributes:
        count: ModelDeployments.
        children: Objects that the operator made for them, in all.
        converge_s: From the first create to the last Ready.
        converging: The operator's requests in that time.
        settling: Its requests from then until the rest began.
        rest_s: Length of the rest.
        resting: Its requests during the rest.
        load: The machine's load average before the run: what else it had to do.
        passes: Its passes until all were Ready, by outcome.
        cpu_s: Its CPU time until all were Ready.
        cpu_by_program_s: The CPU time of everything that took part, until all were Ready.
        cpu_at_rest_s: Its CPU time during the rest.
        peak_rss_mib: Its largest resident set up to the end of the rest.
        floor_s: How long the same children took without it; None where that was left out.
        floor_cpu_by_program_s: The CPU time of everything that took part in that.
    """

    count: int
    children: int = 0
    converge_s: float = 0.0
    converging: list[audit.Request] = field(default_factory=list)
    settling: list[audit.Request] = field(default_factory=list)
    rest_s: float = 0.0
    resting: list[audit.Request] = field(default_factory=list)
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    passes: dict[str, float] = field(default_factory=dict)
    cpu_s: float = 0.0
    cpu_by_program_s: dict[str, float] = field(default_factory=dict)
    cpu_at_rest_s: float = 0.0
    peak_rss_mib: float = 0.0
    floor_s: float | None = None
    floor_cpu_by_program_s: dict[str, float] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """Yield the report."""
        made = self.children / self.count
        yield (
            f"# {self.count} ModelDeployments at once; {os.cpu_count()} cores shared with the "
            f"whole control plane, {platform.machine()}, Python {platform.python_version()}, "
            f"Kubernetes {KUBERNETES_VERSION}; load average before: {self.load:.1f}"
        )
        yield f"seconds_to_converge: {self.converge_s:.1f}"
        yield "# aim: under 60"
        yield f"# CPU seconds in that time: {_programs(self.cpu_by_program_s)}"
        if self.floor_s is not None:
            yield f"seconds_to_converge_floor: {self.floor_s:.1f}"
            yield "# the same children made by plain HTTP: the controllers and kwok alone"
            yield f"# CPU seconds in that time: {_programs(self.floor_cpu_by_program_s)}"
        yield f"children_per_resource: {made:.2f}"
        yield f"writes_per_resource: {self._each(self._writes(self.converging))}"
        yield f"# aim: children and two status writes, {made + 2:.2f}"
        status = [request for request in self.converging if request.is_status_write]
        yield f"status_writes_per_resource: {self._each(status)}"
        yield "# aim: 2"
        events = [request for request in self.converging if request.is_event]
        yield f"events_per_resource: {self._each(events)}"
        reads = [request for request in self.converging if request.is_read]
        yield f"reads_per_resource: {self._each(reads)}"
        yield f"# reads: {audit.by_kind(reads)}"
        yield f"# writes: {audit.by_kind(self._writes(self.converging))}"
        refused = [request for request in self.converging if request.code >= 400]
        yield f"# answered with 4xx or 5xx (a read before a create is 404): {self._codes(refused)}"
        yield f"lease_requests: {sum(request.is_lease for request in self.converging)}"
        yield f"passes_per_resource: {sum(self.passes.values()) / self.count:.2f}"
        outcomes = ", ".join(f"{name} {number:.0f}" for name, number in self.passes.items())
        yield f"# passes: {outcomes}"
        yield f"cpu_seconds_per_resource: {self.cpu_s / self.count:.4f}"
        yield f"peak_rss_mib: {self.peak_rss_mib:.0f}"
        yield "# aim: under 200"
        yield f"writes_while_settling: {len(self._writes(self.settling))}"
        yield f"writes_at_rest: {len(self._writes(self.resting))}"
        yield "# aim: 0"
        quiet = [request for request in self.resting if request.is_read]
        yield f"reads_at_rest: {len(quiet)}"
        yield f"# over {self.rest_s:.0f} s of forced resyncs: {audit.by_kind(quiet)}"
        posted = sum(request.is_event for request in self.resting)
        yield f"events_at_rest: {posted}"
        yield f"lease_requests_at_rest: {sum(request.is_lease for request in self.resting)}"
        yield f"cpu_seconds_at_rest: {self.cpu_at_rest_s:.2f}"

    def _each(self, requests: list[audit.Request]) -> str:
        return f"{len(requests) / self.count:.2f}"

    @staticmethod
    def _writes(requests: list[audit.Request]) -> list[audit.Request]:
        return [request for request in requests if request.is_write]

    @staticmethod
    def _codes(requests: list[audit.Request]) -> str:
        codes = sorted({request.code for request in requests})
        counts = (f"{code}: {sum(r.code == code for r in requests)}" for code in codes)
        return ", ".join(counts) or "none"


def _programs(used: Mapping[str, float]) -> str:
    ranked = sorted(used.items(), key=lambda item: -item[1])
    each = ", ".join(f"{name} {seconds:.1f}" for name, seconds in ranked)
    return f"{sum(used.values()):.1f} in all: {each}"

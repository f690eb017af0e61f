"""The recorder's own metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counters, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.outcomes = self._counter(
            "outcomes", "Outcomes that were sent: accepted, duplicate or refused.", "result"
        )
        self.exposures = self._counter(
            "exposures",
            "Entries of access logs: new (a unit's first), again, fallback (the control answered "
            "for another arm), refused (no unit, or a variant that is none), unknown (no such "
            "experiment) or lost (the database took nothing).",
            "result",
        )
        self.pairs = Counter(
            "fairlead_recorder_pairs",
            "Predictions and outcomes: waiting (for the other half), joined (the pair is counted), "
            "duplicate, or skipped (cannot be compared).",
            ["kind", "result"],
            registry=self.registry,
        )
        self.requests = self._counter("requests", "Requests by status code.", "code")
        self.gaps = Counter(
            "fairlead_recorder_gap_seconds",
            "Time for which exposures were lost, found at the start.",
            registry=self.registry,
        )
        self.commits = Histogram(
            "fairlead_recorder_commit_seconds",
            "Time of a transaction, until it is durable.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.together = Histogram(
            "fairlead_recorder_commit_changes",
            "Changes that were written in one transaction.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self.registry,
        )
        self.waiting = Gauge(
            "fairlead_recorder_rows_waiting",
            "Rows that wait to be written.",
            registry=self.registry,
        )

    def committed(self, seconds: float, changes: int, _rows: int) -> None:
        """Count a transaction."""
        self.commits.observe(seconds)
        self.together.observe(changes)

    def _counter(self, name: str, text: str, label: str) -> Counter:
        return Counter(f"fairlead_recorder_{name}", text, [label], registry=self.registry)

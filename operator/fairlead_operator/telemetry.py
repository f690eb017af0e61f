"""The operator's own metrics, and logs as JSON lines that carry the resource's name."""

from __future__ import annotations

import datetime as dt
import logging
import sys
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from fairlead_operator.rollout.view import RolloutMove
from fairlead_operator.statusmetrics import Resources, Results

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class Metrics:
    """Counters of the control loop, on a registry of their own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.passes = Counter(
            "fairlead_operator_passes",
            "Passes over one resource: changed, unchanged, conflict, failed or not_leader.",
            ["outcome"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "fairlead_operator_pass_duration_seconds",
            "Duration of one pass.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        self.errors = Counter(
            "fairlead_operator_errors",
            "What went wrong, by reason: failed passes and resyncs, objects that are refused, "
            "evidence that cannot be read.",
            ["reason"],
            registry=self.registry,
        )
        self.writes = Counter(
            "fairlead_operator_writes",
            "Writes to the API server, by kind and verb.",
            ["kind", "verb"],
            registry=self.registry,
        )
        self.resyncs = Counter(
            "fairlead_operator_resyncs",
            "Full listings of everything that is watched: ok or failed.",
            ["outcome"],
            registry=self.registry,
        )
        self.resynced = Gauge(
            "fairlead_operator_resync_timestamp_seconds",
            "When the last full listing ended, in Unix time.",
            registry=self.registry,
        )
        self.resync_every = Gauge(
            "fairlead_operator_resync_interval_seconds",
            "How often there should be a full listing.",
            registry=self.registry,
        )
        self.leader = Gauge(
            "fairlead_operator_leader",
            "1 where this replica holds the Lease, else 0.",
            registry=self.registry,
        )
        self.resources = Gauge(
            "fairlead_operator_model_deployments",
            "ModelDeployments known to this replica.",
            registry=self.registry,
        )
        self._depth = Gauge(
            "fairlead_operator_queue_depth",
            "Keys that are due and wait for a worker.",
            registry=self.registry,
        )
        self.rollouts = Rollouts()
        self.known = Resources()
        self.results = Results()
        for each in (self.rollouts, self.known, self.results):
            self.registry.register(each)
        self._age = Gauge(
            "fairlead_operator_queue_age_seconds",
            "For how long the oldest due key has been waiting.",
            registry=self.registry,
        )

    def watch_queue(self, depth: Callable[[], int], age_s: Callable[[], float]) -> None:
        """Read the queue's depth and age whenever the metrics are scraped."""
        self._depth.set_function(depth)
        self._age.set_function(age_s)


class Rollouts(Collector):
    """What the gates of the rollouts under way say, as of the last pass."""

    def __init__(self) -> None:
        self._steps: dict[tuple[str, str], RolloutMove] = {}
        self.leads: Callable[[], bool] = lambda: True
        """Whether this replica decides; otherwise what it last saw is somebody else's past."""

    def show(self, key: tuple[str, str], step: RolloutMove | None) -> None:
        """Show a rollout's step; one without checks has none to show."""
        if step is None or not step.checks:
            self.forget(key)
        else:
            self._steps[key] = step

    def forget(self, key: tuple[str, str]) -> None:
        """Show a rollout no more."""
        self._steps.pop(key, None)

    def collect(self) -> Iterable[Metric]:
        """Return weight, values, limits, samples, ends of windows with their source, verdicts."""
        labels = ["namespace", "model_deployment"]
        weight = GaugeMetricFamily(
            "fairlead_rollout_weight_ratio", "The candidate's share of the traffic.", labels=labels
        )
        by_gate = [*labels, "gate"]
        value, limit, samples = (
            GaugeMetricFamily(f"fairlead_rollout_check_{name}", text, labels=by_gate)
            for name, text in (
                ("value", "What a gate measured, in the unit that status shows."),
                ("limit", "What a gate allows, in the same unit."),
                ("samples", "Requests, pairs or restarts that a gate's word rests on."),
            )
        )
        verdict = GaugeMetricFamily(
            "fairlead_rollout_check_verdict",
            "1 for what a gate says: Pass, Fail, Inconclusive, NoEvidence or Stale.",
            labels=[*by_gate, "verdict"],
        )
        end = GaugeMetricFamily(
            "fairlead_rollout_check_window_end_timestamp_seconds",
            "Until when a gate's source had been read, in seconds since 1970.",
            labels=[*by_gate, "source"],
        )
        for key, step in list(self._steps.items()) if self.leads() else ():
            weight.add_metric(list(key), step.slots / 10_000)
            for check in step.checks:
                mine = [*key, check.gate.value]
                for family, number in ((value, check.value), (limit, check.limit)):
                    if number is not None:
                        family.add_metric(mine, number)
                samples.add_metric(mine, check.samples)
                if check.end is not None:
                    end.add_metric([*mine, check.source], check.end.timestamp())
                if check.verdict is not None:
                    verdict.add_metric([*mine, check.verdict.value], 1)
        return [weight, value, limit, samples, end, verdict]


def about(obj_kind: str, namespace: str, name: str) -> dict[str, Any]:
    """Return a log record's `extra` that says which object a line is about.

    The names stand in a dictionary of their own because a record has a `name` already.
    """
    return {"about": {"kind": obj_kind, "namespace": namespace, "name": name}}


class JSONFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and every extra field."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        line: dict[str, object] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        extra = {
            key: value
            for key, value in record.__dict__.items()
            if key not in _STANDARD and not key.startswith("_")
        }
        subject = extra.pop("about", None)
        line |= extra | (subject if isinstance(subject, dict) else {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure_logging(level: str) -> None:
    """Send all logs to standard error as JSON lines, at this level and above."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)  # signals: not its own
    for chatty in ("aiohttp.access", "kopf", "asyncio"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))

"""Every metric of ours, out of the registries that the programs serve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from fairlead_operator.telemetry import Metrics as OperatorMetrics
from fairlead_recorder.http.telemetry import Metrics as RecorderMetrics
from fairlead_runtime.drift.gauges import collect
from fairlead_runtime.drift.monitor import Monitor
from fairlead_runtime.drift.reference import Draft
from fairlead_runtime.drift.watch import refusal
from fairlead_runtime.metrics.counters import Metrics as RuntimeMetrics
from fairlead_runtime.protocol.types import Signature, TensorSpec

_UNITS = (
    ("_timestamp_seconds", "Unix time"),
    ("_seconds", "seconds"),
    ("_seconds_total", "seconds"),
    ("_bytes", "bytes"),
    ("_info", "always 1"),
    ("_lift_ratio", "share: 0.1 is +10 %"),
    ("_lift_lower_ratio", "share"),
    ("_lift_upper_ratio", "share"),
    ("_ratio", "0 to 1"),
    ("_condition", "0 or 1"),
    ("_breached", "0 or 1"),
    ("_refused", "0 or 1"),
    ("_verdict", "0 or 1"),
    ("_leader", "0 or 1"),
    ("_phase", "0 or 1"),
    ("_p_value", "0 to 1"),
    ("input_drift", "standard deviations"),
    ("prediction_drift", "standard deviations"),
    ("drift_score", "see docs/drift.md"),
    ("experiment_value", "the metric's own"),
    ("check_value", "as in status"),
    ("check_limit", "as in status"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One metric.

    Attributes:
        name: As Prometheus stores it; of a histogram without `_bucket`, `_sum` and `_count`.
        type: counter, gauge or histogram.
        labels: Names of its labels.
        unit: What a value counts.
        meaning: A sentence.
    """

    name: str
    type: str
    labels: tuple[str, ...]
    unit: str
    meaning: str


def operator() -> list[Entry]:
    """Return the operator's metrics."""
    return _entries(OperatorMetrics().registry)


def recorder() -> list[Entry]:
    """Return the recorder's."""
    return _entries(RecorderMetrics().registry)


def runtime() -> list[Entry]:
    """Return the runtime's, those of drift included."""
    metrics = RuntimeMetrics(model_name="m", model_version="1")
    found = _entries(metrics.registry)
    return sorted([*found, *_of(_Drift())], key=lambda entry: entry.name)


class _Drift(Collector):
    """Drift of a model that has been asked often enough to have every series."""

    def collect(self) -> Iterator[object]:  # type: ignore[override]
        signature = Signature(
            inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, 1)),),
            outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1,)),),
        )
        rows = np.linspace(0, 1, 200, dtype=np.float32)
        draft = Draft(signature)
        for step in (draft.add, draft.count):
            step({"x": rows[:, None]}, {"y": rows})
        monitor = Monitor(draft.finish("sha256:" + "0" * 64), version="1")
        monitor.count({"x": rows[:, None]}, {"y": rows})
        yield refusal(refused=False)
        yield from collect(monitor)


def _entries(registry: CollectorRegistry) -> list[Entry]:
    found = [each for collector in registry._collector_to_names for each in _of(collector)]
    return sorted(found, key=lambda entry: entry.name)


def _of(collector: Collector) -> Iterator[Entry]:
    for metric in collector.collect():
        if metric.name.startswith(("process_", "python_")):
            continue  # the same of every program: the page says so once
        whose = collector if isinstance(collector, MetricWrapperBase) else metric
        labels: tuple[str, ...] = tuple(whose._labelnames)  # type: ignore[union-attr]
        name = metric.name + ("_total" if metric.type == "counter" else "")
        meaning = metric.documentation
        yield Entry(name, metric.type, labels, _unit(name), meaning)


def _unit(name: str) -> str:
    return next((unit for end, unit in _UNITS if name.endswith(end)), "count")

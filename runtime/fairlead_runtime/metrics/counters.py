"""The runtime's Prometheus metrics on a registry of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from fairlead_runtime.contract import names

_BUCKETS_S = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip


class Metrics:
    """Metrics of one model in one process."""

    def __init__(self, *, model_name: str, model_version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._name, self._version = model_name, model_version
        predictions = Counter(
            names.PREDICTIONS_TOTAL,
            "Prediction requests by outcome.",
            ["model_version", "status"],
            registry=self.registry,
        )
        self._success = predictions.labels(model_version, names.STATUS_SUCCESS)
        self._error = predictions.labels(model_version, names.STATUS_ERROR)
        self._latency = Histogram(
            names.PREDICTION_LATENCY_SECONDS,
            "Time from parsed request to answer.",
            ["model_version"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        ).labels(model_version)
        self._in_flight = Gauge(
            names.REQUESTS_IN_FLIGHT, "Requests that are being answered.", registry=self.registry
        )
        self._info = Gauge(
            names.MODEL_INFO,
            "The model that is served.",
            ["model_name", "model_version", "digest"],
            registry=self.registry,
        )
        self._load = Gauge(
            names.MODEL_LOAD_SECONDS,
            "Time that loading the model took.",
            registry=self.registry,
        )

    def loaded(self, *, digest: str, seconds: float) -> None:
        """Note that the model is loaded."""
        self._info.labels(self._name, self._version, digest).set(1)
        self._load.set(seconds)

    def succeeded(self, seconds: float) -> None:
        """Count an answered request."""
        self._success.inc()
        self._latency.observe(seconds)

    def failed(self) -> None:
        """Count a request that got an error."""
        self._error.inc()

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count a request as being answered meanwhile."""
        self._in_flight.inc()
        try:
            yield
        finally:
            self._in_flight.dec()

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

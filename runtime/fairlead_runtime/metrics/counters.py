"""The runtime's Prometheus metrics on a registry of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from fairlead_runtime.contract import names
from fairlead_runtime.metrics.tally import Distribution, Tallies, Tally
from fairlead_runtime.protocol.errors import Code

_BUCKETS_S = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
_SHORT_S = (0.00001, 0.000025, 0.00005, *_BUCKETS_S)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_DROPPED = ("queue_full", "queue_slow", "deadline", "cancelled", "connections", "bodies")
# What a prediction can end with: not what HTTP refuses before there is a request.
_CODES = tuple(Code)[: tuple(Code).index(Code.BAD_REQUEST)]
_UNSEEN = ("queue_full", "sink_failed", "event_failed", "log_full", "log_failed", "access_log")


class Metrics:
    """Metrics of one model in one process; written by the event loop, rendered in a thread.

    Attributes:
        answering: Requests that are being answered. Where `in_flight` costs too much they are
            counted here.
    """

    def __init__(self, *, model_name: str, model_version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._name, self._version = model_name, model_version
        self._success, self._error = Tally(), Tally()
        self._causes = {code: Tally() for code in _CODES}
        self._dropped = {reason: Tally() for reason in _DROPPED}
        self._split = Tally()
        self._unseen = {reason: Tally() for reason in _UNSEEN}
        self._checked, self._non_finite, self._logged = Tally(), Tally(), Tally()
        self._latency = Distribution(_BUCKETS_S)
        self._queue, self._inference = Distribution(_SHORT_S), Distribution(_SHORT_S)
        self._rows, self._requests = Distribution(_SIZES), Distribution(_SIZES)
        self.answering = 0
        self._waiting: Callable[[], int] = int
        self._register()
        self._info = Gauge(
            names.MODEL_INFO,
            "The model that is served.",
            ["model_name", "model_version", "digest"],
            registry=self.registry,
        )
        self._provider = Gauge(
            names.MODEL_PROVIDER_INFO,
            "Where the model was to run, and where it runs.",
            ["model_version", "asked", "used"],
            registry=self.registry,
        )
        self._load = Gauge(
            names.MODEL_LOAD_SECONDS,
            "Time that loading the model took.",
            registry=self.registry,
        )
        # One thread: rendering is rare, and two at a time would only take more from the model.
        self._renderer = ThreadPoolExecutor(1, thread_name_prefix="metrics")

    def _register(self) -> None:
        version = {"model_version": self._version}
        ours = Tallies()
        ours.counter(
            names.PREDICTIONS_TOTAL,
            "Prediction requests: success or error.",
            {
                (self._version, names.STATUS_SUCCESS): self._success,
                (self._version, names.STATUS_ERROR): self._error,
            },
            "model_version",
            "status",
        )
        ours.counter(
            names.PREDICTION_ERRORS_TOTAL,
            "Prediction requests that failed, by the code in the answer.",
            {(self._version, code.value): tally for code, tally in self._causes.items()},
            "model_version",
            "code",
        )
        ours.histogram(
            names.PREDICTION_LATENCY_SECONDS,
            "Time from parsed request to answer.",
            self._latency,
            version,
        )
        ours.gauge(
            names.REQUESTS_IN_FLIGHT, "Requests that are being answered.", lambda: self.answering
        )
        ours.gauge(names.REQUESTS_WAITING, "Requests that wait for the model.", self._read_waiting)
        ours.counter(
            names.REQUESTS_DROPPED_TOTAL,
            "Requests that were not run, and what was too much to become one.",
            {(reason,): tally for reason, tally in self._dropped.items()},
            "reason",
        )
        ours.counter(
            names.BATCHES_SPLIT_TOTAL,
            "Batches that failed and were run request by request.",
            {(): self._split},
        )
        ours.counter(
            names.OBSERVATIONS_DROPPED_TOTAL,
            "Answers that drift, logs and checks did not see.",
            {(reason,): tally for reason, tally in self._unseen.items()},
            "reason",
        )
        for name, text, tally in (
            (
                names.PREDICTIONS_CHECKED_TOTAL,
                "Answers looked at for NaN.",
                self._checked,
            ),
            (
                names.PREDICTIONS_NON_FINITE_TOTAL,
                "Answers with NaN, infinities.",
                self._non_finite,
            ),
            (names.PREDICTIONS_LOGGED_TOTAL, "Answers in the prediction log.", self._logged),
        ):
            ours.counter(name, text, {(self._version,): tally}, "model_version")
        for name, text, child in (
            (names.BATCH_ROWS, "Rows of each run of the model.", self._rows),
            (names.BATCH_REQUESTS, "Requests that ran together.", self._requests),
            (names.QUEUE_SECONDS, "Time that a request waited for the model.", self._queue),
            (names.INFERENCE_SECONDS, "Time in onnxruntime of each run.", self._inference),
        ):
            ours.histogram(name, text, child)
        self.registry.register(ours)

    def _read_waiting(self) -> int:
        return self._waiting()

    def loaded(self, *, digest: str, seconds: float) -> None:
        """Note that the model is loaded."""
        self._info.labels(self._name, self._version, digest).set(1)
        self._load.set(seconds)

    def provided(self, *, asked: str, used: str) -> None:
        """Note where the model runs."""
        self._provider.labels(self._version, asked, used).set(1)

    def succeeded(self, seconds: float) -> None:
        """Count an answered request."""
        self._success.value += 1
        self._latency.observe(seconds)

    def failed(self, code: Code) -> None:
        """Count a request that got an error, by what went wrong."""
        self._error.value += 1
        self._causes[code].value += 1

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count a request as being answered meanwhile."""
        self.answering += 1
        try:
            yield
        finally:
            self.answering -= 1

    def batch(self, *, requests: int, rows: int, seconds: float) -> None:
        """Note a run of the model."""
        self._requests.observe(requests)
        self._rows.observe(rows)
        self._inference.observe(seconds)

    def queued(self, seconds: float) -> None:
        """Note how long a request waited before it ran."""
        self._queue.observe(seconds)

    def dropped(self, reason: str) -> None:
        """Note a request that was not run: `queue_full`, `queue_slow`, `deadline`, `cancelled`.

        Or what never became one: `connections` beyond the limit, `bodies` beyond what may be held.
        """
        self._dropped[reason].value += 1

    def split_up(self) -> None:
        """Note a batch that failed and was run request by request."""
        self._split.value += 1

    def unseen(self, reason: str, count: int) -> None:
        """Count answers that no sink saw, or that are in no log.

        Each reason has one thread that counts it.
        """
        self._unseen[reason].value += count

    def checked(self, *, answers: int, non_finite: int) -> None:
        """Count answers that were looked at for NaN; one thread does that."""
        self._checked.value += answers
        self._non_finite.value += non_finite

    def logged(self, count: int) -> None:
        """Count answers that were written to the prediction log; one thread does that."""
        self._logged.value += count

    def watch_queue(self, waiting: Callable[[], int]) -> None:
        """Show what this returns as the number of waiting requests."""
        self._waiting = waiting

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    async def rendered(self) -> bytes:
        """Return the same from a thread: the event loop goes on serving meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._renderer, self.render)

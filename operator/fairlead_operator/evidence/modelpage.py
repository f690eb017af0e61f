"""The counters of a model pod out of its page."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable

from fairlead_operator.evidence.exposition import ExpositionError, Sample, samples
from fairlead_operator.evidence.readings import Group, Reading
from fairlead_operator.evidence.routerpage import ANSWERED, FAILED, histogram
from fairlead_operator.evidence.scrape import Page
from fairlead_runtime.contract import names

MODEL = "model"
"""The one group of a model pod."""
CHECKED, NON_FINITE = "checked", "non_finite"
"""Predictions whose numbers were looked at; those of them that hold NaN or an infinity."""
PATH = "/metrics"
_STARTED = "process_start_time_seconds"
_LATENCY = f"{names.PREDICTION_LATENCY_SECONDS}_bucket"
WANTED = re.compile(
    f"{_STARTED}|{_LATENCY}|{names.PREDICTIONS_TOTAL}"
    f"|{names.PREDICTIONS_CHECKED_TOTAL}|{names.PREDICTIONS_NON_FINITE_TOTAL}"
)
"""The metrics that are read."""


def reading(pod: str, arm: str, page: Page) -> Reading:
    """Return the counters of a model pod.

    Raises:
        ExpositionError: This is not a model's page.
    """
    return of_samples(pod, arm, page.at, samples(page.body, WANTED))


def of_samples(pod: str, arm: str, at: dt.datetime, found: Iterable[Sample]) -> Reading:
    """Return the counters of a model pod from samples of one instant.

    Raises:
        ExpositionError: They are not a model's.
    """
    started: float | None = None
    numbers = {ANSWERED: 0, FAILED: 0, CHECKED: 0, NON_FINITE: 0}
    buckets: dict[float, int] = {}
    for sample in found:
        value = sample.value
        if sample.name == _STARTED:
            started = value
        elif sample.name == _LATENCY:
            edge = round(1000 * float(sample.labels.get("le", "nan")), 6)
            buckets[edge] = buckets.get(edge, 0) + int(value)
        elif sample.name == names.PREDICTIONS_CHECKED_TOTAL:
            numbers[CHECKED] += int(value)
        elif sample.name == names.PREDICTIONS_NON_FINITE_TOTAL:
            numbers[NON_FINITE] += int(value)
        else:
            numbers[ANSWERED] += int(value)
            if sample.labels.get("status") == names.STATUS_ERROR:
                numbers[FAILED] += int(value)
    if started is None:
        raise ExpositionError(f"the page has no {_STARTED}: is this a model's metrics port?")
    return Reading(
        pod=pod,
        arm=arm,
        at=at,
        started=dt.datetime.fromtimestamp(started, dt.UTC),
        groups={MODEL: Group(numbers=numbers, latency=histogram(buckets))},
    )

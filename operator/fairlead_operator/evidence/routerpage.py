"""The counters of each cluster out of a router's page.

Envoy counts by cluster, and by zone within it: what an arm's own pods did is apart from what the
control's did in their place (`traffic.clusters`). gRPC's status is known for the cluster only.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable
from urllib.parse import quote

from fairlead_operator.evidence.exposition import ExpositionError, Sample, samples
from fairlead_operator.evidence.readings import Group, Reading
from fairlead_operator.evidence.scrape import Page
from fairlead_operator.stats.histogram import Histogram
from fairlead_operator.traffic.clusters import OWN, SPARE, ZONE

ANSWERED, FAILED, REFUSED = "answered", "failed", "refused"
"""Of the arm's own pods: finished requests; of them HTTP 5xx, resets and timeouts; HTTP 4xx."""
STOOD_IN, ALL_FAILED = "stood_in", "all_failed"
"""Requests that the control finished in the arm's place; HTTP 5xx of the whole cluster, which holds
those for which there was no pod at all."""
RETRIED, RETRIED_WELL = "retried", "retried_well"
"""Second tries; those of them that got an answer."""
GRPC_ENDED, GRPC_FAILED, GRPC_REFUSED = "grpc_ended", "grpc_failed", "grpc_refused"
"""gRPC calls of the cluster; of them by their status: the arm's fault, the caller's fault."""
BROKEN = "broken"
"""What failed by HTTP status or gRPC trailer, of one pod that gets copies."""

_GRPC_FAILURES = {2, 4, 8, 13, 14, 15}
"""UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, DATA_LOSS."""
_GRPC_REFUSALS = {3, 5, 6, 7, 9, 10, 11, 12, 16}
"""All others but OK and CANCELLED: the caller asked for what cannot be."""

# By Envoy's own names: a few kilobytes instead of half a megabyte.
_FILTER = (
    r"^server\.uptime$|"
    rf"^cluster\.[^.]+\.(zone\.{ZONE}\.({OWN}|{SPARE})\.upstream_rq_([2345]xx|time)"
    r"|upstream_rq_5xx|grpc\.\d+|upstream_rq_retry|upstream_rq_retry_success)$|"
    r"^cluster\.[^.]+_grpc_mirror\.endpoint\..*\.rq_error$"
)
PATH = f"/stats/prometheus?usedonly&filter={quote(_FILTER)}"
_ZONES = f"envoy_cluster_zone_{ZONE}"
_TIME = f"{_ZONES}_{OWN}_upstream_rq_time_bucket"
_GRPC = re.compile(r"envoy_cluster_grpc_(\d+)")
WANTED = re.compile(
    rf"envoy_server_uptime|{_ZONES}_({OWN}|{SPARE})_upstream_rq_xx|{_TIME}"
    r"|envoy_cluster_upstream_rq_(xx|retry|retry_success)|envoy_cluster_grpc_\d+"
    r"|envoy_cluster_endpoint_rq_error"
)
"""The metrics that are read, by Prometheus' names."""
_UPTIME_ERROR = dt.timedelta(seconds=1)  # Envoy tells whole seconds


def reading(pod: str, page: Page) -> Reading:
    """Return the counters of a router.

    Raises:
        ExpositionError: This is not a router's page.
    """
    return of_samples(pod, page.at, samples(page.body, WANTED))


def of_samples(pod: str, at: dt.datetime, found: Iterable[Sample]) -> Reading:
    """Return the counters of a router from samples of one instant.

    Raises:
        ExpositionError: They are not a router's.
    """
    uptime: float | None = None
    numbers: dict[str, dict[str, int]] = {}
    buckets: dict[str, dict[float, int]] = {}
    for sample in found:
        if sample.name == "envoy_server_uptime":
            uptime = sample.value
            continue
        cluster = sample.labels.get("envoy_cluster_name", "")
        if sample.name == _TIME:
            # Prometheus writes an edge's last digits in another way than Envoy.
            edge = round(float(sample.labels.get("le", "nan")), 6)
            buckets.setdefault(cluster, {})[edge] = int(sample.value)
            continue
        if sample.name == "envoy_cluster_endpoint_rq_error":
            # A group of its own: it goes with its pod, while the cluster stays.
            cluster += "@" + sample.labels.get("envoy_endpoint_address", "")
        mine = numbers.setdefault(cluster, {})
        for name in _meaning(sample):
            mine[name] = mine.get(name, 0) + int(sample.value)
    if uptime is None:
        raise ExpositionError("the page has no uptime: is this a router's metrics port?")
    groups = {
        cluster: Group(numbers=numbers.get(cluster, {}), latency=histogram(buckets.get(cluster)))
        for cluster in {*numbers, *buckets}
    }
    started = at - dt.timedelta(seconds=uptime) - _UPTIME_ERROR
    return Reading(pod=pod, at=at, started=started, groups=groups)


def histogram(cumulative: dict[float, int] | None) -> Histogram | None:
    """Return the histogram of Prometheus' buckets, by edge; None where there are none.

    Raises:
        ExpositionError: They are no histogram.
    """
    if not cumulative:
        return None
    edges = sorted(cumulative)
    if not math.isinf(edges[-1]):
        raise ExpositionError("a histogram has no bucket for everything")
    try:
        return Histogram.from_cumulative(
            tuple(edges[:-1]), tuple(cumulative[edge] for edge in edges)
        )
    except ValueError as error:
        raise ExpositionError(f"a histogram cannot be read: {error}") from error


def _meaning(sample: Sample) -> tuple[str, ...]:
    name = sample.name
    if name == "envoy_cluster_endpoint_rq_error":
        return (BROKEN,)
    if name == "envoy_cluster_upstream_rq_retry":
        return (RETRIED,)
    if name == "envoy_cluster_upstream_rq_retry_success":
        return (RETRIED_WELL,)
    if status := _GRPC.fullmatch(name):
        code = int(status[1])
        if code in _GRPC_FAILURES:
            return (GRPC_ENDED, GRPC_FAILED)
        return (GRPC_ENDED, GRPC_REFUSED) if code in _GRPC_REFUSALS else (GRPC_ENDED,)
    kind = sample.labels.get("envoy_response_code_class", "")
    if name == "envoy_cluster_upstream_rq_xx":
        return (ALL_FAILED,) if kind == "5" else ()
    if name == f"{_ZONES}_{SPARE}_upstream_rq_xx":
        return (STOOD_IN,)
    own = {"4": (ANSWERED, REFUSED), "5": (ANSWERED, FAILED)}
    return own.get(kind, (ANSWERED,))

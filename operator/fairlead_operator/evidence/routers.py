"""What each router pod has taken and how many clients it still has, from its published statistics.

The numbers of a router are the only proof that it carries out what was written: Envoy keeps its old
tables where new ones are broken, and tells nobody.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from fairlead_operator.evidence.exposition import ExpositionError, samples
from fairlead_operator.evidence.scrape import Page, Scraper, Target, Unread
from fairlead_operator.traffic import clusters
from fairlead_operator.traffic.documents import Versions
from fairlead_operator.traffic.routes import route_name
from fairlead_operator.traffic.states import Router

METRICS_PORT = 9902
"""Where a router publishes its statistics, and nothing else."""
_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)
_CDS = "envoy_cluster_manager_cds_version_text"
_LDS = "envoy_listener_manager_lds_version_text"
_RDS = "envoy_http_rds_version_text"
_CONNECTIONS = "envoy_http_downstream_cx_active"
_WANTED = re.compile(f"{_CDS}|{_LDS}|{_RDS}|{_CONNECTIONS}")
# Envoy filters by its own names: a page of one kilobyte instead of half a megabyte.
_FILTER = r"version_text$|^http\.[a-z]+\.downstream_cx_active$"
PATH = f"/stats/prometheus?text_readouts&filter={quote(_FILTER)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterPod:
    """A router pod that is not being deleted.

    Attributes:
        name: The pod's name.
        ip: Its address; empty where it has none yet.
        ready: Whether it gets new connections.
        port: Where it publishes its statistics.
        created: When it was created.
    """

    name: str
    ip: str
    ready: bool
    port: int = METRICS_PORT
    created: dt.datetime = _LONG_AGO


async def observe(pods: Sequence[RouterPod], scraper: Scraper) -> tuple[Router, ...]:
    """Return what is known about each router, in the same order; all are asked side by side."""
    targets = [Target(pod=pod.name, ip=pod.ip, port=pod.port, path=PATH) for pod in pods]
    pages = await scraper.read(targets)
    return tuple(_router(pod, page) for pod, page in zip(pods, pages, strict=True))


def live(page: bytes) -> tuple[Versions, int]:
    """Return the versions of what is live, and the clients' open connections.

    Raises:
        ExpositionError: This is not a router's page.
    """
    found: dict[str, str] = {}
    connections: dict[str, int] = {}
    for sample in samples(page, _WANTED):
        if sample.name == _CONNECTIONS:
            listener = sample.labels.get("envoy_http_conn_manager_prefix", "")
            connections[listener] = int(sample.value)
        else:
            table = sample.labels.get("envoy_rds_route_config", "")
            found[f"{sample.name} {table}".strip()] = sample.labels.get("text_value", "")
    if _CDS not in found or _LDS not in found:
        raise ExpositionError("the page has no versions: is this a router's metrics port?")
    versions = Versions(
        clusters=found[_CDS],
        listeners=found[_LDS],
        routes_http=found.get(f"{_RDS} {route_name('http')}", ""),
        routes_grpc=found.get(f"{_RDS} {route_name('grpc')}", ""),
    )
    # Scrapers and the kubelet are clients of the metrics listener: they do not count.
    return versions, sum(connections.get(each, 0) for each in clusters.PROTOCOLS)


def _router(pod: RouterPod, page: Page | Unread) -> Router:
    if isinstance(page, Unread):
        return Router(name=pod.name, ready=pod.ready)
    try:
        versions, connections = live(page.body)
    except ExpositionError:
        return Router(name=pod.name, ready=pod.ready)
    return Router(name=pod.name, ready=pod.ready, versions=versions, connections=connections)

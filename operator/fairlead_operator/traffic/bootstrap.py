"""What a router starts with: where its documents are, admin on loopback, histograms, arguments.

It does not depend on the split, so that a router pod lives through all of them.
"""

from __future__ import annotations

from typing import Any

from fairlead_operator.traffic import exposures, tracing
from fairlead_operator.traffic.clusters import ZONE
from fairlead_operator.traffic.listeners import ADMIN_CLUSTER, config_source
from fairlead_operator.traffic.split import Settings

_LONGEST_MS = 120_000
_MOST_CONNECTIONS = 50_000


def bootstrap(settings: Settings) -> dict[str, Any]:
    """Return Envoy's bootstrap document."""
    admin = {
        "socket_address": {"address": "127.0.0.1", "port_value": settings.admin_port},
    }
    return {
        "node": {"id": "router", "cluster": settings.name, "locality": {"zone": ZONE}},
        "admin": {"address": admin, "ignore_global_conn_limit": True},
        "dynamic_resources": {
            "lds_config": config_source(settings, "listeners.json"),
            "cds_config": config_source(settings, "clusters.json"),
        },
        "static_resources": {
            "clusters": [
                {
                    "name": ADMIN_CLUSTER,
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "load_assignment": {
                        "cluster_name": ADMIN_CLUSTER,
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": admin}}]}],
                    },
                },
                *exposures.clusters(settings),
                *tracing.clusters(settings),
            ]
        },
        "stats_config": {
            "histogram_bucket_settings": [
                {"match": {"suffix": suffix}, "buckets": buckets(settings.latency_limits_ms)}
                for suffix in ("upstream_rq_time", "downstream_rq_time")
            ]
        },
        "stats_flush_interval": "5s",
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": (
                            "type.googleapis.com/envoy.extensions.resource_monitors"
                            ".downstream_connections.v3.DownstreamConnectionsConfig"
                        ),
                        "max_active_downstream_connections": str(_MOST_CONNECTIONS),
                    },
                }
            ]
        },
    }


def buckets(limits_ms: tuple[int, ...] = ()) -> list[float]:
    """Return histogram edges in milliseconds: 10 % apart, and each limit that is judged by.

    Envoy measures whole milliseconds, so below 10 the edges are those.
    """
    edges = {float(ms) for ms in range(1, 11)} | {float(ms) for ms in limits_ms if ms > 0}
    edge = 10.0
    while edge < _LONGEST_MS:
        edge *= 1.1
        edges.add(float(round(edge, 1) if edge < 100 else round(edge)))
    return sorted(edges)


def arguments(settings: Settings, file: str) -> list[str]:
    """Return Envoy's command line.

    Args:
        settings: The router's settings.
        file: Where the bootstrap document is.
    """
    return [
        "--config-path",
        file,
        "--concurrency",
        str(settings.workers),
        # Nobody restarts Envoy in place, and as a child it would end with its parent.
        "--disable-hot-restart",
        # A changed listener ends the connections that it had within their usual age.
        "--drain-time-s",
        str(settings.connection_age_s),
        "--drain-strategy",
        "gradual",
        "--log-level",
        "warning",
    ]

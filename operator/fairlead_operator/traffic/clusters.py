"""Envoy's clusters: the pods of each arm, with the control's as a lower priority.

Cluster names hold an underscore, which no DNS label does, and no dot, at which Envoy's statistics
would cut them.
"""

from __future__ import annotations

from typing import Any

from fairlead_operator.traffic.split import Arm, Settings, Split
from fairlead_runtime.contract import names

Json = dict[str, Any]
METADATA = "fairlead"
"""Namespace of the pods' metadata in Envoy: which variant a pod really is."""
UPSTREAM_IDLE_S = 50
"""Less than the 75 s for which the runtime keeps an idle connection: the router lets go first."""
_CONNECT_TIMEOUT = "2s"
_UNLIMITED = 65_536
_ONLY_WHEN_EMPTY = 100_000
"""Over-provisioning, in percent. With Envoy's own 140 an arm of which a third is away would give a
part of its users to the control; with this it keeps them until its last pod is gone."""
PROTOCOLS = ("http", "grpc")
ZONE, OWN, SPARE = "router", "own", "spare"
"""Envoy's zones of the router, of an arm's own pods and of the control's that stand in for them.

They place nothing: between two zones Envoy keeps statistics of its own, and so it counts what an
arm's pods did apart from what the control did in their place.
"""
_HTTP2: Json = {
    # Finds a pod that is gone without a word, such as with its node.
    "connection_keepalive": {"interval": "20s", "timeout": "10s"}
}
_CODEC: Json = {
    "name": "envoy.filters.http.upstream_codec",
    "typed_config": {
        "@type": (
            "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"
        )
    },
}
# What the pods understand: behind the HTTP port they speak HTTP/1.1, whatever the client does.
_UPSTREAM: dict[str, Json] = {
    "http": {"explicit_http_config": {"http_protocol_options": {}}},
    "grpc": {"explicit_http_config": {"http2_protocol_options": _HTTP2}},
}


def name(arm: Arm, protocol: str) -> str:
    """Return the name of an arm's cluster."""
    return f"{arm.key}_{protocol}"


def mirror_name(arm: Arm, protocol: str) -> str:
    """Return the name of the cluster that gets copies: its statistics are not the users'."""
    return f"{arm.key}_{protocol}_mirror"


def clusters(arms: tuple[Arm, ...], mirrored: tuple[Arm, ...], settings: Settings) -> list[Json]:
    """Return all clusters; the first arm is the control."""
    control = arms[0]
    made: list[Json] = []
    for protocol in PROTOCOLS:
        port = settings.http_port if protocol == "http" else settings.grpc_port
        for arm in arms:
            spare = None if arm.key == control.key else control
            made.append(_cluster(name(arm, protocol), arm, spare, port, _UPSTREAM[protocol]))
        made += [
            _for_copies(mirror_name(arm, protocol), arm, protocol, settings) for arm in mirrored
        ]
    return made


def used(split: Split) -> tuple[tuple[Arm, ...], tuple[Arm, ...]]:
    """Return the arms and the mirrored arms whose clusters a split needs."""
    return split.arms, () if split.mirror is None else (split.mirror.arm,)


def receiver(cluster: str, at: str) -> Json:
    """Return the cluster of what takes reports of the router at `host:port`, and no requests."""
    host, _, port = at.rpartition(":")
    address = {"socket_address": {"address": host, "port_value": int(port)}}
    return {
        "name": cluster,
        "cluster_type": {
            "name": "envoy.cluster.strict_dns",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster",
                "dns_lookup_family": "V4_PREFERRED",
                "dns_refresh_rate": "5s",
                "dns_failure_refresh_rate": {"base_interval": "1s", "max_interval": "5s"},
                "respect_dns_ttl": False,
            },
        },
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": cluster,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _cluster(cluster: str, arm: Arm, spare: Arm | None, port: int, spoken: Json) -> Json:
    places = [_place(arm, port, 0)]
    if spare is not None:
        places.append(_place(spare, port, 1))
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": cluster,
        "cluster_type": {"name": "envoy.cluster.strict_dns", "typed_config": _names()},
        "connect_timeout": _CONNECT_TIMEOUT,
        # Whose cluster was picked, to tell it from whose pod answered.
        "metadata": {"filter_metadata": {METADATA: {"variant": arm.name}}},
        "lb_policy": "LEAST_REQUEST",
        # With nobody below it the control tries everybody rather than nobody; an arm never does.
        "common_lb_config": {
            "healthy_panic_threshold": {"value": 0 if spare is not None else 50},
            "close_connections_on_host_set_change": False,
        },
        "ignore_health_on_host_removal": True,
        "load_assignment": {
            "cluster_name": cluster,
            "policy": {"overprovisioning_factor": _ONLY_WHEN_EMPTY},
            "endpoints": places,
        },
        "circuit_breakers": {
            "thresholds": [
                {
                    "priority": priority,
                    "max_connections": _UNLIMITED,
                    "max_pending_requests": _UNLIMITED,
                    "max_requests": _UNLIMITED,
                    "max_retries": _UNLIMITED,
                }
                for priority in ("DEFAULT", "HIGH")
            ]
        },
        "outlier_detection": _outliers(),
        "per_connection_buffer_limit_bytes": 1_048_576,
        "track_cluster_stats": {"per_endpoint_stats": True},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": (
                    "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
                ),
                "common_http_protocol_options": {"idle_timeout": f"{UPSTREAM_IDLE_S}s"},
                "http_filters": [_telling_the_variant(), _CODEC],
                **spoken,
            }
        },
    }


def _telling_the_variant() -> Json:
    """Return the filter that tells a pod which variant it is, for its prediction log.

    It runs when the pod has been chosen: where the control stands in for an arm, it tells so.
    """
    value = f"%UPSTREAM_METADATA({METADATA}:variant)%"
    header = {"key": names.VARIANT_HEADER, "value": value}
    return {
        "name": "envoy.filters.http.header_mutation",
        "typed_config": {
            "@type": (
                "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
            ),
            "mutations": {
                "request_mutations": [
                    {"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
                ]
            },
        },
    }


def _for_copies(cluster: str, arm: Arm, protocol: str, settings: Settings) -> Json:
    port = settings.http_port if protocol == "http" else settings.grpc_port
    made = _cluster(cluster, arm, None, port, _UPSTREAM[protocol])
    [options] = made["typed_extension_protocol_options"].values()
    # A copy of a gRPC call has no route whose limit would end it.
    options["common_http_protocol_options"]["max_stream_duration"] = f"{settings.timeout_s}s"
    return made


def _names() -> Json:
    """Return how pods are found: each address of the headless Service, asked for every second."""
    return {
        "@type": "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster",
        "dns_lookup_family": "V4_PREFERRED",
        "dns_refresh_rate": "1s",
        "dns_failure_refresh_rate": {"base_interval": "0.5s", "max_interval": "1s"},
        "respect_dns_ttl": False,
        "all_addresses_in_single_endpoint": False,
    }


def _outliers() -> Json:
    """Return outlier detection that sees pods nobody can reach, and not models that answer badly.

    A candidate that fails must be seen to fail: were its pods ejected, the control would answer for
    them and the candidate would look well.
    """
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 2,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_local_origin_success_rate": 0,
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_success_rate": 0,
        "enforcing_failure_percentage": 0,
        "enforcing_failure_percentage_local_origin": 0,
        "interval": "1s",
        "base_ejection_time": "3s",
        "max_ejection_time": "15s",
        "max_ejection_percent": 100,
    }


def _place(arm: Arm, port: int, priority: int) -> Json:
    address = {"socket_address": {"address": arm.host, "port_value": port}}
    return {
        "priority": priority,
        "locality": {"zone": SPARE if priority else OWN},
        "lb_endpoints": [
            {
                "endpoint": {"address": address},
                "metadata": {"filter_metadata": {METADATA: {"variant": arm.name}}},
            }
        ],
    }

"""Envoy's listeners: one for HTTP and one for gRPC, and one that publishes health and statistics.

HTTP/1.1 and HTTP/2 are told apart on the same port; what is spoken to the pods is in `clusters`.
"""

from __future__ import annotations

from typing import Any

from fairlead_operator.traffic import clusters, exposures, tracing
from fairlead_operator.traffic.routes import LIMIT_FILTER, route_name
from fairlead_operator.traffic.split import Settings, Split
from fairlead_operator.traffic.weights import COMPARED_PER_SECOND
from fairlead_runtime.contract import names

Json = dict[str, Any]
ADMIN_CLUSTER = "admin"
_TYPE = "type.googleapis.com/envoy"
_FOREIGN = (
    "x-envoy-retry-on",
    "x-envoy-retry-grpc-on",
    "x-envoy-max-retries",
    "x-envoy-retriable-header-names",
    "x-envoy-retriable-status-codes",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-upstream-stream-duration-ms",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-force-trace",
    "x-envoy-decorator-operation",
)
"""With these a client could ask the router for retries, timeouts and statistics of its own."""
_OURS = (
    names.UNIT_HEADER,
    names.COMPARE_HEADER,
    names.VARIANT_HEADER,
    names.EXPERIMENT_HEADER,
    names.MODEL_HEADER,
)
"""What only the router says to a pod."""
_REMOVED = (*_FOREIGN, *_OURS)


def idle_s(settings: Settings) -> int:
    """Return when an idle client's connection is closed.

    Later than its age, which ends what is busy, and before the router leaves.
    """
    return settings.connection_age_s * 5 // 3


def listeners(split: Split, settings: Settings) -> list[Json]:
    """Return the listeners; of the split they depend on the assignment's header and salt."""
    made = []
    for protocol in clusters.PROTOCOLS:
        port = settings.http_port if protocol == "http" else settings.grpc_port
        made.append(_listener(protocol, settings.listen, port, _traffic(split, protocol, settings)))
    made.append(_listener("metrics", settings.listen, settings.metrics_port, _published(settings)))
    return made


def config_source(settings: Settings, document: str) -> Json:
    """Return where Envoy reads a document.

    The folder is watched, because a mounted ConfigMap is swapped by renaming a link in it.
    """
    return {
        "path_config_source": {
            "path": f"{settings.folder}/{document}",
            "watched_directory": {"path": settings.folder},
        },
        # Without its tables a router must not become ready, however long that takes.
        "initial_fetch_timeout": "0s",
        "resource_api_version": "V3",
    }


def _listener(name: str, host: str, port: int, manager: Json) -> Json:
    return {
        "@type": f"{_TYPE}.config.listener.v3.Listener",
        "name": name,
        "address": {"socket_address": {"address": host, "port_value": port}},
        "per_connection_buffer_limit_bytes": 1_048_576,
        "enable_reuse_port": True,
        # With few connections the kernel's choice would leave workers idle.
        "connection_balance_config": {"exact_balance": {}},
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": {
                            "@type": (
                                f"{_TYPE}.extensions.filters.network.http_connection_manager"
                                ".v3.HttpConnectionManager"
                            ),
                            **manager,
                        },
                    }
                ]
            }
        ],
    }


def _traffic(split: Split, protocol: str, settings: Settings) -> Json:
    source = config_source(settings, f"routes-{protocol}.json")
    return {
        "stat_prefix": protocol,
        "codec_type": "AUTO",
        "rds": {"route_config_name": route_name(protocol), "config_source": source},
        "early_header_mutation_extensions": [_early_mutation(split)],
        "http_filters": [_grpc_statistics(), _compared_limit(settings), _router_filter()],
        "access_log": _access_logs(split, settings),
        **tracing.of_listener(settings),
        "common_http_protocol_options": {
            "idle_timeout": f"{idle_s(settings)}s",
            "max_connection_duration": f"{settings.connection_age_s}s",
            "headers_with_underscores_action": "ALLOW",
        },
        # HTTP/1.1 has no way to announce an end but with an answer; else requests would be lost.
        "http1_safe_max_connection_duration": True,
        "http2_protocol_options": {
            "max_concurrent_streams": 1_000,
            "initial_stream_window_size": 1_048_576,
            "initial_connection_window_size": 16_777_216,
        },
        "drain_timeout": "5s",
        "delayed_close_timeout": "1s",
        "request_headers_timeout": "10s",
        "request_timeout": "0s",
        "stream_idle_timeout": f"{max(300, settings.timeout_s)}s",
        **_transparent(),
    }


def _transparent() -> Json:
    """Return what keeps requests and answers as they would be without a router."""
    return {
        "use_remote_address": False,
        "skip_xff_append": True,
        "generate_request_id": True,
        "preserve_external_request_id": True,
        "request_id_extension": {
            "typed_config": {
                "@type": f"{_TYPE}.extensions.request_id.uuid.v3.UuidRequestIdConfig",
                # It would change a digit of the client's own id.
                "pack_trace_reason": False,
                # Else a request whose own id is no UUID would never be traced.
                "use_request_id_for_trace_sampling": False,
            }
        },
        "server_header_transformation": "PASS_THROUGH",
        "normalize_path": False,
        "merge_slashes": False,
        "upgrade_configs": [],
    }


def _early_mutation(split: Split) -> Json:
    """Return what is done to a request before its route is chosen; HTTP filters come too late."""
    mutations: list[Json] = [{"remove": each} for each in _REMOVED]
    if split.header is not None:
        value = f"{split.salt}:%REQ({split.header})%"
        mutations.append(
            {
                "append": {
                    "header": {"key": names.UNIT_HEADER, "value": value},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            }
        )
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": (
                f"{_TYPE}.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
            ),
            "mutations": mutations,
        },
    }


def _grpc_statistics() -> Json:
    # A failed gRPC call is HTTP 200 with a trailer: nothing else counts it.
    return {
        "name": "envoy.filters.http.grpc_stats",
        "typed_config": {
            "@type": f"{_TYPE}.extensions.filters.http.grpc_stats.v3.FilterConfig",
            "stats_for_all_methods": False,
            "enable_upstream_stats": True,
        },
    }


def _compared_limit(settings: Settings) -> Json:
    """Return the filter that holds the marked copies at 20 a second, all routers together.

    It is off but for the routes that mark. It refuses nobody: what is too much gets the header with
    another value, and is then copied like any other. Each router has a bucket per listener, which
    has to do with its part; that keeps the limit without knowing how many requests there are.
    """
    buckets = settings.routers * len(clusters.PROTOCOLS)
    all_of_them = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return {
        "name": LIMIT_FILTER,
        "disabled": True,
        "typed_config": {
            "@type": f"{_TYPE}.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
            "stat_prefix": "compared",
            "token_bucket": {
                "max_tokens": max(1, COMPARED_PER_SECOND // buckets),
                "tokens_per_fill": 1,
                "fill_interval": f"{buckets / COMPARED_PER_SECOND:.3f}s",
            },
            "filter_enabled": all_of_them,
            "filter_enforced": {"default_value": {"numerator": 0, "denominator": "HUNDRED"}},
            "request_headers_to_add_when_not_enforced": [
                {
                    "header": {"key": names.COMPARE_HEADER, "value": names.NOT_COMPARED},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            ],
        },
    }


def _router_filter() -> Json:
    return {
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": f"{_TYPE}.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": True,
            "respect_expected_rq_timeout": False,
        },
    }


def _access_logs(split: Split, settings: Settings) -> list[Json]:
    if split.header is None:
        return []
    logs = [_access_log(split.header)]
    if split.recorded is not None and settings.recorder is not None:
        logs.append({**exposures.access_log(settings), "filter": logs[0]["filter"]})
    return logs


def _access_log(header: str) -> Json:
    """Return the log that exposures come from: requests that have a user, and nobody else's.

    `arm` is the cluster that was picked, `variant` whose pod answered: they differ where the
    control stood in, which is no exposure.
    """
    present: Json = {"name": header, "present_match": True}
    filled: Json = {"name": header, "string_match": {"exact": ""}, "invert_match": True}
    fields = {
        "time": "%START_TIME(%s.%6f)%",
        "unit": f"%REQ({names.UNIT_HEADER})%",
        "arm": "%UPSTREAM_CLUSTER%",
        "variant": f"%UPSTREAM_METADATA({clusters.METADATA}:variant)%",
        "host": "%UPSTREAM_HOST%",
        "request_id": f"%REQ({names.REQUEST_ID_HEADER})%",
        "code": "%RESPONSE_CODE%",
        "grpc": "%GRPC_STATUS_NUMBER%",
        "flags": "%RESPONSE_FLAGS%",
        "ms": "%DURATION%",
    }
    return {
        "name": "envoy.access_loggers.stdout",
        "filter": {
            "and_filter": {
                "filters": [{"header_filter": {"header": each}} for each in (present, filled)]
            }
        },
        "typed_config": {
            "@type": f"{_TYPE}.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"json_format": fields},
        },
    }


def _published(settings: Settings) -> Json:
    """Return the listener's half that lets the kubelet and scrapers at two paths of the admin."""
    get = {"name": ":method", "string_match": {"exact": "GET"}}
    action = {"cluster": ADMIN_CLUSTER, "timeout": "10s"}
    routes = [
        {"match": {"path": path, "headers": [get]}, "route": action}
        for path in ("/ready", "/stats/prometheus")
    ]
    return {
        "stat_prefix": "metrics",
        "codec_type": "AUTO",
        "route_config": {
            "name": "metrics",
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
        },
        "http_filters": [_router_filter()],
        "common_http_protocol_options": {"idle_timeout": f"{idle_s(settings)}s"},
        "request_headers_timeout": "10s",
        "stream_idle_timeout": "30s",
        "use_remote_address": False,
        "skip_xff_append": True,
    }

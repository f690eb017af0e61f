"""The router's metrics that Fairlead relies on. They are Envoy's, and Envoy has hundreds more."""

from __future__ import annotations

from monitoring.catalogue import Entry

_CLUSTER = ("envoy_cluster_name",)
_CLASS = (*_CLUSTER, "envoy_response_code_class")
_LISTENER = ("envoy_http_conn_manager_prefix",)
_LOG = "envoy_access_logs_open_telemetry_access_log_exposures_logs"

ROUTER = (
    Entry("envoy_server_uptime", "gauge", (), "seconds", "Since when the router runs."),
    Entry(
        "envoy_server_memory_allocated", "gauge", (), "bytes", "Memory in use, about: without code."
    ),
    Entry(
        "envoy_http_downstream_cx_active", "gauge", _LISTENER, "count",
        "Clients' connections, by listener: `http`, `grpc` or `metrics`.",
    ),
    Entry(
        "envoy_http_downstream_rq_xx", "counter", (*_LISTENER, "envoy_response_code_class"),
        "count", "Answers to clients by class of their status, `2` to `5`.",
    ),
    Entry(
        "envoy_cluster_zone_router_own_upstream_rq_xx", "counter", _CLASS, "count",
        "What an arm's own pods answered. A cluster is `REVISION_http`, `REVISION_grpc`, or the "
        "same with `_mirror`, which gets copies.",
    ),
    Entry(
        "envoy_cluster_zone_router_spare_upstream_rq_xx", "counter", _CLASS, "count",
        "What the control's pods answered in the place of an arm that had none.",
    ),
    Entry(
        "envoy_cluster_zone_router_own_upstream_rq_time", "histogram", _CLUSTER, "milliseconds",
        "Time until an arm's own pods had answered. `objectives.maxLatencyMs` is one of the edges.",
    ),
    Entry(
        "envoy_cluster_upstream_rq_xx", "counter", _CLASS, "count",
        "All answers of a cluster, those included that Envoy gave because no pod could.",
    ),
    Entry("envoy_cluster_upstream_rq_retry", "counter", _CLUSTER, "count", "Second tries."),
    Entry(
        "envoy_cluster_upstream_rq_retry_success", "counter", _CLUSTER, "count",
        "Second tries that got an answer.",
    ),
    Entry(
        "envoy_cluster_membership_healthy", "gauge", _CLUSTER, "count",
        "Pods that a cluster sends to, the control's included that would stand in.",
    ),
    Entry(
        "envoy_cluster_grpc_0", "counter", _CLUSTER, "count",
        "gRPC calls that ended with this status; there is one such metric for each status seen, "
        "up to `envoy_cluster_grpc_16`.",
    ),
    Entry(
        "envoy_cluster_endpoint_rq_error", "counter",
        (*_CLUSTER, "envoy_endpoint_address"), "count",
        "What failed, by pod: of the copies, which nobody waits for.",
    ),
    Entry(
        f"{_LOG}_written", "counter", (), "count", "Exposures that the recorder has made durable."
    ),
    Entry(f"{_LOG}_dropped", "counter", (), "count", "Exposures that it did not take."),
)  # fmt: skip
"""What a PodMonitor keeps; see `KEPT`."""

KEPT = "|".join(
    sorted(
        {
            r"envoy_cluster_grpc_\d+" if entry.name == "envoy_cluster_grpc_0" else entry.name
            for entry in ROUTER
            if entry.type != "histogram"
        }
        | {f"{entry.name}_(bucket|sum|count)" for entry in ROUTER if entry.type == "histogram"}
    )
)
"""A regular expression of their series' names: the rest of Envoy's page need not be stored."""

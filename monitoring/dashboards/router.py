"""A rollout or an Experiment at work: arms beside each other, and what the gates say."""

from __future__ import annotations

from monitoring.panels import CHOSEN, RATE, Dashboard, Panel, Query, Variable, chosen
from monitoring.queries import quantile, rate

_OWN = "envoy_cluster_zone_router_own_upstream_rq"
_ANSWERS = "envoy_cluster_upstream_rq_xx"
_ARM = "envoy_cluster_name"
_LOG = "envoy_access_logs_open_telemetry_access_log_exposures_logs"


def _legend(text: str) -> str:
    return f"{{{{{_ARM}}}}} {text}".strip()


DASHBOARD = Dashboard(
    name="router",
    title="Fairlead / Rollout and router",
    text="One address while it is split: what each arm answers, and what the gates say of it. "
    "Without a split there is no "
    "router, and nothing here.",
    variables=(
        Variable(name="namespace", query="label_values(envoy_server_uptime, namespace)"),
        Variable(
            name="model",
            query='label_values(envoy_server_uptime{namespace="$namespace"}, model_deployment)',
        ),
    ),
    rows=(
        (
            "Rollout",
            (
                Panel(
                    title="The candidate's share",
                    queries=(Query(f"max(fairlead_rollout_weight_ratio{CHOSEN})", "candidate"),),
                    unit="percentunit",
                    most=1,
                ),
                Panel(
                    title="Gates: how much of the limit is used",
                    queries=(
                        Query(
                            f"max by (gate) (fairlead_rollout_check_value{CHOSEN}) / "
                            f"max by (gate) (fairlead_rollout_check_limit{CHOSEN})",
                            "{{gate}}",
                        ),
                    ),
                    unit="percentunit",
                    text="Above 100 % is no verdict yet: a gate waits until chance is ruled out.",
                ),
                Panel(
                    title="Verdicts",
                    queries=(
                        Query(
                            f"max by (gate, verdict) (fairlead_rollout_check_verdict{CHOSEN}) > 0"
                        ),
                        Query(f"max by (gate) (fairlead_rollout_check_samples{CHOSEN})"),
                    ),
                    kind="table",
                ),
            ),
        ),
        (
            "Arms",
            (
                Panel(
                    title="Requests",
                    queries=(Query(rate(f"{_OWN}_xx", RATE, _ARM, CHOSEN), _legend("")),),
                    unit="reqps",
                    stacked=True,
                ),
                Panel(
                    title="Failed: HTTP 5xx",
                    queries=(
                        Query(
                            rate(
                                _ANSWERS,
                                RATE,
                                _ARM,
                                chosen('envoy_response_code_class="5"'),
                            )
                            + f" / ({rate(_ANSWERS, RATE, _ARM, CHOSEN)} > 0)",
                            _legend(""),
                        ),
                    ),
                    unit="percentunit",
                ),
                Panel(
                    title="p99",
                    queries=(
                        Query(quantile(0.99, f"{_OWN}_time", RATE, _ARM, CHOSEN), _legend("")),
                    ),
                    unit="ms",
                ),
                Panel(
                    title="Answered by the control in an arm's place",
                    queries=(
                        Query(
                            rate(
                                "envoy_cluster_zone_router_spare_upstream_rq_xx", RATE, _ARM, CHOSEN
                            ),
                            _legend(""),
                        ),
                    ),
                    unit="reqps",
                    text="Nobody counts these for the arm: its pods were away.",
                ),
                Panel(
                    title="Pods that an arm sends to",
                    queries=(
                        Query(
                            f"min by ({_ARM}) (envoy_cluster_membership_healthy"
                            + chosen('envoy_cluster_name=~".+_(http|grpc).*"')
                            + ")",
                            _legend(""),
                        ),
                    ),
                    text="The control's, which would stand in, are counted as well.",
                ),
                Panel(
                    title="gRPC calls that ended well",
                    queries=(Query(rate("envoy_cluster_grpc_0", RATE, _ARM, CHOSEN), _legend("")),),
                    unit="reqps",
                ),
            ),
        ),
        (
            "Router",
            (
                Panel(
                    title="Clients' connections",
                    queries=(
                        Query(
                            "sum by (envoy_http_conn_manager_prefix) "
                            f"(envoy_http_downstream_cx_active{CHOSEN})",
                            "{{envoy_http_conn_manager_prefix}}",
                        ),
                    ),
                ),
                Panel(
                    title="Exposures",
                    queries=(
                        Query(f"sum(rate({_LOG}_written{CHOSEN}[{RATE}]))", "durable"),
                        Query(f"sum(rate({_LOG}_dropped{CHOSEN}[{RATE}]))", "lost"),
                    ),
                    unit="reqps",
                    text="Only while an Experiment runs.",
                ),
                Panel(
                    title="Memory by pod",
                    queries=(
                        Query(f"sum by (pod) (envoy_server_memory_allocated{CHOSEN})", "{{pod}}"),
                    ),
                    unit="bytes",
                ),
            ),
        ),
    ),
)

"""The operator: whether it works, and what it has to do."""

from __future__ import annotations

from monitoring.panels import RATE, Dashboard, Panel, Query
from monitoring.queries import rate

_OURS = "and on (job, instance) fairlead_operator_leader"
"""Only of the operator's own processes, whatever their job is called."""

DASHBOARD = Dashboard(
    name="operator",
    title="Fairlead / Operator",
    text="The control loop, and every resource that is not as it should be.",
    rows=(
        (
            "Resources",
            (
                Panel(
                    title="Leaders",
                    queries=(Query("sum(fairlead_operator_leader)"),),
                    kind="stat",
                    width=4,
                    text="One replica works. 0: nobody does, and models go on serving as they are.",
                ),
                Panel(
                    title="ModelDeployments",
                    queries=(Query("max(fairlead_operator_model_deployments)"),),
                    kind="stat",
                    width=4,
                ),
                Panel(
                    title="Not ready",
                    queries=(
                        Query(
                            'count(fairlead_model_deployment_condition{condition="Ready"} == 0) '
                            "or vector(0)"
                        ),
                    ),
                    kind="stat",
                    width=4,
                ),
                Panel(
                    title="Since the last full listing",
                    queries=(Query("time() - max(fairlead_operator_resync_timestamp_seconds)"),),
                    unit="s",
                    kind="stat",
                    width=4,
                ),
                Panel(
                    title="Experiments running",
                    queries=(
                        Query('sum(fairlead_experiment_phase{phase="Running"}) or vector(0)'),
                    ),
                    kind="stat",
                    width=4,
                ),
                Panel(
                    title="Rollouts under way",
                    queries=(Query("count(fairlead_rollout_weight_ratio) or vector(0)"),),
                    kind="stat",
                    width=4,
                ),
                Panel(
                    title="Conditions of every ModelDeployment",
                    queries=(
                        Query(
                            "max by (namespace, model_deployment, condition, reason) "
                            "(fairlead_model_deployment_condition)"
                        ),
                    ),
                    kind="table",
                    width=24,
                ),
            ),
        ),
        (
            "Loop",
            (
                Panel(
                    title="Passes",
                    queries=(
                        Query(
                            rate("fairlead_operator_passes_total", RATE, "outcome"), "{{outcome}}"
                        ),
                    ),
                    unit="ops",
                    stacked=True,
                ),
                Panel(
                    title="Duration of a pass",
                    queries=tuple(
                        Query(
                            f"histogram_quantile({share}, sum by (le) "
                            f"(rate(fairlead_operator_pass_duration_seconds_bucket[{RATE}])))",
                            f"p{share * 100:g}",
                        )
                        for share in (0.5, 0.99)
                    ),
                    unit="s",
                ),
                Panel(
                    title="Queue",
                    queries=(
                        Query("max(fairlead_operator_queue_depth)", "due keys"),
                        Query("max(fairlead_operator_queue_age_seconds)", "age of the oldest, s"),
                    ),
                ),
                Panel(
                    title="Errors",
                    queries=(
                        Query(rate("fairlead_operator_errors_total", RATE, "reason"), "{{reason}}"),
                    ),
                    unit="ops",
                ),
                Panel(
                    title="Writes",
                    queries=(
                        Query(
                            rate("fairlead_operator_writes_total", RATE, "kind, verb"),
                            "{{kind}} {{verb}}",
                        ),
                    ),
                    unit="ops",
                ),
                Panel(
                    title="Full listings",
                    queries=(
                        Query(
                            rate("fairlead_operator_resyncs_total", RATE, "outcome"), "{{outcome}}"
                        ),
                    ),
                    unit="ops",
                ),
                Panel(
                    title="CPU",
                    queries=(
                        Query(f"rate(process_cpu_seconds_total[{RATE}]) {_OURS}", "{{instance}}"),
                    ),
                    unit="cores",
                    width=12,
                ),
                Panel(
                    title="Memory",
                    queries=(Query(f"process_resident_memory_bytes {_OURS}", "{{instance}}"),),
                    unit="bytes",
                    width=12,
                ),
            ),
        ),
    ),
)

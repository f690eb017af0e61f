"""Experiments: users, lift and whether the numbers can be trusted; and the recorder."""

from __future__ import annotations

from monitoring.panels import RATE, Dashboard, Panel, Query, Variable
from monitoring.queries import quantile, rate

_CHOSEN = '{namespace="$namespace",experiment="$experiment"}'
_ARMS = "max by (metric, variant)"

DASHBOARD = Dashboard(
    name="experiments",
    title="Fairlead / Experiments",
    text="One Experiment, as the operator judged it last, and the recorder behind it.",
    variables=(
        Variable(name="namespace", query="label_values(fairlead_experiment_phase, namespace)"),
        Variable(
            name="experiment",
            query='label_values(fairlead_experiment_phase{namespace="$namespace"}, experiment)',
        ),
    ),
    rows=(
        (
            "Experiment",
            (
                Panel(
                    title="Phase",
                    queries=(
                        Query(
                            f"max by (phase) (fairlead_experiment_phase{_CHOSEN}) > 0", "{{phase}}"
                        ),
                    ),
                    kind="stat",
                    width=6,
                ),
                Panel(
                    title="Users arrive as weighted: p-value",
                    queries=(Query(f"max(fairlead_experiment_sample_ratio_p_value{_CHOSEN})"),),
                    kind="stat",
                    width=6,
                    text="Near 0: a sample-ratio mismatch. Right at every look.",
                ),
                Panel(
                    title="Time in which exposures were lost",
                    queries=(Query(f"max(fairlead_experiment_gap_seconds{_CHOSEN})"),),
                    unit="s",
                    kind="stat",
                    width=6,
                ),
                Panel(
                    title="Broken guardrails",
                    queries=(Query(f"sum(fairlead_experiment_guardrail_breached{_CHOSEN})"),),
                    kind="stat",
                    width=6,
                ),
                Panel(
                    title="Users by arm",
                    queries=(
                        Query(
                            f"max by (variant) (fairlead_experiment_units{_CHOSEN})", "{{variant}}"
                        ),
                    ),
                ),
                Panel(
                    title="Share of the users",
                    queries=(
                        Query(
                            f"max by (variant) (fairlead_experiment_share_ratio{_CHOSEN})",
                            "{{variant}}",
                        ),
                    ),
                    unit="percentunit",
                    most=1,
                ),
                Panel(
                    title="Metrics",
                    queries=(
                        Query(
                            f"{_ARMS} (fairlead_experiment_value{_CHOSEN})",
                            "{{metric}} {{variant}}",
                        ),
                    ),
                    unit="none",
                    signed=True,
                ),
                Panel(
                    title="Lift with its interval",
                    queries=tuple(
                        Query(
                            f"{_ARMS} (fairlead_experiment_lift{end}_ratio{_CHOSEN})",
                            f"{{{{metric}}}} {{{{variant}}}}{text}",
                        )
                        for end, text in (("", ""), ("_lower", " from"), ("_upper", " to"))
                    ),
                    signed=True,
                    unit="percentunit",
                    width=16,
                    text="An interval that leaves out 0 is a difference, whenever one looks.",
                ),
                Panel(
                    title="P-values",
                    queries=(
                        Query(
                            f"{_ARMS} (fairlead_experiment_p_value{_CHOSEN})",
                            "{{metric}} {{variant}}",
                        ),
                    ),
                    most=1,
                ),
            ),
        ),
        (
            "Recorder (of all Experiments)",
            (
                Panel(
                    title="Outcomes",
                    queries=(
                        Query(
                            rate("fairlead_recorder_outcomes_total", RATE, "result"), "{{result}}"
                        ),
                    ),
                    unit="rps",
                ),
                Panel(
                    title="Exposures",
                    queries=(
                        Query(
                            rate("fairlead_recorder_exposures_total", RATE, "result"), "{{result}}"
                        ),
                    ),
                    unit="rps",
                ),
                Panel(
                    title="Requests by status",
                    queries=(
                        Query(rate("fairlead_recorder_requests_total", RATE, "code"), "{{code}}"),
                    ),
                    unit="reqps",
                ),
                Panel(
                    title="p99 of a commit",
                    queries=(
                        Query(
                            quantile(0.99, "fairlead_recorder_commit_seconds", RATE, "job"), "p99"
                        ),
                    ),
                    unit="s",
                ),
                Panel(
                    title="Rows that wait",
                    queries=(Query("sum(fairlead_recorder_rows_waiting)", "waiting"),),
                ),
                Panel(
                    title="Time without exposures, found at starts",
                    queries=(Query("sum(fairlead_recorder_gap_seconds_total)", "lost"),),
                    unit="s",
                ),
            ),
        ),
    ),
)

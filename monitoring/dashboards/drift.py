"""Whether a model still sees what it was trained on."""

from __future__ import annotations

from monitoring.panels import CHOSEN, MODEL_VARIABLES, RATE, Dashboard, Panel, Query, chosen

_MOST = 10
_PERFORMANCE = "fairlead_model_deployment_performance"


def _worst(metric: str) -> Query:
    return Query(f"topk({_MOST}, max by (feature_name) ({metric}))", "{{feature_name}}")


def _score(statistic: str) -> str:
    return "model_drift_score" + chosen(f'statistic="{statistic}"')


DASHBOARD = Dashboard(
    name="drift",
    title="Fairlead / Drift",
    text="One ModelDeployment: its inputs and answers against those of its training. Scores are of "
    "each pod's own window, "
    "the greatest is shown; the condition Drifted comes from the counts of all pods together.",
    variables=MODEL_VARIABLES,
    rows=(
        (
            "Verdict",
            (
                Panel(
                    title="Drifted",
                    queries=(
                        Query(
                            "max(fairlead_model_deployment_condition"
                            + chosen('condition="Drifted"')
                            + ")"
                        ),
                    ),
                    kind="stat",
                    width=6,
                    mappings={"0": "no", "1": "yes"},
                ),
                Panel(
                    title="Rows in the windows",
                    queries=(Query(f"sum(model_drift_window_rows{CHOSEN})"),),
                    kind="stat",
                    width=6,
                ),
                Panel(
                    title="Profile that cannot be used",
                    queries=(Query(f"max(model_drift_profile_refused{CHOSEN})"),),
                    kind="stat",
                    width=6,
                    mappings={"0": "no", "1": "yes: see the pods' logs"},
                ),
                Panel(
                    title="Profiles in use",
                    queries=(
                        Query(f"count(count by (digest) (model_drift_profile_info{CHOSEN}))"),
                    ),
                    kind="stat",
                    width=6,
                    text="More than one: pods of two revisions.",
                ),
            ),
        ),
        (
            "Features",
            (
                Panel(
                    title="PSI, the ten greatest",
                    queries=(_worst(_score("psi")),),
                    width=12,
                    text="An alarm needs 0.1 beyond chance; see docs/drift.md.",
                ),
                Panel(
                    title="Shift of the mean, the ten greatest",
                    queries=(_worst(f"model_input_drift{CHOSEN}"),),
                    width=12,
                    text="In standard deviations of the training data.",
                ),
                Panel(
                    title="Jensen-Shannon distance",
                    queries=(_worst(_score("jensen_shannon")),),
                    most=1,
                ),
                Panel(
                    title="Kolmogorov-Smirnov",
                    queries=(_worst(_score("kolmogorov_smirnov")),),
                    most=1,
                ),
                Panel(
                    title="Shift of the answers",
                    queries=(Query(f"max(model_prediction_drift{CHOSEN})", "first output"),),
                    text="In standard deviations of the answers to the training data.",
                ),
                Panel(
                    title="Missing values",
                    queries=(_worst(f"model_drift_missing_ratio{CHOSEN}"),),
                    unit="percentunit",
                ),
                Panel(
                    title="Values outside of training's range",
                    queries=(_worst(f"model_drift_outside_ratio{CHOSEN}"),),
                    unit="percentunit",
                ),
                Panel(
                    title="Rows",
                    queries=(
                        Query(f"sum(rate(model_drift_rows_total{CHOSEN}[{RATE}]))", "counted"),
                        Query(
                            f"sum(rate(model_drift_rows_skipped_total{CHOSEN}[{RATE}]))", "skipped"
                        ),
                    ),
                    unit="rps",
                ),
            ),
        ),
        (
            "Outcomes",
            (
                Panel(
                    title="Wrong predictions",
                    queries=(
                        Query(f"max({_PERFORMANCE}_error_ratio{CHOSEN})", "of the latest outcomes"),
                        Query(f"max({_PERFORMANCE}_allowed_error_ratio{CHOSEN})", "allowed"),
                    ),
                    unit="percentunit",
                    width=12,
                    text="Where outcomes are sent to the recorder; see docs/performance.md.",
                ),
                Panel(
                    title="Outcomes that have met a prediction",
                    queries=(Query(f"max({_PERFORMANCE}_outcomes{CHOSEN})", "outcomes"),),
                    width=12,
                    text="Of the revision that has the address.",
                ),
            ),
        ),
    ),
)

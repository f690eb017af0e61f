"""What a model's pods do: requests, latency, queue, batches, replicas."""

from __future__ import annotations

from monitoring.panels import CHOSEN, MODEL_VARIABLES, RATE, Dashboard, Panel, Query, chosen
from monitoring.queries import FAULTS, quantile, rate

_LATENCY = "model_prediction_latency_seconds"
_ALL = f"sum(rate(model_predictions_total{CHOSEN}[{RATE}]))"


def _share(part: str) -> str:
    return f"{part} / ({_ALL} > 0)"


def _errors(codes: str) -> str:
    selector = chosen(f'code=~"{codes}"')
    return f"sum(rate(model_prediction_errors_total{selector}[{RATE}]))"


def _quantile(share: float, metric: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket{CHOSEN}[{RATE}])))"


def _mean(metric: str) -> str:
    total, count = (f"sum(rate({metric}_{end}{CHOSEN}[{RATE}]))" for end in ("sum", "count"))
    return f"{total} / ({count} > 0)"


DASHBOARD = Dashboard(
    name="model",
    title="Fairlead / Model",
    text="One ModelDeployment: what its pods answer, how fast, and what they take.",
    variables=MODEL_VARIABLES,
    rows=(
        (
            "Answers",
            (
                Panel(
                    title="Requests by version and outcome",
                    queries=(
                        Query(
                            rate("model_predictions_total", RATE, "model_version, status", CHOSEN),
                            "{{model_version}} {{status}}",
                        ),
                    ),
                    unit="reqps",
                ),
                Panel(
                    title="Latency",
                    queries=tuple(
                        Query(_quantile(share, _LATENCY), f"p{share * 100:g}")
                        for share in (0.5, 0.95, 0.99)
                    ),
                    unit="s",
                    text="From the parsed request to the answer, over all pods and versions.",
                ),
                Panel(
                    title="Failed requests",
                    queries=(
                        Query(_share(_errors(FAULTS)), "the server's fault"),
                        Query(_share(_errors("Invalid.*|TooLarge|UnknownModel")), "the request's"),
                    ),
                    unit="percentunit",
                    text="Only the server's own faults use up the error budget.",
                ),
                Panel(
                    title="p99 by version",
                    queries=(
                        Query(
                            quantile(0.99, _LATENCY, RATE, "model_version", CHOSEN),
                            "{{model_version}}",
                        ),
                    ),
                    unit="s",
                ),
                Panel(
                    title="Errors by code",
                    queries=(
                        Query(
                            rate("model_prediction_errors_total", RATE, "code", CHOSEN) + " > 0",
                            "{{code}}",
                        ),
                    ),
                    unit="reqps",
                ),
                Panel(
                    title="Answers with NaN or infinities",
                    queries=(
                        Query(
                            f"sum(rate(model_predictions_non_finite_total{CHOSEN}[{RATE}])) / "
                            f"(sum(rate(model_predictions_checked_total{CHOSEN}[{RATE}])) > 0)",
                            "share",
                        ),
                    ),
                    unit="percentunit",
                ),
            ),
        ),
        (
            "Inside",
            (
                Panel(
                    title="In flight and waiting",
                    queries=(
                        Query(f"sum(model_requests_in_flight{CHOSEN})", "in flight"),
                        Query(f"sum(model_requests_waiting{CHOSEN})", "waiting"),
                    ),
                ),
                Panel(
                    title="p99 of queue and model",
                    queries=(
                        Query(_quantile(0.99, "model_queue_seconds"), "in the queue"),
                        Query(_quantile(0.99, "model_inference_seconds"), "in onnxruntime"),
                    ),
                    unit="s",
                ),
                Panel(
                    title="Batches",
                    queries=(
                        Query(_mean("model_batch_rows"), "rows of a run"),
                        Query(_mean("model_batch_requests"), "requests of a run"),
                    ),
                ),
                Panel(
                    title="Not run, and not seen",
                    queries=(
                        Query(
                            rate("model_requests_dropped_total", RATE, "reason", CHOSEN),
                            "request: {{reason}}",
                        ),
                        Query(
                            rate("model_observations_dropped_total", RATE, "reason", CHOSEN),
                            "observation: {{reason}}",
                        ),
                    ),
                    unit="reqps",
                    text="Requests that were refused, and answers that drift, logs and checks did "
                    "not see because there were too many.",
                ),
                Panel(
                    title="CPU by pod",
                    queries=(
                        Query(
                            f"sum by (pod) (rate(process_cpu_seconds_total{CHOSEN}[{RATE}]))",
                            "{{pod}}",
                        ),
                    ),
                    unit="cores",
                ),
                Panel(
                    title="Memory by pod",
                    queries=(
                        Query(f"sum by (pod) (process_resident_memory_bytes{CHOSEN})", "{{pod}}"),
                    ),
                    unit="bytes",
                ),
            ),
        ),
        (
            "As the operator has it",
            (
                Panel(
                    title="Objectives",
                    queries=(
                        Query(
                            f"max(fairlead_model_deployment_objective_latency_seconds{CHOSEN})",
                            "latency",
                        ),
                    ),
                    unit="s",
                    kind="stat",
                    width=4,
                ),
                Panel(
                    title="Error limit",
                    queries=(
                        Query(f"max(fairlead_model_deployment_objective_error_ratio{CHOSEN})"),
                    ),
                    unit="percentunit",
                    kind="stat",
                    width=4,
                ),
                Panel(
                    title="Replicas",
                    queries=(
                        Query(
                            f"max by (version) (fairlead_model_deployment_ready_replicas{CHOSEN})",
                            "{{version}} ready",
                        ),
                        Query(
                            f"max by (version) (fairlead_model_deployment_replicas{CHOSEN})",
                            "{{version}} wanted",
                        ),
                    ),
                ),
                Panel(
                    title="Conditions",
                    queries=(
                        Query(
                            "max by (condition, reason) "
                            f"(fairlead_model_deployment_condition{CHOSEN})"
                        ),
                    ),
                    kind="table",
                ),
            ),
        ),
    ),
)

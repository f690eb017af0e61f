"""Recording rules and alerts, as the Prometheus operator and Prometheus itself take them.

Error budgets follow the multi-window, multi-burn-rate alerts of the SRE workbook, chapter 5: a long
window says that it matters, a short one that it still goes on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from monitoring.queries import (
    FAULTS,
    MODEL,
    condition,
    increase,
    of_resource,
    quantile,
    rate,
)

JSON = dict[str, Any]
RUNBOOKS = "RUNBOOKS"
"""Stands in the file where the chart puts the address of docs/runbooks."""
IN_THE_REPOSITORY = "docs/runbooks"
WINDOWS = ("5m", "30m", "1h", "6h", "3d")
ENOUGH_FAILED = 10
"""Failed requests below which no budget burns: one of three would be a third."""
ENOUGH_ASKED = 100
"""Requests below which no quantile is taken seriously."""
_OPERATORS = re.compile(r"\b(?:fairlead|envoy)_")
_ON = f"on ({MODEL})"
_TRIAL = "namespace, experiment"
_RATIO = "namespace_model_deployment:model_prediction_faults:ratio_rate"
_P99 = "namespace_model_deployment:model_prediction_latency_seconds:p99_10m"
_FAULTY = f'{{code=~"{FAULTS}"}}'
_REFUSED = '{code="Overloaded"}'
_WHO = "{{ $labels.namespace }}/{{ $labels.model_deployment }}"
_TRIED = "{{ $labels.namespace }}/{{ $labels.experiment }}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert; its runbook is docs/runbooks/NAME.md.

    Attributes:
        name: What it is called.
        expr: When it is on.
        severity: critical: somebody should look now; warning: today; info: good to know.
        summary: What is wrong, of what.
        text: What it means, with the numbers.
        since: For how long it has to be so.
    """

    name: str
    expr: str
    severity: str
    summary: str
    text: str
    since: str = "0s"

    def to_json(self) -> JSON:
        """Return the rule."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.since,
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.text,
                "runbook_url": f"{RUNBOOKS}/{self.name}.md",
            },
        }


def recorded() -> list[JSON]:
    """Return the recording rules."""
    found = []
    for window in WINDOWS:
        faults = rate("model_prediction_errors_total", window, MODEL, _FAULTY)
        asked = rate("model_predictions_total", window, MODEL)
        found.append({"record": f"{_RATIO}{window}", "expr": f"{faults} / ({asked} > 0)"})
    latency = quantile(0.99, "model_prediction_latency_seconds", "10m", MODEL)
    found.append({"record": _P99, "expr": latency})
    return found


def _burns(factor: float, long: str, short: str) -> str:
    limit = of_resource("fairlead_model_deployment_objective_error_ratio")
    over = [f"{_RATIO}{window} > {_ON} ({factor:g} * {limit})" for window in (long, short)]
    failed = increase("model_prediction_errors_total", long, MODEL, _FAULTY)
    return f"({over[0]} and {_ON} {over[1]} and {_ON} {failed} >= {ENOUGH_FAILED})"


ALERTS = (
    Alert(
        name="FairleadErrorBudgetBurnFast",
        expr=_burns(14.4, "1h", "5m"),
        severity="critical",
        summary=f"{_WHO} fails so often that a month's error budget is gone in two days",
        text="{{ $value | humanizePercentage }} of the requests of the last hour failed by the "
        "server's fault, more than 14.4 "
        "times what spec.rollout.gates.maxErrorBasisPoints allows, and it goes on.",
        since="2m",
    ),
    Alert(
        name="FairleadErrorBudgetBurnSlow",
        expr=f"{_burns(6, '6h', '30m')} or {_burns(1, '3d', '6h')}",
        severity="warning",
        summary=f"{_WHO} uses up its error budget",
        text="{{ $value | humanizePercentage }} of the requests of the last hours or days failed "
        "by the server's fault: more "
        "than spec.rollout.gates.maxErrorBasisPoints allows over a month.",
        since="15m",
    ),
    Alert(
        name="FairleadLatencyOverObjective",
        expr=f"{_P99} > {_ON} {of_resource('fairlead_model_deployment_objective_latency_seconds')} "
        f"and {_ON} {increase('model_prediction_latency_seconds_count', '10m', MODEL)} "
        f">= {ENOUGH_ASKED}",
        severity="warning",
        summary=f"{_WHO} is slower than its objective",
        text="The 99th percentile of ten minutes is {{ $value | humanizeDuration }}, more than "
        "spec.objectives.maxLatencyMs.",
        since="5m",
    ),
    Alert(
        name="FairleadModelUnavailable",
        expr=f"{condition('Available')} == 0 and {_ON} "
        f"{of_resource('fairlead_model_deployment_stable_info')}",
        severity="critical",
        summary=f"Nobody answers at the address of {_WHO}",
        text="A revision has the address, and none of its replicas is ready.",
        since="2m",
    ),
    Alert(
        name="FairleadOverloaded",
        expr=f"{rate('model_prediction_errors_total', '10m', MODEL, _REFUSED)} / "
        f"({rate('model_predictions_total', '10m', MODEL)} > 0) > 0.01",
        severity="warning",
        summary=f"{_WHO} refuses requests because too many wait",
        text="{{ $value | humanizePercentage }} of the requests of ten minutes were refused with "
        "429.",
        since="5m",
    ),
    Alert(
        name="FairleadNonFiniteAnswers",
        expr=f"{rate('model_predictions_non_finite_total', '15m', MODEL)} / "
        f"({rate('model_predictions_checked_total', '15m', MODEL)} > 0) > 0.01",
        severity="warning",
        summary=f"{_WHO} answers with NaN or infinities",
        text="{{ $value | humanizePercentage }} of the answers that were looked at hold a value "
        "that is no number.",
        since="5m",
    ),
    Alert(
        name="FairleadDrifted",
        expr=f"{condition('Drifted')} == 1",
        severity="warning",
        summary=f"{_WHO} no longer sees what it was trained on",
        text="The condition Drifted names the features. The operator judges over all replicas, "
        "beyond chance, and twice before "
        "it says so.",
    ),
    Alert(
        name="FairleadDriftUnwatched",
        expr=f"{of_resource('model_drift_profile_refused')} == 1",
        severity="warning",
        summary=f"{_WHO} has a drift profile that cannot be used",
        text="Predictions go on, and their drift is not seen. The pods' logs say what is wrong "
        "with the profile.",
        since="10m",
    ),
    Alert(
        name="FairleadDegraded",
        expr=f"{condition('Degraded')} == 1",
        severity="warning",
        summary=f"{_WHO} is wrong more often than it was",
        text="The condition Degraded has the counts: outcomes that were predicted wrongly, and "
        "what is allowed. The alarm holds under looks at any moment.",
    ),
    Alert(
        name="FairleadRolloutStalled",
        expr=f"{condition('Stalled', MODEL + ', reason')} == 1",
        severity="warning",
        summary=f"{_WHO} does not get on by waiting: {{{{ $labels.reason }}}}",
        text="What served before goes on serving. The condition Stalled says what is in the way.",
        since="5m",
    ),
    Alert(
        name="FairleadExperimentInvalid",
        expr=of_resource("fairlead_experiment_phase", _TRIAL, phase="Invalid") + " == 1",
        severity="warning",
        summary=f"Experiment {_TRIED} cannot be trusted: sample-ratio mismatch",
        text="Users do not arrive in the arms as the weights say. No verdict will be given.",
    ),
    Alert(
        name="FairleadGuardrailBreached",
        expr=of_resource("fairlead_experiment_guardrail_breached", f"{_TRIAL}, variant, metric")
        + " == 1",
        severity="warning",
        summary=f"Experiment {_TRIED}: {{{{ $labels.variant }}}} broke the guardrail on "
        "{{ $labels.metric }}",
        text="Everybody gets the control, and the Experiment has stopped.",
    ),
    Alert(
        name="FairleadExposuresLost",
        expr=increase(
            "envoy_access_logs_open_telemetry_access_log_exposures_logs_dropped", "10m", MODEL
        )
        + " > 0",
        severity="warning",
        summary=f"The recorder did not take exposures of {_WHO}",
        text="About {{ $value | humanize }} entries of ten minutes are lost. Their users count "
        "from the next time they are "
        "answered; the Experiment shows the gap.",
    ),
    Alert(
        name="FairleadOperatorStale",
        expr="(time() - fairlead_operator_resync_timestamp_seconds > "
        "3 * fairlead_operator_resync_interval_seconds + 60) or "
        "fairlead_operator_queue_age_seconds > 120",
        severity="warning",
        summary="The operator {{ $labels.instance }} does not get on",
        text="Its last full listing, or the oldest resource that waits for it, is "
        "{{ $value | humanizeDuration }} old. "
        "Models go on serving as they are.",
        since="2m",
    ),
    Alert(
        name="FairleadOperatorDown",
        expr="absent(fairlead_operator_leader == 1)",
        severity="critical",
        summary="No operator works, or none is scraped",
        text="No replica that holds the Lease was scraped for five minutes. Models go on serving "
        "as they are; nothing new is "
        "rolled out, and no rollout is judged or rolled back.",
        since="5m",
    ),
    Alert(
        name="FairleadNotScraped",
        expr=f"sum by ({MODEL}) (fairlead_model_deployment_ready_replicas) > 0 "
        f"unless {_ON} model_info",
        severity="warning",
        summary=f"Prometheus sees no pod of {_WHO}",
        text="The operator counts ready replicas, and none of them is scraped: no other alert "
        "about this model can come.",
        since="15m",
    ),
)


def of_the_runtime() -> tuple[Alert, ...]:
    """Return the alerts that ask for nothing but what a runtime shows.

    The others ask what the operator, its routers or the recorder show. Where these are not meant to
    be, most of them are silent and `FairleadOperatorDown` is always on.
    """
    return tuple(alert for alert in ALERTS if not _OPERATORS.search(alert.expr))


def groups(alerts: Sequence[Alert] = ALERTS) -> list[JSON]:
    """Return the groups of rules."""
    return [
        {"name": "fairlead.recorded", "rules": recorded()},
        {"name": "fairlead.alerts", "rules": [alert.to_json() for alert in alerts]},
    ]


def text(alerts: Sequence[Alert] = ALERTS) -> str:
    """Return the rules as a file for Prometheus, but for the runbooks' address."""
    head = "# Written by `python -m monitoring --write`; do not edit.\n"
    return head + yaml.safe_dump({"groups": groups(alerts)}, sort_keys=False, width=10_000)


def laptop_text() -> str:
    """Return the rules for a Prometheus that scrapes runtimes alone, as compose.yaml's does."""
    return text(of_the_runtime()).replace(RUNBOOKS, IN_THE_REPOSITORY)

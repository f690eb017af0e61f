"""What Prometheus sees of the resources themselves: conditions, objectives, replicas, results.

Alerts are about resources, and what a pod tells of itself is not enough for them: a model that is
gone tells nothing. Only the replica that holds the Lease shows these series, so that each is there
once. Labels are names of resources and words of enumerations: as many as there are resources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from fairlead_operator.api.v1alpha1.rollout import GatesSpec
from fairlead_operator.experiment.memory import Phase
from fairlead_operator.planning import names

if TYPE_CHECKING:  # they bring numpy and scipy, which an operator without Experiments does without
    from fairlead_operator.experiment.decide import Decision
    from fairlead_operator.experiment.results import ArmResult

JSON = Mapping[str, Any]
_MODEL = ("namespace", "model_deployment")
_TRIAL = ("namespace", "experiment")
_RATIO = 10_000
_ERRORS = int(GatesSpec.model_fields["max_error_basis_points"].default)


class Resources(Collector):
    """Series of all resources, read from the cache when they are asked for."""

    def __init__(self) -> None:
        self._leads: Callable[[], bool] = bool
        self._models: Callable[[], Iterable[JSON]] = tuple
        self._experiments: Callable[[], Iterable[JSON]] = tuple

    def watch(
        self,
        *,
        leads: Callable[[], bool],
        models: Callable[[], Iterable[JSON]],
        experiments: Callable[[], Iterable[JSON]],
    ) -> None:
        """Show these resources while this replica leads.

        Args:
            leads: Whether it does.
            models: Returns the ModelDeployments that are known.
            experiments: Returns the Experiments.
        """
        self._leads, self._models, self._experiments = leads, models, experiments

    def collect(self) -> Iterable[Metric]:
        """Return all series; none but the families' descriptions where this replica stands by."""
        leads = self._leads()
        yield from of_models(self._models() if leads else ())
        yield from of_experiments(self._experiments() if leads else ())


def of_models(resources: Iterable[JSON]) -> list[Metric]:
    """Return the series of ModelDeployments, out of their spec and status. Pure."""
    condition = _conditions("model_deployment", _MODEL)
    revision = (*_MODEL, "revision", "version")
    wanted, ready = (
        GaugeMetricFamily(f"fairlead_model_deployment_{name}", text, labels=revision)
        for name, text in (
            ("replicas", "Replicas that a live revision is to have."),
            ("ready_replicas", "Replicas of a live revision that are ready."),
        )
    )
    stable = GaugeMetricFamily(
        "fairlead_model_deployment_stable_info",
        "Always 1: the revision that has the address.",
        labels=revision,
    )
    latency, load, errors = (
        GaugeMetricFamily(f"fairlead_model_deployment_objective_{name}", text, labels=_MODEL)
        for name, text in (
            ("latency_seconds", "spec.objectives.maxLatencyMs."),
            ("requests_per_second", "spec.objectives.requestsPerSecond."),
            (
                "error_ratio",
                "Share of requests that may fail: spec.rollout.gates.maxErrorBasisPoints.",
            ),
        )
    )
    outcomes, wrong, allowed = (
        GaugeMetricFamily(f"fairlead_model_deployment_performance_{name}", text, labels=_MODEL)
        for name, text in (
            ("outcomes", "Outcomes that have met a prediction of the revision at the address."),
            ("error_ratio", "Share of the latest of them that were predicted wrongly."),
            ("allowed_error_ratio", "Share that the reference and spec.performance allow."),
        )
    )
    for resource in resources:
        key, spec, status = _key(resource), _spec(resource), _status(resource)
        _add_conditions(condition, key, status)
        for entry in status.get("revisions") or ():
            mine = [*key, names.short(str(entry["hash"])), str(entry["version"])]
            wanted.add_metric(mine, int(entry.get("replicas") or 0))
            ready.add_metric(mine, int(entry.get("readyReplicas") or 0))
            if mine[2] == status.get("stableRevision"):
                stable.add_metric(mine, 1)
        objectives = spec.get("objectives") or {}
        if objectives.get("maxLatencyMs"):
            latency.add_metric(key, objectives["maxLatencyMs"] / 1000)
        if objectives.get("requestsPerSecond"):
            load.add_metric(key, objectives["requestsPerSecond"])
        gates = (spec.get("rollout") or {}).get("gates") or {}
        errors.add_metric(key, gates.get("maxErrorBasisPoints", _ERRORS) / _RATIO)
        found = status.get("performance") or {}
        for family, name, unit in (
            (outcomes, "outcomes", 1),
            (wrong, "recentErrorBasisPoints", _RATIO),
            (allowed, "allowedErrorBasisPoints", _RATIO),
        ):
            if found.get(name) is not None:
                family.add_metric(key, found[name] / unit)
    return [condition, wanted, ready, stable, latency, load, errors, outcomes, wrong, allowed]


def of_experiments(resources: Iterable[JSON]) -> list[Metric]:
    """Return the series of Experiments, out of their status. Pure."""
    condition = _conditions("experiment", _TRIAL)
    phase = GaugeMetricFamily(
        "fairlead_experiment_phase", "1 for the phase that it is in, else 0.",
        labels=(*_TRIAL, "phase"),
    )  # fmt: skip
    by_arm = (*_TRIAL, "variant")
    units = GaugeMetricFamily("fairlead_experiment_units", "Users counted, by arm.", labels=by_arm)
    share = GaugeMetricFamily(
        "fairlead_experiment_share_ratio", "Share of the users that an arm gets.", labels=by_arm
    )
    breached = GaugeMetricFamily(
        "fairlead_experiment_guardrail_breached",
        "1 where an arm has broken a guardrail, else 0.",
        labels=(*_TRIAL, "variant", "metric", "kind"),
    )
    gaps = GaugeMetricFamily(
        "fairlead_experiment_gap_seconds",
        "Time for which exposures may have been lost.",
        labels=_TRIAL,
    )
    for resource in resources:
        key, status = _key(resource), _status(resource)
        _add_conditions(condition, key, status)
        if status.get("phase"):
            for each in Phase:
                phase.add_metric([*key, each.value], float(each.value == status["phase"]))
        for arm in status.get("variants") or ():
            units.add_metric([*key, arm["name"]], arm.get("units") or 0)
            share.add_metric([*key, arm["name"]], (arm.get("slots") or 0) / _RATIO)
        for rail in status.get("guardrails") or ():
            mine = [*key, rail["variant"], rail["metric"], rail["kind"]]
            breached.add_metric(mine, float(rail["verdict"] == "Breach"))
        if status.get("evidence"):
            gaps.add_metric(key, status["evidence"].get("gapSeconds") or 0)
    return [condition, phase, units, share, breached, gaps]


class Results(Collector):
    """What the Experiments' metrics say as of the last pass: numbers that status has as text."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Decision] = {}
        self.leads: Callable[[], bool] = lambda: True
        """Whether this replica decides; otherwise what it last saw is somebody else's past."""

    def show(self, key: tuple[str, str], decision: Decision) -> None:
        """Show a decision; one that judged nothing new leaves what was shown."""
        if decision.results is not None:
            self._known[key] = decision

    def forget(self, key: tuple[str, str]) -> None:
        """Show an Experiment no more."""
        self._known.pop(key, None)

    def collect(self) -> Iterable[Metric]:
        """Return values, lifts and p-values."""
        by_metric = (*_TRIAL, "metric", "variant")
        value, lift, low, high, p_value = (
            GaugeMetricFamily(f"fairlead_experiment_{name}", text, labels=by_metric)
            for name, text in (
                ("value", "Rate or mean of a metric, by arm."),
                ("lift_ratio", "Relative change against the control."),
                ("lift_lower_ratio", "Lower end of the lift's interval, right at every look."),
                ("lift_upper_ratio", "Upper end of the lift's interval."),
                ("p_value", "P-value of the lift, adjusted for the number of arms."),
            )
        )
        sample_ratio = GaugeMetricFamily(
            "fairlead_experiment_sample_ratio_p_value",
            "P-value, right at every look, of users arriving as the weights say.",
            labels=_TRIAL,
        )
        for key, decision in list(self._known.items()) if self.leads() else ():
            if decision.ratio is not None:
                sample_ratio.add_metric(key, decision.ratio.p_value)
            for result in decision.results or ():
                for arm in result.arms:
                    mine = [*key, result.spec.name, arm.name]
                    numbers = zip((value, lift, low, high, p_value), _numbers(arm), strict=True)
                    for family, number in numbers:
                        if number is not None:
                            family.add_metric(mine, number)
        return [value, lift, low, high, p_value, sample_ratio]


def _numbers(arm: ArmResult) -> Sequence[float | None]:
    mean: float | None = getattr(arm.total, "rate", None)
    if mean is None:
        mean = getattr(arm.total, "mean", None)
    if arm.comparison is None:
        return mean, None, None, None, None
    interval = arm.comparison.lift_interval
    ends = (None, None) if interval is None else (interval.low, interval.high)
    return mean, arm.comparison.lift, *ends, arm.p_value


def _conditions(what: str, labels: tuple[str, ...]) -> GaugeMetricFamily:
    return GaugeMetricFamily(
        f"fairlead_{what}_condition",
        "1 where a condition is True, 0 where it is False, no series where it is Unknown.",
        labels=(*labels, "condition", "reason"),
    )


def _add_conditions(family: GaugeMetricFamily, key: list[str], status: JSON) -> None:
    for each in status.get("conditions") or ():
        if each["status"] in ("True", "False"):
            family.add_metric([*key, each["type"], each["reason"]], float(each["status"] == "True"))


def _key(resource: JSON) -> list[str]:
    return [resource["metadata"]["namespace"], resource["metadata"]["name"]]


def _spec(resource: JSON) -> JSON:
    return resource.get("spec") or {}


def _status(resource: JSON) -> JSON:
    return resource.get("status") or {}

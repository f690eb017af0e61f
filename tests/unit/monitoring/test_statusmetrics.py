"""The operator's series of resources: what is in spec and status, and nothing where nothing is."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from fairlead_operator.statusmetrics import Resources, Results
from tests.unit.experiment.world import World, counted, later

MODEL: dict[str, Any] = {
    "metadata": {"namespace": "shop", "name": "fraud"},
    "spec": {"objectives": {"maxLatencyMs": 50, "requestsPerSecond": 200}},
    "status": {
        "stableRevision": "aaaaaaaa",
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "RolledBack"},
            {"type": "Available", "status": "True", "reason": "Serving"},
            {"type": "Drifted", "status": "Unknown", "reason": "TooFewRows"},
        ],
        "revisions": [
            {"hash": "a" * 64, "version": "1", "replicas": 3, "readyReplicas": 2},
            {"hash": "b" * 64, "version": "2"},
        ],
    },
}
EXPERIMENT: dict[str, Any] = {
    "metadata": {"namespace": "shop", "name": "checkout"},
    "status": {
        "phase": "Invalid",
        "conditions": [{"type": "Ready", "status": "True", "reason": "SampleRatioMismatch"}],
        "variants": [{"name": "control", "units": 7, "slots": 9000}, {"name": "new"}],
        "guardrails": [
            {"metric": "error", "variant": "new", "kind": "max", "verdict": "Breach"},
            {"metric": "latencyP99Ms", "variant": "new", "kind": "max", "verdict": "SharedBreach"},
        ],
        "evidence": {"gapSeconds": 12},
    },
}
SHOP = 'namespace="shop"'


def shown(*models: Any, experiments: Any = (), leads: bool = True) -> set[str]:
    """Return the samples of resources, as Prometheus reads them."""
    resources = Resources()
    resources.watch(leads=lambda: leads, models=lambda: models, experiments=lambda: experiments)
    registry = CollectorRegistry()
    registry.register(resources)
    return lines(registry)


def lines(registry: CollectorRegistry) -> set[str]:
    text = generate_latest(registry).decode()
    return {line for line in text.splitlines() if not line.startswith("#")}


def test_a_model_shows_its_conditions_replicas_and_objectives() -> None:
    prefix = "fairlead_model_deployment"
    labels = f'model_deployment="fraud",{SHOP}'
    first, second = (
        f'{{{labels},revision="{letter * 8}",version="{version}"}}'
        for letter, version in (("a", "1"), ("b", "2"))
    )
    assert shown(MODEL) == {
        f'{prefix}_condition{{condition="Ready",{labels},reason="RolledBack"}} 0.0',
        f'{prefix}_condition{{condition="Available",{labels},reason="Serving"}} 1.0',
        f"{prefix}_replicas{first} 3.0",
        f"{prefix}_replicas{second} 0.0",
        f"{prefix}_ready_replicas{first} 2.0",
        f"{prefix}_ready_replicas{second} 0.0",
        f"{prefix}_stable_info{first} 1.0",
        f"{prefix}_objective_latency_seconds{{{labels}}} 0.05",
        f"{prefix}_objective_requests_per_second{{{labels}}} 200.0",
        f"{prefix}_objective_error_ratio{{{labels}}} 0.01",
    }


def test_a_model_without_objectives_or_status_shows_only_its_error_limit() -> None:
    bare = {"metadata": MODEL["metadata"], "spec": {"rollout": {"gates": {}}}}
    [only] = shown(bare)
    assert only.startswith("fairlead_model_deployment_objective_error_ratio")
    bare["spec"] = {"rollout": {"gates": {"maxErrorBasisPoints": 5}}}
    assert next(iter(shown(bare))).endswith(" 0.0005")


def test_an_experiment_shows_its_phase_arms_and_broken_guardrails() -> None:
    found = shown(experiments=[EXPERIMENT])
    prefix, labels = "fairlead_experiment", f'experiment="checkout",{SHOP}'
    assert f'{prefix}_phase{{{labels},phase="Invalid"}} 1.0' in found
    assert f'{prefix}_phase{{{labels},phase="Running"}} 0.0' in found
    assert f'{prefix}_units{{{labels},variant="control"}} 7.0' in found
    assert f'{prefix}_share_ratio{{{labels},variant="control"}} 0.9' in found
    assert f'{prefix}_share_ratio{{{labels},variant="new"}} 0.0' in found
    broken = f'{prefix}_guardrail_breached{{{labels.split(",", maxsplit=1)[0]},kind="max",metric='
    assert f'{broken}"error",{SHOP},variant="new"}} 1.0' in found
    assert f'{broken}"latencyP99Ms",{SHOP},variant="new"}} 0.0' in found
    assert f"{prefix}_gap_seconds{{{labels}}} 12.0" in found


def test_a_replica_that_stands_by_shows_no_resource() -> None:
    assert shown(MODEL, experiments=[EXPERIMENT], leads=False) == set()


def test_results_stay_while_nothing_new_is_judged_and_go_with_the_experiment() -> None:
    world = World()
    world.run()
    world.aggregates = counted({"control": (1000, 100), "bigger": (1000, 150)})
    decision = world.step(later(hours=1))
    registry, results = CollectorRegistry(), Results()
    registry.register(results)
    results.show(("shop", "checkout"), decision)
    found = lines(registry)
    labels = f'experiment="checkout",metric="conversion",{SHOP},variant='
    assert f'fairlead_experiment_value{{{labels}"bigger"}} 0.15' in found
    lift = next(line for line in found if line.startswith("fairlead_experiment_lift_ratio"))
    assert abs(float(lift.rpartition(" ")[2]) - 0.5) < 1e-9
    names = {line.partition("{")[0] for line in found}
    assert names == {
        f"fairlead_experiment_{name}"
        for name in (
            "value", "lift_ratio", "lift_lower_ratio", "lift_upper_ratio", "p_value",
            "sample_ratio_p_value",
        )
    }  # fmt: skip
    world.aggregates = None
    results.show(("shop", "checkout"), world.step(later(hours=2)))
    assert lines(registry) == found
    results.forget(("shop", "checkout"))
    assert lines(registry) == set()

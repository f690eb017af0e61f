"""What the gates say, as Prometheus reads it and as Events tell it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from fairlead_operator.rollout.memory import Phase
from fairlead_operator.rollout.verdict import Check, Gate, Verdict
from fairlead_operator.telemetry import Rollouts
from tests.unit.rollout.rolling import World

KEY = ("team", "fraud")
LABELS = {"namespace": "team", "model_deployment": "fraud"}


def shown(world: World) -> CollectorRegistry:
    """Return the metrics after the last pass."""
    rollouts = Rollouts()
    rollouts.show(KEY, world.moves[-1])
    registry = CollectorRegistry()
    registry.register(rollouts)
    return registry


def in_a_step() -> World:
    world = World()
    world.until(Phase.STEP)
    world.run(20)
    return world


def check_of(world: World, gate: Gate) -> Check:
    return next(each for each in world.moves[-1].checks if each.gate is gate)


def test_every_check_is_a_metric_with_all_that_it_rests_on() -> None:
    world = in_a_step()
    registry = shown(world)
    assert registry.get_sample_value("fairlead_rollout_weight_ratio", LABELS) == 0.05
    check = check_of(world, Gate.ERRORS)
    mine = {**LABELS, "gate": "Errors"}
    for name, wanted in (("value", check.value), ("limit", 1.0), ("samples", check.samples)):
        assert registry.get_sample_value(f"fairlead_rollout_check_{name}", mine) == wanted
    assert check.samples > 0
    assert check.end is not None
    until = "fairlead_rollout_check_window_end_timestamp_seconds"
    found = registry.get_sample_value(until, {**mine, "source": "router"})
    assert found == check.end.timestamp()
    said = {**mine, "verdict": str(check.verdict)}
    assert registry.get_sample_value("fairlead_rollout_check_verdict", said) == 1
    for each in world.moves[-1].checks:
        samples = registry.get_sample_value(
            "fairlead_rollout_check_samples", {**LABELS, "gate": each.gate.value}
        )
        assert samples == each.samples


def test_a_rollout_that_is_over_has_no_metrics() -> None:
    rollouts = Rollouts()
    rollouts.show(KEY, in_a_step().moves[-1])
    rollouts.show(KEY, None)
    assert all(not family.samples for family in rollouts.collect())


def test_a_change_of_a_verdict_is_an_event_with_all_that_it_rests_on() -> None:
    world = World(errors_per_s=10)
    world.until(Phase.ROLLED_BACK)
    [note] = [each for each in world.notes if each.reason == "GateFailed"]
    errors = next(m for m in world.moves if m.verdict is Verdict.FAIL or m.memory.ending)
    check = next(each for each in errors.checks if each.gate is Gate.ERRORS)
    assert check.end is not None
    for part in (
        "Errors: ",
        "limit 1%",
        f"{check.samples} samples from router until {check.end:%H:%M:%S} UTC",
        "failed requests",
    ):
        assert part in note.message
    assert note.warning


def test_whoever_no_longer_leads_shows_nothing_of_the_past() -> None:
    rollouts = Rollouts()
    rollouts.show(KEY, in_a_step().moves[-1])
    rollouts.leads = lambda: False
    assert not [sample for metric in rollouts.collect() for sample in metric.samples]

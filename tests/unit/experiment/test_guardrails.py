"""Guardrails: what stops an Experiment, what is only reported, and how soon it is seen."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from fairlead_operator.experiment.decide import Decision
from fairlead_operator.stats.aggregates import Binary
from fairlead_operator.stats.histogram import Histogram
from fairlead_operator.traffic.counts import Counts, Window
from tests.unit.experiment.world import NOW, World, counted, later, requests, three_arms

ERRORS = [{"metric": "error", "maxBasisPoints": 100}]
RELATIVE = [{"metric": "error", "maxIncreasePercent": 10}]


def running(*rails: dict[str, Any], **spec: Any) -> World:
    world = World(guardrails=list(rails), **spec)
    world.run()
    return world


def after(world: World, *windows: Window, seconds: float = 60) -> Decision:
    world.windows = windows
    return world.step(later(seconds=seconds))


def verdicts(world: World) -> dict[str, str]:
    return {one["variant"]: one["verdict"] for one in world.status["guardrails"]}


def test_a_breach_sends_everybody_to_the_control_and_stops() -> None:
    world = running(*ERRORS)
    decision = after(world, requests(NOW, later(seconds=10), control=(50, 0), bigger=(50, 30)))
    assert (decision.phase, decision.reason) == ("Stopped", "GuardrailBreached")
    assert decision.stalled
    assert not decision.memory.split
    assert "bigger broke guardrail error" in decision.message
    assert verdicts(world) == {"bigger": "Breach"}
    assert world.status["guardrails"][0]["breachedAt"]


def test_a_few_requests_are_enough_for_a_disaster() -> None:
    world = running(*ERRORS)
    assert (
        after(world, requests(NOW, later(seconds=5), control=(7, 0), bigger=(7, 7))).reason
        == "GuardrailBreached"
    )


def test_while_guardrails_are_watched_it_looks_every_few_seconds() -> None:
    world = running(*ERRORS)
    decision = after(world, requests(NOW, later(seconds=55), control=(500, 1), bigger=(500, 1)))
    assert decision.wake_s is not None
    assert decision.wake_s <= 5
    assert verdicts(world) == {"bigger": "Pass"}


def test_a_breach_of_the_control_too_is_reported_only() -> None:
    world = running(*ERRORS)
    window = requests(NOW, later(seconds=50), control=(1000, 100), bigger=(1000, 105))
    decision = after(world, window)
    assert (decision.phase, decision.memory.split) == ("Running", True)
    assert verdicts(world) == {"bigger": "SharedBreach"}


def test_a_breach_that_is_far_worse_than_the_controls_is_acted_on() -> None:
    world = running(*ERRORS)
    window = requests(NOW, later(seconds=50), control=(1000, 20), bigger=(1000, 500))
    assert after(world, window).reason == "GuardrailBreached"


def test_a_relative_limit_allows_what_it_says() -> None:
    world = running(*RELATIVE)
    window = requests(NOW, later(seconds=50), control=(100_000, 1000), bigger=(100_000, 1090))
    assert after(world, window).reason == "Running"
    window = requests(NOW, later(seconds=50), control=(100_000, 1000), bigger=(100_000, 1500))
    assert after(world, window).reason == "GuardrailBreached"


def test_heavy_users_of_an_arm_are_no_breach_of_a_relative_limit() -> None:
    """The same number of users, three times the requests, the same rate of errors."""
    world = running(*RELATIVE)
    window = requests(NOW, later(seconds=50), control=(30_000, 300), bigger=(90_000, 900))
    assert after(world, window).reason == "Running"


def test_what_breaks_after_a_good_week_is_seen_within_seconds() -> None:
    world = running(*ERRORS)
    week = requests(NOW, later(days=7), control=(3_000_000, 3000), bigger=(3_000_000, 3000))
    hour = requests(later(days=7), later(days=7, seconds=10), control=(50, 0), bigger=(50, 50))
    world.windows = (week, hour)
    assert world.step(later(days=7, seconds=10)).reason == "GuardrailBreached"
    # In a pool it would not be: 3050 errors of three million are far below one percent.
    pooled = running(*ERRORS)
    whole = requests(NOW, later(days=7), control=(3_000_050, 3000), bigger=(3_000_050, 3050))
    pooled.windows = (whole,)
    assert pooled.step(later(days=7, seconds=10)).reason == "Running"


def test_the_p99_is_judged_as_a_share_above_the_limit() -> None:
    world = running({"metric": "latencyP99Ms", "max": 80})

    def slow(share: int) -> Counts:
        return Counts(
            requests=10_000, latency=Histogram((40.0, 80.0, 160.0), (5000, 5000 - share, share, 0))
        )

    def window(share: int) -> Window:
        arms = {"ranker-aaaa1111": slow(10), "ranker-large-aaaa1111": slow(share)}
        return Window(begin=NOW, end=later(seconds=50), arms=arms)

    assert after(world, window(110)).reason == "Running"
    assert "1.10% above 80 ms" in world.status["guardrails"][0]["value"]
    decision = after(world, window(300), seconds=130)
    assert decision.reason == "GuardrailBreached"
    assert "p99 at most 80 ms" in decision.message


def test_a_metric_of_the_users_can_be_a_guardrail() -> None:
    metrics = [{"name": "conversion", "type": "binary"}, {"name": "refund", "type": "binary"}]
    world = running({"metric": "refund", "maxIncreasePercent": 10}, metrics=metrics)

    def refunds(control: int, bigger: int) -> None:
        base = counted({"control": (5000, 500), "bigger": (5010, 500)}, at=later(hours=1))
        found = {"control": Binary(5000, control), "bigger": Binary(5010, bigger)}
        arms = {
            arm: dataclasses.replace(one, metrics={**one.metrics, "refund": found[arm]})
            for arm, one in base.epochs[1].items()
        }
        world.aggregates = dataclasses.replace(base, epochs={1: arms})

    refunds(100, 105)
    assert world.step(later(hours=1)).reason == "Running"
    refunds(100, 220)
    assert world.step(later(hours=1)).reason == "GuardrailBreached"


@pytest.mark.parametrize(
    ("windows", "verdict"),
    [
        ((), "NoEvidence"),
        ((requests(NOW, later(hours=1), control=(50, 0)),), "NoEvidence"),
        ((requests(NOW, later(hours=1), control=(50, 0), bigger=(50, 0)),), "Inconclusive"),
        ((requests(NOW, later(minutes=54), control=(500, 0), bigger=(500, 0)),), "Stale"),
        ((requests(NOW, later(hours=1), control=(500, 0), bigger=(500, 0)),), "Pass"),
    ],
    ids=["no window", "not this arm", "few", "old", "enough"],
)
def test_no_evidence_is_not_a_pass(windows: tuple[Window, ...], verdict: str) -> None:
    world = running(*ERRORS)
    world.windows = windows
    world.step(later(hours=1))
    assert verdicts(world) == {"bigger": verdict}


def test_without_evidence_of_a_guardrail_nobody_wins() -> None:
    world = running(*ERRORS)
    world.aggregates = counted({"control": (20_000, 1000), "bigger": (20_010, 1300)})
    decision = world.step(later(hours=1))
    assert decision.reason == "Running"
    assert "no verdict without evidence of guardrail error of bigger" in decision.message
    world.windows = (requests(NOW, later(hours=1), control=(50, 0), bigger=(50, 0)),)
    assert world.step(later(hours=1)).reason == "Decided"


def test_a_decided_one_is_still_guarded() -> None:
    world = running(*ERRORS)
    world.aggregates = counted({"control": (20_000, 1000), "bigger": (20_010, 1300)})
    world.windows = (requests(NOW, later(hours=1), control=(500, 0), bigger=(500, 0)),)
    assert world.step(later(hours=1)).phase == "Decided"
    world.windows = (requests(NOW, later(hours=2), control=(900, 0), bigger=(900, 400)),)
    decision = world.step(later(hours=2))
    assert (decision.phase, decision.memory.split) == ("Stopped", False)
    assert world.status["decision"]["variant"] == "bigger"


def test_each_arm_has_its_own_verdict() -> None:
    world = running(*ERRORS, variants=three_arms(40, 30, 30))
    window = requests(NOW, later(seconds=50), control=(500, 1), bigger=(500, 2), small=(500, 200))
    decision = after(world, window)
    assert decision.reason == "GuardrailBreached"
    assert verdicts(world) == {"bigger": "Pass", "small": "Breach"}


def test_a_breach_stays_a_breach_when_the_counts_are_gone() -> None:
    """Status is written, then the operator dies and comes back without its counts."""
    world = running(*ERRORS)
    after(world, requests(NOW, later(seconds=10), control=(50, 0), bigger=(50, 30)))
    world.windows = ()
    decision = world.step(later(hours=1))
    assert (decision.phase, decision.reason) == ("Stopped", "GuardrailBreached")
    assert verdicts(world) == {"bigger": "Breach"}

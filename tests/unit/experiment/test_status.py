"""Status: rounded for people, bounded, valid by the CRD's own schema, and written rarely."""

from __future__ import annotations

import json

import jsonschema
import pytest

from fairlead_operator.api.crds import experiment_crd
from fairlead_operator.experiment import status as status_module
from fairlead_operator.experiment import wording
from fairlead_operator.stats.aggregates import Interval
from tests.unit.experiment.world import NOW, World, a_member, counted, later, requests

SCHEMA = experiment_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
    "status"
]


def valid(world: World) -> None:
    """Check the status against the CRD's schema: no unknown field, nothing too long."""
    strict = json.loads(json.dumps(SCHEMA))

    def close(node: object) -> None:
        if isinstance(node, dict):
            if "properties" in node:
                node["additionalProperties"] = False
            for each in node.values():
                close(each)
        elif isinstance(node, list):
            for each in node:
                close(each)

    close(strict)
    jsonschema.validate(world.status, strict)


def test_every_phase_writes_what_the_schema_knows() -> None:
    world = World(guardrails=[{"metric": "error", "maxBasisPoints": 100}])
    world.members.pop("ranker")
    world.step()
    valid(world)
    world = World(guardrails=[{"metric": "error", "maxBasisPoints": 100}])
    world.run()
    valid(world)
    world.windows = (requests(NOW, later(hours=1), control=(500, 0), bigger=(500, 0)),)
    world.aggregates = counted({"control": (20_000, 1000), "bigger": (20_010, 1010)})
    world.step(later(hours=1))
    valid(world)
    world.aggregates = counted({"control": (20_000, 1000), "bigger": (20_010, 1310)})
    world.windows = (requests(NOW, later(hours=2), control=(500, 0), bigger=(500, 0)),)
    world.step(later(hours=2))
    valid(world)
    assert world.status["phase"] == "Decided"
    world.windows = (requests(NOW, later(hours=3), control=(900, 0), bigger=(900, 800)),)
    world.step(later(hours=3))
    valid(world)
    assert world.status["phase"] == "Stopped"


def test_eight_arms_sixteen_metrics_and_thirty_epochs_stay_small() -> None:
    names = ["control", *(f"arm-{n}" for n in range(7))]
    models = ["ranker", *(f"m-{n}" for n in range(7))]
    world = World(
        variants=[
            {"name": n, "modelDeployment": m, "weight": 1250}
            for n, m in zip(names, models, strict=True)
        ],
        metrics=[{"name": f"m-{n}", "type": "binary"} for n in range(16)],
        guardrails=[
            {"metric": metric, kind: 100}
            for metric in ("error", "clientError", "m-1", "m-2")
            for kind in ("maxBasisPoints", "maxIncreasePercent")
        ],
    )
    world.members = {m: a_member(m) for m in models}
    world.run()
    for number in range(1, 31):
        shift = 10 * number
        moved = [5 * (n % 3) for n in range(3)]
        less, more = [1250 - n for n in moved], [1250 + n for n in moved]
        world.weights(1250 - shift, 1250 + shift, *less, *more)
        world.step(later(hours=number))
    world.aggregates = counted(*[dict.fromkeys(names, (12_000, 1200))] * 31)
    assert world.step(later(hours=31)).results is not None
    valid(world)
    assert len(world.status["assignment"]["epochs"]) == 31
    assert len(world.status["results"]) == 16
    assert len(world.status["guardrails"]) == 56
    assert len(json.dumps(world.status)) < 100_000


def test_the_columns_are_filled() -> None:
    world = World()
    world.run()
    world.aggregates = counted(
        {"control": (20_000, 1000), "bigger": (20_010, 1050)},
        staying=[{"control": 5000, "bigger": 5000}],
    )
    world.step(later(hours=1))
    assert world.status["arms"] == "50/50"
    assert world.status["units"] == 40_010
    assert world.status["leader"] == "bigger"
    assert world.status["lift"].startswith("+4.9% [")
    assert 0 < float(world.status["pValue"]) <= 1
    assert world.status["ratio"] == "ok 0.960"


def test_measured_values_alone_are_written_once_a_minute_at_most() -> None:
    world = World()
    world.run()
    before = world.written
    for second in range(0, 600, 15):
        n = 10_000 + 10 * second
        world.aggregates = counted({"control": (n, n // 10), "bigger": (n + 3, n // 10)})
        world.step(later(seconds=second))
    assert world.written - before <= 11


def test_nothing_is_written_while_nothing_changes() -> None:
    world = World()
    world.run()
    world.aggregates = counted({"control": (20_000, 1000), "bigger": (20_010, 1050)})
    world.step(later(minutes=2))
    before = world.written
    for minute in range(3, 60, 5):
        world.step(later(minutes=minute))
    assert world.written == before


def test_a_verdict_is_written_at_once() -> None:
    world = World()
    world.run()
    world.aggregates = counted({"control": (20_000, 1000), "bigger": (20_010, 1050)})
    world.step(later(seconds=61))
    world.aggregates = counted({"control": (20_000, 1000), "bigger": (20_010, 1350)})
    world.step(later(seconds=62))
    assert world.status["phase"] == "Decided"


def test_last_transition_time_moves_only_when_a_status_flips() -> None:
    world = World()
    world.run(NOW)
    world.aggregates = counted({"control": (20_000, 1000), "bigger": (20_010, 1350)})
    world.step(later(hours=5))
    assert {c["lastTransitionTime"] for c in world.status["conditions"]} == {"2026-01-01T12:00:00Z"}


def test_events_tell_of_phases_and_weights() -> None:
    world = World()
    world.run()
    running = dict(world.status)
    world.weights(80, 20)
    world.step(later(hours=1))
    told = status_module.notes(running, world.status)
    assert [note.reason for note in told] == ["WeightsChanged"]
    assert "80/20" in told[0].message
    before = dict(world.status)
    world.spec["stopped"] = True
    world.step(later(hours=2))
    assert [note.reason for note in status_module.notes(before, world.status)] == ["Stopped"]


def test_a_spec_that_cannot_be_read_keeps_the_split_and_says_so() -> None:
    world = World()
    world.run()
    status = status_module.refused(world.resource, "spec.variants: no", later(hours=1))
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidSpec")
    assert status["split"] is True
    assert status["assignment"] == world.status["assignment"]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (wording.share(0.0521), "5.21%"),
        (wording.share(0.000123), "0.0123%"),
        (wording.share(0.0), "0.00%"),
        (wording.number(12345.6), "12346"),
        (wording.number(3.14159), "3.142"),
        (wording.number(0.0), "0"),
        (wording.number(1.5e-9), "1.500e-09"),
        (wording.change(-0.0312), "-3.1%"),
        (wording.p_value(0.00001), "<0.0001"),
        (wording.p_value(0.0491), "0.0491"),
        (wording.p_value(1.0), "1.000"),
        (wording.changes(Interval(-0.01, 0.2)), "[-1.0%, +20.0%]"),
        (wording.changes(None), None),
    ],
)
def test_numbers_read_well(made: str | None, expected: str | None) -> None:
    assert made == expected

"""Memory, imperatives, plan and sizing: what goes into status comes back, odd or not."""

from __future__ import annotations

import dataclasses

import pytest
from pydantic import ValidationError

from fairlead_operator.api import duration
from fairlead_operator.api.v1alpha1.rollout import NoData
from fairlead_operator.rollout import imperatives
from fairlead_operator.rollout.memory import Ended, Memory, Outcome, Phase, short
from fairlead_operator.rollout.memoryjson import from_json, to_json
from fairlead_operator.rollout.plan import Plan, Step, parse
from fairlead_operator.rollout.sizing import Measured, size
from fairlead_operator.rollout.verdict import Gate
from tests.unit.rollout.rolling import NOW, World

ENDED = Ended(
    hash="b" * 16,
    version="2",
    outcome=Outcome.GATE_FAILED,
    message="Errors",
    started_at=NOW,
    ended_at=NOW,
)


def test_every_field_of_a_memory_comes_back() -> None:
    world = World()
    world.until(Phase.STEP)
    world.said["pause"] = "b" * 16
    world.run(10)
    assert world.memory is not None
    full = dataclasses.replace(
        world.memory, attempts=2, retry_at=NOW, gone_at=NOW, ending=ENDED, history=(ENDED,)
    )
    assert from_json(to_json(full), NOW) == full
    empty = Memory(since=NOW)
    for field in dataclasses.fields(Memory):
        if field.name != "phase":
            assert getattr(full, field.name) not in (getattr(empty, field.name), None) or (
                field.name in ("since", "step", "job")
            ), f"{field.name} is not tried"


def test_what_cannot_be_read_begins_anew_but_a_revision_that_was_rolled_back_stays_so() -> None:
    assert from_json({"phase": "FromTheFuture"}, NOW) == Memory(since=NOW)
    assert from_json({}, NOW).phase is Phase.IDLE
    document = to_json(Memory(phase=Phase.ROLLED_BACK, since=NOW, hash="b" * 16, ending=ENDED)) | {
        "phase": "FromTheFuture"
    }
    found = from_json(document, NOW)
    assert (found.phase, found.hash, found.condemned) == (Phase.ROLLED_BACK, "b" * 16, True)


def test_a_message_is_kept_short_and_on_one_line() -> None:
    assert short("a\nb") == "a b"
    assert len(short("x" * 10_000)) == 512


def test_annotations_that_are_not_ours_say_nothing() -> None:
    assert imperatives.of({"fairlead.dev/promote": "b", "fairlead.dev/applied": "x"}) == {
        "promote": "b"
    }
    assert imperatives.of(None) == {}


@pytest.mark.parametrize("value", ["b" * 16, "b" * 8, "b" * 8 + "/7", "b" * 16 + "/now"])
def test_a_revision_is_meant_by_its_whole_hash_or_the_short_one(value: str) -> None:
    assert imperatives.meant(value, "b" * 16)


@pytest.mark.parametrize("value", ["", "b", "b" * 9, "c" * 8, "/7", "B" * 8])
def test_anything_else_means_another_revision(value: str) -> None:
    assert not imperatives.meant(value, "b" * 16)
    assert not imperatives.meant(value, None)


def test_the_defaults_are_gates_for_what_every_model_must_keep() -> None:
    plan = parse({})
    assert [step.slots for step in plan.steps] == [500, 2500, 5000]
    assert plan.limits.latency_p99_ms is None
    assert plan.limits.errors == 0.01
    assert (plan.no_data, plan.deadline_s, plan.mirror) == (NoData.HOLD, 1800, None)
    assert plan.validate


def test_a_full_spec_is_read() -> None:
    plan = parse(
        {
            "objectives": {"maxLatencyMs": 50},
            "validation": {"enabled": False},
            "rollout": {
                "assignment": {"header": "x-user-id"},
                "mirror": {"percent": 10, "hold": "2m"},
                "steps": [{"weight": 1, "hold": "1h30m"}],
                "gates": {"maxClientErrorIncreasePercent": 50, "ignore": ["Drift"]},
                "progressDeadline": "2h",
                "paused": True,
            },
        }
    )
    assert plan == Plan(
        steps=(Step(slots=100, hold_s=5400),),
        mirror=Step(slots=1000, hold_s=120),
        limits=dataclasses.replace(
            plan.limits,
            latency_p99_ms=50,
            client_error_increase=0.5,
            ignore=frozenset({Gate.DRIFT}),
        ),
        deadline_s=7200,
        paused=True,
        header="x-user-id",
        validate=False,
    )


def test_the_written_p99_limit_goes_before_the_objective() -> None:
    spec = {"objectives": {"maxLatencyMs": 50}, "rollout": {"gates": {"maxLatencyP99Ms": 60}}}
    assert parse(spec).limits.latency_p99_ms == 60


def test_a_spec_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValidationError):
        parse({"rollout": {"steps": [{"weight": 0}]}})


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("5m", 300), ("336h", 1_209_600), ("1h30m5s", 5405)]
)
def test_durations_are_read_as_go_writes_them(text: str, expected: int) -> None:
    assert duration.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "1.5h", "5d", "30s5m"])
def test_what_is_no_duration_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 90s"):
        duration.seconds(text)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (119.6, "2 min"),
        (90, "90 s"),
        (200, "3 min 20 s"),
        (1800, "30 min"),
        (5400, "1 h 30 min"),
    ],
)
def test_durations_are_told_in_words(seconds: float, expected: str) -> None:
    assert duration.text(seconds) == expected


def test_replicas_come_from_what_was_measured_and_the_arithmetic_is_shown() -> None:
    scaling = {"minReplicas": 1, "maxReplicas": 10, "targetCPUPercent": 70}
    found = size(Measured(throughput_rps=90), scaling, {"requestsPerSecond": 200})
    assert found.replicas == 4
    assert found.arithmetic == "200 requests/s / (90 requests/s of a replica x 70%) = 4 replicas"
    assert not found.unreachable


def test_a_tiny_model_is_not_taken_for_a_server_of_its_own_speed() -> None:
    scaling = {"minReplicas": 1, "maxReplicas": 9, "targetCPUPercent": 50}
    found = size(Measured(throughput_rps=100_000), scaling, {"requestsPerSecond": 20_000})
    # 10 us of the model and 50 us of the server: 16,667 requests a second.
    assert found.arithmetic.startswith("20000 requests/s / (16667 requests/s of a replica x 50%)")
    assert found.replicas == 3


def test_an_objective_that_needs_more_than_the_maximum_is_unreachable() -> None:
    scaling = {"minReplicas": 1, "maxReplicas": 3, "targetCPUPercent": 70}
    found = size(Measured(throughput_rps=90), scaling, {"requestsPerSecond": 200})
    assert found.replicas == 3
    assert "= 4 replicas, and maxReplicas is 3" in found.unreachable


@pytest.mark.parametrize(
    ("measured", "objectives"),
    [
        (None, {"requestsPerSecond": 9}),
        (Measured(), {"requestsPerSecond": 9}),
        (Measured(throughput_rps=9), {}),
    ],
)
def test_without_measurement_or_objective_the_users_minimum_holds(
    measured: Measured | None, objectives: dict[str, int]
) -> None:
    found = size(measured, {"minReplicas": 2, "maxReplicas": 3}, objectives)
    assert (found.replicas, found.arithmetic) == (2, "")

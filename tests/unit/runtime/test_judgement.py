"""A model is judged by facts and limits; each row of the table is one verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fairlead_runtime.protocol.types import Signature, TensorSpec
from fairlead_runtime.validation.facts import Compared, Facts, Limits, Probed, Round
from fairlead_runtime.validation.judge import Reason, Status, judge, median_p99

SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, 3)),),
    outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1,)),),
)
WIDER = replace(SIGNATURE, inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, 4)),))


def rounds(*p99_micros: int) -> tuple[Round, ...]:
    return tuple(Round(runs=100, p50_micros=1, p99_micros=each) for each in p99_micros)


GOOD = Facts(
    load_ms=12,
    signature=SIGNATURE,
    compared=(Compared(name="y", rows=10, wrong_rows=0),),
    probed=Probed(rows=10, made_up=False),
    rounds=rounds(900, 1000, 1100, 1200, 1300),
    throughput_rps=900,
)
ALL = Limits(signature=SIGNATURE, max_latency_ms=2)
ORDER = ["load", "signature", "examples", "finite", "latency", "throughput"]


def outcome(facts: Facts, limits: Limits) -> dict[str, Status]:
    return {check.name: check.status for check in judge(facts, limits)}


def test_the_checks_come_in_a_fixed_order() -> None:
    assert [check.name for check in judge(GOOD, ALL)] == ORDER
    assert [check.name for check in judge(Facts(load_error="no"), Limits())] == ORDER


def test_a_good_model_passes_every_check() -> None:
    assert set(outcome(GOOD, ALL).values()) == {Status.PASS}


FAILURES = [
    ("no model", Facts(load_error="not ONNX"), ALL, "load", Reason.INVALID_MODEL, "not ONNX"),
    (
        "another signature",
        GOOD,
        replace(ALL, signature=WIDER),
        "signature",
        Reason.SIGNATURE_MISMATCH,
        "input x has shape [-1, 3], but must have [-1, 4]",
    ),
    (
        "examples differ",
        replace(GOOD, compared=(Compared(name="y", rows=9, wrong_rows=2, first="[3] is 1"),)),
        ALL,
        "examples",
        Reason.EXAMPLES_DIFFER,
        "output y: 2 of 9 rows differ; [3] is 1",
    ),
    (
        "examples of another model",
        replace(GOOD, compared=None, examples_misfit="no input 'x'"),
        ALL,
        "examples",
        Reason.EXAMPLES_DIFFER,
        "no input 'x'",
    ),
    (
        "NaN",
        replace(GOOD, probed=Probed(rows=64, non_finite_rows=1, outputs=("y",))),
        ALL,
        "finite",
        Reason.NOT_FINITE,
        "NaN or infinity for 1 of 64 made-up rows, limit 0 thousandths, in y",
    ),
    (
        "no input is taken",
        replace(GOOD, probed=Probed(rows=64, refused="shape"), rounds=(), throughput_rps=None),
        ALL,
        "finite",
        Reason.MODEL_REFUSES_INPUTS,
        "it fails on 64 made-up rows at once: shape; if it cannot take such rows, give examples",
    ),
    (
        "each round too slow",
        replace(GOOD, rounds=rounds(2001, 2500, 3000, 9000, 4000)),
        ALL,
        "latency",
        Reason.TOO_SLOW,
        "p99 3 ms (median of 5 rounds, best 2 ms, 500 runs), limit 2 ms",
    ),
]


@pytest.mark.parametrize(
    ("facts", "limits", "name", "reason", "message"),
    [row[1:] for row in FAILURES],
    ids=[row[0] for row in FAILURES],
)
def test_a_failure_names_check_reason_and_figures(
    facts: Facts, limits: Limits, name: str, reason: Reason, message: str
) -> None:
    failed = [check for check in judge(facts, limits) if check.status is Status.FAIL]
    assert [(check.name, check.reason, check.message) for check in failed] == [
        (name, reason, message)
    ]


PASSES = [
    ("one good round is enough", replace(GOOD, rounds=rounds(2000, 9000, 9000, 9000, 9000)), ALL),
    ("no limit, no refusal", replace(GOOD, rounds=rounds(*[10**9] * 5)), Limits()),
    (
        "as much NaN as is allowed",
        replace(GOOD, probed=Probed(rows=100, non_finite_rows=5, outputs=("y",))),
        replace(ALL, max_non_finite_milli=50),
    ),
]


@pytest.mark.parametrize(
    ("facts", "limits"), [row[1:] for row in PASSES], ids=[row[0] for row in PASSES]
)
def test_at_its_limit_a_model_still_passes(facts: Facts, limits: Limits) -> None:
    assert Status.FAIL not in outcome(facts, limits).values()


def test_what_was_not_asked_for_is_skipped_not_passed() -> None:
    found = outcome(replace(GOOD, compared=None), Limits())
    assert found["signature"] is Status.SKIPPED
    assert found["examples"] is Status.SKIPPED


def test_after_a_failed_load_nothing_passes() -> None:
    found = outcome(Facts(load_error="no"), ALL)
    assert found.pop("load") is Status.FAIL
    assert set(found.values()) == {Status.SKIPPED}


def test_latency_is_the_median_of_the_rounds() -> None:
    assert median_p99(replace(GOOD, rounds=rounds(5, 1, 100, 2, 3))) == 3

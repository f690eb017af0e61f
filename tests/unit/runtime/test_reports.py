"""A report fits into a termination message, whatever the messages are."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from fairlead_runtime.validation.facts import Facts, Round
from fairlead_runtime.validation.judge import Check, Reason, Status
from fairlead_runtime.validation.report import LIMIT_BYTES, Report

NAMES = ("load", "signature", "examples", "finite", "latency", "throughput")
FACTS = Facts(
    load_ms=3, rounds=tuple(Round(runs=9, p50_micros=1, p99_micros=n) for n in (5, 4, 9, 1, 2)),
    throughput_rps=77,
)  # fmt: skip


def report(*messages: str, failed: int | None = None) -> Report:
    checks = tuple(
        Check(
            name=name,
            status=Status.FAIL if index == failed else Status.PASS,
            message=message,
            reason=Reason.TOO_SLOW if index == failed else None,
        )
        for index, (name, message) in enumerate(zip(NAMES, messages, strict=False))
    )
    digest = "sha256:" + "a" * 64
    return Report(digest=digest, checks=checks, facts=FACTS, threads=2, batch_size=1)


MESSAGES = st.builds(str.__mul__, st.text(min_size=1, max_size=9), st.integers(0, 900))


@given(st.lists(MESSAGES, min_size=6, max_size=6))
@example(["x" * 3000] * 6)
@example(["\U0001f6a2" * 3000] * 6)
def test_it_never_has_more_than_three_kib(messages: list[str]) -> None:
    document = report(*messages, failed=4).document()
    assert len(json.dumps(document).encode()) <= LIMIT_BYTES
    assert document["verdict"] == "Fail"
    assert document["reason"] == "TooSlow"
    assert len(document["checks"]) == 6


def test_it_holds_the_figures_as_integers() -> None:
    document = report(*["well"] * 6).document()
    assert document["verdict"] == "Pass"
    assert document["latencyP99Micros"] == 4
    assert document["latencyP99BestMicros"] == 1
    assert document["throughputRps"] == 77
    assert not [value for value in document.values() if isinstance(value, float)]


def test_the_first_failure_is_the_one_that_is_named() -> None:
    found = report(*["bad"] * 6, failed=2)
    assert not found.passed
    assert found.document()["message"] == "bad"
    assert report(*["well"] * 6).passed

"""The checks, in their order, each a plain function of facts and limits. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from fairlead_runtime.validation.facts import Facts, Limits
from fairlead_runtime.validation.signature import differences


class Status(StrEnum):
    """How a check ended."""

    PASS = "Pass"  # noqa: S105 - no password
    """It was asked, and is well."""
    FAIL = "Fail"
    """The model is to blame."""
    SKIPPED = "Skipped"
    """It was not asked for, or an earlier check makes it pointless."""


class Reason(StrEnum):
    """Why a model is refused."""

    INVALID_MODEL = "InvalidModel"
    """onnxruntime cannot load it."""
    SIGNATURE_MISMATCH = "SignatureMismatch"
    """It does not take or give what clients rely on."""
    EXAMPLES_DIFFER = "ExamplesDiffer"
    """It does not reproduce the golden examples."""
    NOT_FINITE = "NotFinite"
    """Its answers hold NaN or an infinity."""
    MODEL_REFUSES_INPUTS = "ModelRefusesInputs"
    """It fails on rows, or a number of rows, that its signature allows."""
    TOO_SLOW = "TooSlow"
    """Even the best round is over the latency limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        name: Its name.
        status: How it ended.
        message: One line, with value, limit and number of samples.
        reason: Set where it failed.
    """

    name: str
    status: Status
    message: str
    reason: Reason | None = None


def judge(facts: Facts, limits: Limits) -> tuple[Check, ...]:
    """Return every check in its fixed order; the first failure is the one to name."""
    return tuple(check(facts, limits) for check in CHECKS)


def _load(facts: Facts, _: Limits) -> Check:
    if facts.load_error:
        return _fail("load", Reason.INVALID_MODEL, facts.load_error)
    return _pass("load", f"loaded in {facts.load_ms} ms")


def _signature(facts: Facts, limits: Limits) -> Check:
    if facts.signature is None:
        return _skip("signature", "the model is not loaded")
    if limits.signature is None:
        return _skip("signature", "no signature was given")
    found = differences(wanted=limits.signature, actual=facts.signature)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return _fail("signature", Reason.SIGNATURE_MISMATCH, found[0] + more)
    return _pass("signature", "takes and gives what was asked for")


def _examples(facts: Facts, _: Limits) -> Check:
    if facts.signature is None:
        return _skip("examples", "the model is not loaded")
    if facts.examples_misfit:
        return _fail("examples", Reason.EXAMPLES_DIFFER, facts.examples_misfit)
    if facts.compared is None:
        return _skip("examples", "no examples were given")
    for each in facts.compared:
        if each.wrong_rows:
            message = f"output {each.name}: {each.wrong_rows} of {each.rows} rows differ"
            return _fail("examples", Reason.EXAMPLES_DIFFER, f"{message}; {each.first}")
    rows = max((each.rows for each in facts.compared), default=0)
    names = ", ".join(each.name for each in facts.compared)
    return _pass("examples", f"{rows} rows reproduced in {names}")


def _finite(facts: Facts, limits: Limits) -> Check:
    probed = facts.probed
    if probed is None:
        return _skip("finite", "the model did not run")
    kind = "made-up rows" if probed.made_up else "rows of the examples"
    if probed.refused:
        message = f"it fails on {probed.rows} {kind} at once: {probed.refused}"
        message += "; if it cannot take such rows, give examples" if probed.made_up else ""
        return _fail("finite", Reason.MODEL_REFUSES_INPUTS, message)
    milli = limits.max_non_finite_milli
    over = probed.non_finite_rows * 1000 > milli * probed.rows
    names = ", ".join(probed.outputs)
    message = f"NaN or infinity for {probed.non_finite_rows} of {probed.rows} {kind}"
    message += f", limit {milli} thousandths" + (f", in {names}" if names else "")
    return _fail("finite", Reason.NOT_FINITE, message) if over else _pass("finite", message)


def _latency(facts: Facts, limits: Limits) -> Check:
    if not facts.rounds:
        return _skip("latency", "the model did not run")
    median, best = median_p99(facts), min(each.p99_micros for each in facts.rounds)
    runs = sum(each.runs for each in facts.rounds)
    message = (
        f"p99 {_ms(median)} ms (median of {len(facts.rounds)} rounds, best {_ms(best)} ms, "
        f"{runs} runs)"
    )
    if limits.max_latency_ms is None:
        return _pass("latency", message)
    message += f", limit {limits.max_latency_ms} ms"
    # The median may be over the limit because of a noisy neighbour. All five rounds cannot.
    if best > limits.max_latency_ms * 1000:
        return _fail("latency", Reason.TOO_SLOW, message)
    return _pass("latency", message)


def _throughput(facts: Facts, _: Limits) -> Check:
    if facts.throughput_rps is None:
        return _skip("throughput", "the model did not run")
    return _pass("throughput", f"{facts.throughput_rps} requests a second")


CHECKS: tuple[Callable[[Facts, Limits], Check], ...] = (
    _load,  # nothing else makes sense without it
    _signature,  # before the examples: a wrong name is the clearer message
    _examples,
    _finite,
    _latency,
    _throughput,  # never fails: the operator sizes replicas by it
)


def median_p99(facts: Facts) -> int:
    """Return the median over the rounds of their p99, in microseconds."""
    return int(statistics.median(each.p99_micros for each in facts.rounds))


def _ms(micros: int) -> str:
    return f"{micros / 1000:.3g}" if micros < 1_000_000 else f"{micros / 1000:.0f}"


def _pass(name: str, message: str) -> Check:
    return Check(name=name, status=Status.PASS, message=message)


def _skip(name: str, message: str) -> Check:
    return Check(name=name, status=Status.SKIPPED, message=message)


def _fail(name: str, reason: Reason, message: str) -> Check:
    return Check(name=name, status=Status.FAIL, message=message, reason=reason)

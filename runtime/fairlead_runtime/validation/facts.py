"""What was measured, and the limits that it is judged by."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead_runtime.protocol.types import Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One output of the golden examples.

    Attributes:
        name: The output.
        rows: Rows that were compared.
        wrong_rows: Rows that differ by more than the tolerance.
        first: The first such row in words; empty where there is none.
    """

    name: str
    rows: int
    wrong_rows: int
    first: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What the model gave for rows that it was asked.

    Attributes:
        rows: How many.
        non_finite_rows: How many answers hold NaN or an infinity.
        outputs: The outputs that do.
        made_up: True where the rows were made up, False where they are those of the examples.
        refused: Why the model did not take the rows; empty where it did.
    """

    rows: int
    non_finite_rows: int = 0
    outputs: tuple[str, ...] = ()
    made_up: bool = True
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round of the latency measurement, times in microseconds."""

    runs: int
    p50_micros: int
    p99_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was measured. What could not be measured, or was not asked for, is None.

    Attributes:
        load_error: Why the model cannot be loaded; empty where it can.
        load_ms: Milliseconds that loading took.
        signature: What the model takes and gives.
        compared: The outputs of the golden examples.
        examples_misfit: Why the examples do not fit the model; empty where they do.
        probed: Answers that were looked at for NaN and infinities.
        rounds: Rounds of the latency measurement.
        throughput_rps: Requests in a second, one row each or the batch size that was asked for.
    """

    load_error: str = ""
    load_ms: int = 0
    signature: Signature | None = None
    compared: tuple[Compared, ...] | None = None
    examples_misfit: str = ""
    probed: Probed | None = None
    rounds: tuple[Round, ...] = ()
    throughput_rps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the model is judged by.

    Attributes:
        signature: What the model must at least take and give; None asks for nothing.
        max_latency_ms: Most milliseconds of the 99th percentile; None asks for nothing.
        max_non_finite_milli: Most rows, in thousandths, whose answers hold NaN or an infinity.
    """

    signature: Signature | None = None
    max_latency_ms: int | None = None
    max_non_finite_milli: int = 0

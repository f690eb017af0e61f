"""What requests carry, checked as it is read. Their JSON schemas are in the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    model_validator,
)
from pydantic.alias_generators import to_camel

from fairlead_recorder.store.events import MAX_VALUE
from fairlead_runtime.contract.assignment import MAX_RUNS, SLOTS

MOST_OUTCOMES = 10_000
LONGEST_UNIT = 256
LONGEST_KEY = 128
NAMESPACE_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
NAME_PATTERN = r"^[a-z]([-a-z0-9]{0,43}[a-z0-9])?$"
_NO_CONTROLS = r"^[^\x00-\x1f\x7f]+$"
_METRIC = r"^[A-Za-z][-A-Za-z0-9_]{0,62}$"
_SALT = r"^[!-$&-~]{1,128}$"
UID_PATTERN = r"^[-A-Za-z0-9]{1,64}$"

Text = Annotated[str, Field(min_length=1, pattern=_NO_CONTROLS)]
Unit = Annotated[Text, Field(max_length=LONGEST_UNIT)]
Key = Annotated[Text, Field(max_length=LONGEST_KEY)]
Number = Annotated[float, Field(ge=-MAX_VALUE, le=MAX_VALUE, allow_inf_nan=False)]
VariantName = Annotated[str, Field(pattern=NAMESPACE_PATTERN)]
MetricName = Annotated[str, Field(pattern=_METRIC)]


class Wire(BaseModel):
    """The base of all that is read: nothing unknown, nothing converted."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class OutcomeIn(Wire):
    """Something that a unit did."""

    key: Key = Field(
        description="Makes it count once: send the same key when you send it again. "
        "A metric has keys of its own."
    )
    unit: Unit = Field(description="The user, as in the assignment header of the requests.")
    metric: MetricName = Field(description="One of the Experiment's metrics.")
    value: bool | Number = Field(
        description="Binary metrics: true, false, 1 or 0. Others: a number, kept to millionths."
    )
    time: AwareDatetime | None = Field(
        default=None, description="When it happened. Without it, when it came."
    )


class OutcomesIn(Wire):
    """A batch."""

    outcomes: list[OutcomeIn] = Field(min_length=1, max_length=MOST_OUTCOMES)


class RunIn(Wire):
    """Consecutive slots."""

    arm: VariantName
    slots: int = Field(ge=1, le=SLOTS)


class EpochIn(Wire):
    """A version of the slot table."""

    epoch: int = Field(ge=1, le=1_000_000)
    started_at: AwareDatetime
    table: list[RunIn] = Field(min_length=1, max_length=MAX_RUNS)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        total = sum(run.slots for run in self.table)
        if total != SLOTS:
            raise ValueError(f"the slots of a table must sum to {SLOTS}, not {total}")
        return self


class MetricIn(Wire):
    """A metric."""

    name: MetricName
    type: Literal["binary", "mean", "ratio"] = Field(
        description="`binary`: the unit did it or not. `mean`: the sum of the unit's values. "
        "`ratio`: the sum of one mean, divided by that of another; nothing is sent for it."
    )
    goal: Literal["increase", "decrease"] = "increase"
    numerator: MetricName | None = Field(default=None, description="Of a ratio: a mean.")
    denominator: MetricName | None = Field(default=None, description="Of a ratio: another mean.")


class AnalysisIn(Wire):
    """Settings of the analysis, for the page: it judges as the operator does."""

    alpha_percent: int = Field(default=5, ge=1, le=50)
    expected_units: int = Field(default=5_000, ge=1, le=1_000_000_000)
    planned_units: int = Field(default=0, ge=0, le=1_000_000_000)
    min_samples_per_variant: int = Field(default=0, ge=0, le=1_000_000_000)


class ExperimentIn(Wire):
    """What the recorder needs to know of an Experiment."""

    uid: str = Field(pattern=UID_PATTERN, description="UID of the resource.")
    salt: str = Field(pattern=_SALT, description="What the router puts before the user.")
    variants: list[VariantName] = Field(
        min_length=2, max_length=8, json_schema_extra={"uniqueItems": True}
    )
    metrics: list[MetricIn] = Field(min_length=1, max_length=16)
    outcome_window_seconds: int = Field(ge=1, le=31_536_000)
    epochs: list[EpochIn] = Field(default=[], max_length=1_000)
    analysis: AnalysisIn = AnalysisIn()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.variants)) < len(self.variants):
            raise ValueError("each variant needs a name of its own")
        if len({metric.name for metric in self.metrics}) < len(self.metrics):
            raise ValueError("each metric needs a name of its own")
        means = {metric.name for metric in self.metrics if metric.type == "mean"}
        for metric in self.metrics:
            parts = {part for part in (metric.numerator, metric.denominator) if part is not None}
            if metric.type == "ratio" and not (len(parts) == 2 and parts <= means):
                raise ValueError(f"{metric.name} is a ratio: name two metrics of type mean")
            if metric.type != "ratio" and parts:
                raise ValueError(f"{metric.name} is no ratio: it has no numerator and denominator")
        if len({epoch.epoch for epoch in self.epochs}) < len(self.epochs):
            raise ValueError("each epoch needs a number of its own")
        unknown = {run.arm for epoch in self.epochs for run in epoch.table} - set(self.variants)
        if unknown:
            raise ValueError(f"tables name arms that are no variants: {', '.join(sorted(unknown))}")
        return self


class GuardrailIn(Wire):
    """A guardrail, as the operator judges it."""

    name: str = Field(max_length=128)
    verdict: str = Field(max_length=32)
    value: str = Field(default="", max_length=64)
    limit: str = Field(default="", max_length=64)


class JudgementIn(Wire):
    """What the operator says of an Experiment, shown on its page."""

    uid: str = Field(pattern=UID_PATTERN)
    phase: str = Field(max_length=32)
    message: str = Field(default="", max_length=1_024)
    leader: str = Field(default="", max_length=63)
    recommendation: str = Field(default="", max_length=4_096)
    guardrails: list[GuardrailIn] = Field(default=[], max_length=8)


OUTCOMES: TypeAdapter[OutcomesIn] = TypeAdapter(OutcomesIn)
EXPERIMENT: TypeAdapter[ExperimentIn] = TypeAdapter(ExperimentIn)
JUDGEMENT: TypeAdapter[JudgementIn] = TypeAdapter(JudgementIn)

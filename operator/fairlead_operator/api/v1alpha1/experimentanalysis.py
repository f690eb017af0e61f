"""What an Experiment measures, what it must not break, and when a difference counts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from fairlead_operator.api import times
from fairlead_operator.api.v1alpha1.common import APIModel, rules

MEASURED = ("latencyP99Ms", "error", "clientError")
"""Guardrail metrics that the routers measure; no metric of the application has such a name."""
MEASURED_CEL = "[" + ", ".join(f"'{name}'" for name in MEASURED) + "]"

MetricName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        json_schema_extra=rules(
            (
                "self.matches('^[A-Za-z][-A-Za-z0-9_]*$')",
                "a metric's name must be letters, digits, '-' and '_', and begin with a letter",
            )
        ),
    ),
]


def _duration(least: str, what: str) -> dict[str, Any]:
    return {
        "pattern": times.DURATION,
        **rules((f"duration(self) >= duration('{least}')", f"{what} must be at least {least}")),
    }


class MetricSpec(APIModel):
    """What the application reports for a user, and which way is good."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                (
                    "self.type == 'ratio' ? has(self.numerator) && has(self.denominator) && "
                    "self.numerator != self.denominator : "
                    "!has(self.numerator) && !has(self.denominator)"
                ),
                "a metric of type ratio has a numerator and another denominator; no other type has",
            )
        )
    )

    name: Annotated[
        MetricName, Field(description="Name under which outcomes are sent to the recorder.")
    ]
    type: Annotated[
        Literal["binary", "mean", "ratio"],
        Field(
            description=(
                "binary: a user did it or not. mean: a number per user, the sum of what was sent "
                "for the user, 0 without any. ratio: the sum of one metric of type mean over all "
                "users, divided by that of another; nothing is sent for it."
            )
        ),
    ]
    goal: Annotated[Literal["increase", "decrease"], Field(description="Which way is good.")] = (
        "increase"
    )
    numerator: Annotated[
        MetricName | None,
        Field(description="Of type ratio: the metric of type mean that is divided."),
    ] = None
    denominator: Annotated[
        MetricName | None,
        Field(description="Of type ratio: the metric of type mean that it is divided by."),
    ] = None
    minimum_effect_percent: Annotated[
        int | None,
        Field(
            ge=1,
            le=1000,
            description=(
                "Smallest relative change worth finding. The interval is made tightest where such "
                "a change would be decided; it decides nothing by itself."
            ),
        ),
    ] = None


class GuardrailSpec(APIModel):
    """A limit whose breach sends all users to the control and stops the Experiment."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                (
                    "[has(self.max), has(self.maxBasisPoints), has(self.maxIncreasePercent)]"
                    ".filter(x, x).size() == 1"
                ),
                "a guardrail has one of max, maxBasisPoints and maxIncreasePercent",
            ),
            (
                "has(self.max) == (self.metric == 'latencyP99Ms')",
                (
                    "latencyP99Ms takes max, in milliseconds; every other metric takes "
                    "maxBasisPoints or maxIncreasePercent"
                ),
            ),
        )
    )

    metric: Annotated[
        str,
        Field(
            min_length=1,
            max_length=63,
            description=(
                "latencyP99Ms, error (HTTP 5xx, resets, timeouts, gRPC failures), clientError "
                "(HTTP 4xx), or a binary metric of this Experiment, whose ones are then the bad "
                "ones."
            ),
        ),
    ]
    max: Annotated[
        int | None,
        Field(ge=1, le=600_000, description="Limit of latencyP99Ms: 1 % may be slower, in ms."),
    ] = None
    max_basis_points: Annotated[
        int | None,
        Field(ge=1, le=9_999, description="Limit of a share, in hundredths of a percent."),
    ] = None
    max_increase_percent: Annotated[
        int | None,
        Field(
            ge=0,
            le=1000,
            description="How much more often than with the control it may happen, in percent.",
        ),
    ] = None


class AnalysisSpec(APIModel):
    """When a difference counts."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                (
                    "!has(self.plannedSamplesPerVariant) || "
                    "self.plannedSamplesPerVariant >= self.minSamplesPerVariant"
                ),
                "plannedSamplesPerVariant must not be less than minSamplesPerVariant",
            )
        )
    )

    method: Annotated[
        Literal["sequential"],
        Field(description="Anytime-valid: right however often and whenever one looks."),
    ] = "sequential"
    alpha_percent: Annotated[
        int,
        Field(
            ge=1,
            le=20,
            description="How often an Experiment without any difference may declare a winner.",
        ),
    ] = 5
    min_samples_per_variant: Annotated[
        int,
        Field(ge=100, le=1_000_000_000, description="Users that each arm needs for a verdict."),
    ] = 500
    planned_samples_per_variant: Annotated[
        int | None,
        Field(
            ge=100,
            le=1_000_000_000,
            description=(
                "Users per arm at which a decision is expected, from `fairlead plan`: there the "
                "interval is tightest. Default: computed once from minimumEffectPercent and the "
                "rate over all arms, when each arm has minSamplesPerVariant; else 2500."
            ),
        ),
    ] = None
    outcome_window: Annotated[
        str,
        Field(
            max_length=32,
            description="For so long after a user's first request outcomes count.",
            json_schema_extra=_duration("1s", "outcomeWindow"),
        ),
    ] = "168h"
    max_duration: Annotated[
        str,
        Field(
            max_length=32,
            description="After so long without a winner the Experiment is Inconclusive.",
            json_schema_extra=_duration("1m", "maxDuration"),
        ),
    ] = "336h"

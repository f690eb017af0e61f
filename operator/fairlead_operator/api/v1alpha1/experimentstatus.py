"""`status` of an Experiment: who gets which arm, what was counted, and what follows from it.

Instants, counts and tables are exact, because a pass goes on from them. Rates, lifts and p-values
are text, rounded for people; nobody computes with them.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from fairlead_operator.api.v1alpha1.common import APIModel
from fairlead_operator.api.v1alpha1.status import Condition

MAX_EPOCHS = 32
"""Versions of the slot table that status remembers."""
MAX_RUNS = 256
"""Runs of the slot table, as many as a router may have."""
_DATE: dict[str, Any] = {"format": "date-time"}
_LONG: dict[str, Any] = {"format": "int64"}

Text = Annotated[str, Field(max_length=256)]


def _keyed(*keys: str) -> dict[str, Any]:
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


class SlotRun(APIModel):
    """Consecutive slots of one arm."""

    arm: Annotated[str, Field(max_length=63, description="Name of the variant.")]
    slots: Annotated[int, Field(description="How many slots, of 10000.")]


class Epoch(APIModel):
    """A version of the slot table."""

    number: Annotated[int, Field(description="Its number, from 1.")]
    since: Annotated[str, Field(description="When it was written.", json_schema_extra=_DATE)]
    slots: Annotated[
        list[int], Field(max_length=8, description="Slots of each arm, in the spec's order.")
    ]


class AssignmentStatus(APIModel):
    """All that it takes to tell any user's arm: see `fairlead assign`."""

    header: Annotated[str, Field(max_length=128, description="Header with the user, lower-case.")]
    salt: Annotated[str, Field(max_length=128, description="What goes before the user.")]
    algorithm: Annotated[str, Field(max_length=64, description="How a user's slot is computed.")]
    table: Annotated[
        list[SlotRun],
        Field(
            max_length=MAX_RUNS,
            description="The slot table: 10000 slots, in order.",
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ]
    epochs: Annotated[
        list[Epoch],
        Field(
            max_length=MAX_EPOCHS,
            description="Versions of the table, oldest first.",
            json_schema_extra=_keyed("number"),
        ),
    ]


class ArmStatus(APIModel):
    """An arm, pinned to one revision while the Experiment runs."""

    name: Annotated[str, Field(max_length=63, description="Name of the variant.")]
    model_deployment: Annotated[str, Field(max_length=63, description="Its ModelDeployment.")]
    revision: Annotated[
        str, Field(max_length=64, description="Hash of the revision that it is pinned to.")
    ]
    key: Annotated[str, Field(max_length=63, description="Name of the revision's objects.")]
    host: Annotated[
        str, Field(max_length=253, description="DNS name of the revision's headless Service.")
    ]
    slots: Annotated[int | None, Field(description="Slots that it has now, of 10000.")] = None
    units: Annotated[
        int | None,
        Field(description="Users counted for it.", json_schema_extra=_LONG),
    ] = None
    departed: Annotated[
        int | None,
        Field(
            description="Users who left the analysis because their slot has another arm now.",
            json_schema_extra=_LONG,
        ),
    ] = None
    crossed: Annotated[
        int | None,
        Field(
            description="Users who were seen in another arm than their first; they stay counted.",
            json_schema_extra=_LONG,
        ),
    ] = None
    unavailable_since: Annotated[
        str | None,
        Field(description="Since when it is not Ready.", json_schema_extra=_DATE),
    ] = None


class ArmResult(APIModel):
    """What one metric says of one arm."""

    variant: Annotated[str, Field(max_length=63, description="Name of the variant.")]
    units: Annotated[int, Field(description="Users.", json_schema_extra=_LONG)]
    outcomes: Annotated[
        int | None,
        Field(description="Users with the outcome; of a binary metric.", json_schema_extra=_LONG),
    ] = None
    value: Annotated[Text | None, Field(description="Rate or mean.")] = None
    interval: Annotated[
        Text | None, Field(description="Anytime-valid interval of the rate or mean.")
    ] = None
    lift: Annotated[Text | None, Field(description="Relative change against the control.")] = None
    lift_interval: Annotated[
        Text | None, Field(description="Anytime-valid interval of the lift.")
    ] = None
    p_value: Annotated[
        Text | None,
        Field(description="Anytime-valid, adjusted for the number of arms (Holm)."),
    ] = None
    probability_best: Annotated[
        Text | None,
        Field(description="Probability to be the best arm (Bayes); shown, not decided by."),
    ] = None


class MetricStatus(APIModel):
    """Results of one metric."""

    name: Annotated[str, Field(max_length=63, description="Name of the metric.")]
    type: Annotated[str, Field(max_length=16, description="binary or mean.")]
    goal: Annotated[str, Field(max_length=16, description="increase or decrease.")]
    p_value: Annotated[
        Text | None,
        Field(
            description=(
                "Chi-squared over all arms as if one had looked once; for people, of a binary "
                "metric."
            )
        ),
    ] = None
    significant: Annotated[
        bool | None, Field(description="Whether pValue is below alpha. It decides nothing.")
    ] = None
    arms: Annotated[
        list[ArmResult],
        Field(max_length=8, description="By variant.", json_schema_extra=_keyed("variant")),
    ]


class SampleRatioStatus(APIModel):
    """Whether users arrive as the weights say."""

    p_value: Annotated[
        Text | None, Field(description="Chi-squared, expected counts by epoch; for people.")
    ] = None
    sequential_p_value: Annotated[
        Text | None, Field(description="Anytime-valid; below 1 % is a mismatch.")
    ] = None
    expected: Annotated[
        list[int] | None,
        Field(max_length=8, description="Users expected of each arm, in the spec's order."),
    ] = None
    mismatch_at: Annotated[
        str | None,
        Field(description="When a mismatch was found.", json_schema_extra=_DATE),
    ] = None


class GuardrailStatus(APIModel):
    """One guardrail of one arm."""

    metric: Annotated[str, Field(max_length=63, description="Its metric.")]
    variant: Annotated[str, Field(max_length=63, description="Name of the variant.")]
    kind: Annotated[
        str, Field(max_length=32, description="max, maxBasisPoints or maxIncreasePercent.")
    ]
    verdict: Annotated[
        str,
        Field(
            max_length=16,
            description=(
                "Pass, Breach, SharedBreach (the control's as well: reported only), "
                "Inconclusive, NoEvidence or Stale."
            ),
        ),
    ]
    value: Annotated[Text | None, Field(description="What was measured.")] = None
    limit: Annotated[Text, Field(description="What is allowed.")]
    samples: Annotated[
        int, Field(description="Requests or users behind the value.", json_schema_extra=_LONG)
    ]
    until: Annotated[
        str | None, Field(description="End of its window.", json_schema_extra=_DATE)
    ] = None
    breached_at: Annotated[
        str | None, Field(description="When it was breached.", json_schema_extra=_DATE)
    ] = None


class DecisionStatus(APIModel):
    """The winner, as it was when it was declared."""

    variant: Annotated[str, Field(max_length=63, description="The arm that won.")]
    metric: Annotated[str, Field(max_length=63, description="On which metric.")]
    at: Annotated[str, Field(description="When.", json_schema_extra=_DATE)]
    lift: Annotated[Text, Field(description="Relative change against the control.")]
    lift_interval: Annotated[Text | None, Field(description="Its interval.")] = None
    p_value: Annotated[Text, Field(description="Adjusted for the number of arms.")]
    units: Annotated[int, Field(description="Users of all arms.", json_schema_extra=_LONG)]


class RecommendationStatus(APIModel):
    """What to do now; nothing of it is done by itself."""

    text: Annotated[str, Field(max_length=2048, description="In words.")]
    patch: Annotated[
        str | None,
        Field(
            max_length=16384,
            description=(
                "JSON patch (RFC 6902) for the target, for `kubectl patch --type=json`; Git makes "
                "it permanent."
            ),
        ),
    ] = None


class EvidenceStatus(APIModel):
    """What the recorder has counted beside the arms."""

    at: Annotated[str, Field(description="State of the counts.", json_schema_extra=_DATE)]
    unexposed_outcomes: Annotated[
        int, Field(description="Outcomes of users without exposure.", json_schema_extra=_LONG)
    ] = 0
    outcomes_outside_window: Annotated[
        int,
        Field(
            description="Outcomes from before the exposure or after outcomeWindow, not counted.",
            json_schema_extra=_LONG,
        ),
    ] = 0
    gaps: Annotated[int, Field(description="Times at which exposures may have been lost.")] = 0
    gap_seconds: Annotated[int, Field(description="How long those were together.")] = 0


class PlanStatus(APIModel):
    """For how many users the interval is made tightest: fixed before the first verdict."""

    expected_units: Annotated[
        int,
        Field(
            description="Users of the control and one other arm, as of an even split.",
            json_schema_extra=_LONG,
        ),
    ]
    fixed_at: Annotated[str, Field(description="When.", json_schema_extra=_DATE)]
    source: Annotated[str, Field(max_length=256, description="Where the number is from.")]


class ExperimentStatus(APIModel):
    """What is."""

    observed_generation: Annotated[
        int | None,
        Field(
            ge=0,
            description="Generation of the resource that this status speaks of.",
            json_schema_extra=_LONG,
        ),
    ] = None
    conditions: Annotated[
        list[Condition] | None,
        Field(
            max_length=16,
            description="Ready, Reconciling and Stalled.",
            json_schema_extra=_keyed("type"),
        ),
    ] = None
    phase: Annotated[
        str | None,
        Field(
            max_length=32,
            description=(
                "Pending, Running, Decided, Inconclusive, Stopped or Invalid; derived from what "
                "else stands here."
            ),
        ),
    ] = None
    reason: Annotated[
        str | None, Field(max_length=64, description="Reason of the condition Ready.")
    ] = None
    split: Annotated[
        bool | None,
        Field(description="Whether the target's address is to be split by `assignment`."),
    ] = None
    arms: Annotated[
        str | None, Field(max_length=256, description="Weights of the arms, for the column.")
    ] = None
    units: Annotated[int | None, Field(description="Users counted.", json_schema_extra=_LONG)] = (
        None
    )
    leader: Annotated[
        str | None, Field(max_length=63, description="The arm that is ahead, or has won.")
    ] = None
    lift: Annotated[
        Text | None, Field(description="Lift of the best other arm, with its interval.")
    ] = None
    p_value: Annotated[Text | None, Field(description="P-value of that lift.")] = None
    ratio: Annotated[Text | None, Field(description="Whether users arrive as the weights say.")] = (
        None
    )
    started_at: Annotated[
        str | None,
        Field(description="When users began to be split.", json_schema_extra=_DATE),
    ] = None
    ended_at: Annotated[
        str | None, Field(description="When the verdict or the end was.", json_schema_extra=_DATE)
    ] = None
    assignment: Annotated[AssignmentStatus | None, Field(description="Who gets which arm.")] = None
    variants: Annotated[
        list[ArmStatus] | None,
        Field(
            max_length=8,
            description="The arms, the control first.",
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ] = None
    plan: Annotated[PlanStatus | None, Field(description="The plan.")] = None
    results: Annotated[
        list[MetricStatus] | None,
        Field(max_length=16, description="By metric.", json_schema_extra=_keyed("name")),
    ] = None
    sample_ratio: Annotated[
        SampleRatioStatus | None, Field(description="Whether users arrive as the weights say.")
    ] = None
    guardrails: Annotated[
        list[GuardrailStatus] | None,
        Field(
            max_length=64,
            description="By guardrail and arm.",
            json_schema_extra=_keyed("metric", "kind", "variant"),
        ),
    ] = None
    decision: Annotated[DecisionStatus | None, Field(description="The winner.")] = None
    recommendation: Annotated[RecommendationStatus | None, Field(description="What to do now.")] = (
        None
    )
    evidence: Annotated[
        EvidenceStatus | None, Field(description="What the recorder says beside the counts.")
    ] = None
    measured_at: Annotated[
        str | None,
        Field(description="When the numbers here were measured.", json_schema_extra=_DATE),
    ] = None

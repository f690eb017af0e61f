"""When a model counts as worse than it was: `spec.performance` of a ModelDeployment."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from fairlead_operator.api.v1alpha1.common import APIModel, rules
from fairlead_operator.api.v1alpha1.rollout import Duration


class ReferenceSpec(APIModel):
    """Outcomes of a time when the model was well, such as its held-out rows."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self.errors <= self.outcomes", "errors must not be more than outcomes")
        )
    )

    outcomes: Annotated[int, Field(ge=100, le=1_000_000_000, description="How many there were.")]
    errors: Annotated[
        int,
        Field(ge=0, le=1_000_000_000, description="How many of them the model got wrong."),
    ]


class PerformanceSpec(APIModel):
    """How predictions are compared with their outcomes. A change makes no new revision."""

    output: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=256,
            description="The output that is compared, one value a row. Default: the first.",
        ),
    ] = None
    tolerance_milli: Annotated[
        int | None,
        Field(
            ge=0,
            le=1_000_000_000,
            description=(
                "How far a number may be off and still be right, in thousandths. Without it the "
                "output is a label, which is right where it is the outcome."
            ),
        ),
    ] = None
    reference: Annotated[
        ReferenceSpec | None,
        Field(
            description=(
                "What the model is measured by. Default: the first outcomes of its revision, so "
                "that one which was bad from the start is not found out."
            )
        ),
    ] = None
    reference_outcomes: Annotated[
        int,
        Field(
            ge=100,
            le=1_000_000,
            description="How many of its first outcomes the revision is measured by.",
        ),
    ] = 500
    max_increase_basis_points: Annotated[
        int,
        Field(
            ge=0,
            le=9999,
            description=(
                "By how much the share of wrong predictions may grow beyond what chance explains "
                "of the reference, in hundredths of a percent."
            ),
        ),
    ] = 200
    window: Annotated[
        Duration,
        Field(
            description="How long the windows are in which outcomes are counted, for example 1h.",
            json_schema_extra=rules(
                (
                    "duration(self) >= duration('1m') && duration(self) <= duration('24h')",
                    "window must be 1m to 24h",
                )
            ),
        ),
    ] = "1h"

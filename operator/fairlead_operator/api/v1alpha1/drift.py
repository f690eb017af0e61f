"""When a model's traffic counts as drifted: `spec.drift` of a ModelDeployment."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fairlead_operator.api.v1alpha1.common import APIModel, rules
from fairlead_operator.api.v1alpha1.rollout import Duration


class DriftSpec(APIModel):
    """When traffic counts as drifted. A change makes no new revision."""

    min_rows: Annotated[
        int,
        Field(
            ge=100,
            le=10_000_000,
            description=(
                "The fewest rows of a look, over all replicas. Where rows depend on each other, "
                "as those of one user's session do, more are needed to say the same."
            ),
        ),
    ] = 1000
    look_every: Annotated[
        Duration,
        Field(
            description=(
                "The least time between two looks, and that a look's rows cover, for example 5m."
            ),
            json_schema_extra=rules(
                (
                    "duration(self) >= duration('1m') && duration(self) <= duration('24h')",
                    "lookEvery must be 1m to 24h: replicas count by the minute",
                )
            ),
        ),
    ] = "5m"
    max_psi_milli: Annotated[
        int,
        Field(
            ge=1,
            le=100_000,
            description=(
                "Largest population stability index against the profile, in thousandths, beyond "
                "what chance explains: 100 is a third of a standard deviation."
            ),
        ),
    ] = 100
    raise_after: Annotated[
        int, Field(ge=1, le=100, description="Looks in a row beyond it that raise the alarm.")
    ] = 2
    clear_after: Annotated[
        int, Field(ge=1, le=1000, description="Looks in a row within it that clear the alarm.")
    ] = 6

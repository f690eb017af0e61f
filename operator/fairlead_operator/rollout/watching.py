"""`spec.performance`, as it is judged and as the recorder is told. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairlead_operator.api import duration

if TYPE_CHECKING:
    from fairlead_operator.stats.performance import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """What `spec.performance` asks for.

    Attributes:
        spec: The spec with defaults, as JSON.
    """

    spec: Mapping[str, Any]

    @property
    def registration(self) -> dict[str, Any]:
        """What the recorder has to know."""
        found: dict[str, Any] = {"windowSeconds": duration.seconds(str(self.spec["window"]))}
        if self.spec.get("output"):
            found["output"] = str(self.spec["output"])
        if self.spec.get("toleranceMilli") is not None:
            found["tolerance"] = int(self.spec["toleranceMilli"]) / 1000
        return found

    @property
    def rules(self) -> Rules:
        """When the model counts as degraded."""
        from fairlead_operator.stats.aggregates import Binary
        from fairlead_operator.stats.performance import Rules

        given = self.spec.get("reference")
        return Rules(
            reference=Binary(int(given["outcomes"]), int(given["errors"])) if given else None,
            reference_outcomes=int(self.spec["referenceOutcomes"]),
            margin=int(self.spec["maxIncreaseBasisPoints"]) / 10_000,
            window_s=float(duration.seconds(str(self.spec["window"]))),
        )

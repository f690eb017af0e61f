"""Everything that one pass over an Experiment knows, frozen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from fairlead_operator.api.v1alpha1 import ExperimentSpec
from fairlead_operator.experiment.memory import Memory
from fairlead_operator.stats.aggregates import Binary, Moments
from fairlead_operator.stats.quotients import Quotient
from fairlead_operator.traffic.counts import Window

Counted = Binary | Moments | Quotient
"""What is counted of a metric: `binary`, `mean` and `ratio`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input of a model, as the Open Inference Protocol tells it.

    Attributes:
        name: Its name.
        datatype: For example FP32.
        shape: Its dimensions; -1 is any.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]

    def takes(self, other: Input) -> bool:
        """Whether whatever the other takes is taken here as well."""
        return (
            (self.name, self.datatype) == (other.name, other.datatype)
            and len(self.shape) == len(other.shape)
            and all(
                mine in (-1, theirs) for mine, theirs in zip(self.shape, other.shape, strict=True)
            )
        )

    def __str__(self) -> str:
        return f"{self.name} {self.datatype}{list(self.shape)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A ModelDeployment that is an arm, as it is now.

    Attributes:
        name: Its name.
        revision: Hash of the revision that has its address; None before the first is ready.
        key: Name of that revision's objects.
        host: DNS name of that revision's headless Service.
        ready: Whether that revision has a ready replica.
        moving: Whether another revision is to take its place.
        inputs: What the model takes; None where it has not told.
        model: The revision's `spec.model`.
        runtime: The revision's `spec.runtime`.
    """

    name: str
    revision: str | None = None
    key: str = ""
    host: str = ""
    ready: bool = False
    moving: bool = False
    inputs: tuple[Input, ...] | None = None
    model: Mapping[str, object] = field(default_factory=dict)
    runtime: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCounts:
    """One arm's units of one epoch, those whose slot has kept the arm ever since.

    Attributes:
        units: How many.
        departed: Units that have left because their slot has not.
        crossed: Units that were seen in another arm than that of their first exposure; they stay.
        metrics: Outcomes by metric; the count is all units, those without outcome included.
    """

    units: int = 0
    departed: int = 0
    crossed: int = 0
    metrics: Mapping[str, Counted] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregates:
    """What the recorder has counted.

    Attributes:
        at: The state that this is of.
        epochs: By epoch and arm.
        staying: By epoch and arm: the slots that have kept the arm in all later epochs.
        settling: Whether units of slots that moved still have to leave: units and slots do not fit
            each other until then.
        unexposed: Outcomes of users without exposure.
        outside: Outcomes from before the exposure or after the window.
        gaps: Times at which exposures may have been lost.
        gap_seconds: How long those were together.
    """

    at: dt.datetime
    epochs: Mapping[int, Mapping[str, ArmCounts]]
    staying: Mapping[int, Mapping[str, int]]
    settling: bool = False
    unexposed: int = 0
    outside: int = 0
    gaps: int = 0
    gap_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """Another Experiment on the same target that is not over.

    Attributes:
        name: Its name.
        created: When it was made.
        splitting: Whether its split is wanted already.
    """

    name: str
    created: dt.datetime
    splitting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One Experiment and all that its next step depends on.

    Attributes:
        name: Its name.
        namespace: Its namespace.
        uid: Its UID.
        created: When it was made.
        spec: What is wanted.
        memory: What status remembers.
        members: The ModelDeployments that exist, by name.
        rivals: Other Experiments on the target.
        registered: Whether the recorder knows this Experiment with its present table, or would take
            it now.
        refusal: Why not, in the recorder's words.
        live_since: Since when every router carries the table that status has; None while not.
        aggregates: What the recorder has counted; None where it did not answer.
        windows: What the routers counted since the split began: the last one is an hour at most.
    """

    name: str
    namespace: str
    uid: str
    created: dt.datetime
    spec: ExperimentSpec
    memory: Memory
    members: Mapping[str, Member] = field(default_factory=dict)
    rivals: tuple[Rival, ...] = ()
    registered: bool = False
    refusal: str = ""
    live_since: dt.datetime | None = None
    aggregates: Aggregates | None = None
    windows: tuple[Window, ...] = ()

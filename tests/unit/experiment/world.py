"""An Experiment in a world of plain values; nothing survives a pass but its status."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead_operator.api.v1alpha1 import ExperimentSpec
from fairlead_operator.experiment import memory as memory_module
from fairlead_operator.experiment import status as status_module
from fairlead_operator.experiment.decide import Decision, decide
from fairlead_operator.experiment.facts import (
    Aggregates,
    ArmCounts,
    Input,
    Member,
    Rival,
    Snapshot,
)
from fairlead_operator.stats.aggregates import Binary, Moments
from fairlead_operator.traffic.counts import Counts, Window

NOW = dt.datetime(2026, 1, 1, 12, 0, tzinfo=dt.UTC)
INPUTS = (Input(name="x", datatype="FP32", shape=(-1, 4)),)


def later(**length: float) -> dt.datetime:
    """Return an instant after NOW."""
    return NOW + dt.timedelta(**length)


def a_spec(**changes: Any) -> dict[str, Any]:
    """Return a spec as users write it."""
    base: dict[str, Any] = {
        "target": "ranker",
        "variants": [
            {"name": "control", "modelDeployment": "ranker", "weight": 50},
            {"name": "bigger", "modelDeployment": "ranker-large", "weight": 50},
        ],
        "assignment": {"header": "X-User-Id"},
        "metrics": [{"name": "conversion", "type": "binary"}],
    }
    return {**base, **changes}


def three_arms(*weights: int) -> list[dict[str, Any]]:
    """Return three variants with these weights."""
    names = (("control", "ranker"), ("bigger", "ranker-large"), ("small", "ranker-small"))
    return [
        {"name": name, "modelDeployment": model, "weight": weight}
        for (name, model), weight in zip(names, weights, strict=True)
    ]


def a_member(name: str, **changes: Any) -> Member:
    """Return a ModelDeployment that serves."""
    base = Member(
        name=name,
        revision=f"{name}-hash",
        key=f"{name}-aaaa1111",
        host=f"{name}-aaaa1111.team.svc",
        ready=True,
        inputs=INPUTS,
        model={"uri": f"s3://models/{name}.onnx"},
    )
    return dataclasses.replace(base, **changes)


def counted(
    *epochs: Mapping[str, tuple[int, int]],
    at: dt.datetime = NOW,
    staying: Sequence[Mapping[str, int]] = (),
) -> Aggregates:
    """Return aggregates of conversions: by epoch and arm, units and successes.

    Unless it is said which slots have stayed, there are as many as make the ratio right.
    """
    return Aggregates(
        at=at,
        epochs={
            number: {
                arm: ArmCounts(units=n, metrics={"conversion": Binary(n, x)})
                for arm, (n, x) in arms.items()
            }
            for number, arms in enumerate(epochs, start=1)
        },
        staying=dict(enumerate(staying, start=1))
        or {
            number: {arm: n for arm, (n, _) in arms.items()}
            for number, arms in enumerate(epochs, start=1)
        },
    )


def revenue(mean: float, n: int) -> Moments:
    """Return values around a mean with a standard deviation of 1."""
    return Moments(n, mean * n, (1 + mean * mean) * n)


def requests(begin: dt.datetime, end: dt.datetime, **errors: tuple[int, int]) -> Window:
    """Return a window: by arm (`bigger` is `ranker-large`), requests and errors."""
    keys = {"control": "ranker", "bigger": "ranker-large", "small": "ranker-small"}
    return Window(
        begin=begin,
        end=end,
        arms={
            f"{keys[arm]}-aaaa1111": Counts(requests=n, errors=bad)
            for arm, (n, bad) in errors.items()
        },
    )


class World:
    """What exists around one Experiment."""

    def __init__(self, **spec: Any) -> None:
        self.spec = a_spec(**spec)
        self.status: dict[str, Any] = {}
        self.members = {n: a_member(n) for n in ("ranker", "ranker-large", "ranker-small")}
        self.rivals: tuple[Rival, ...] = ()
        self.registered = True
        self.live = True
        self.aggregates: Aggregates | None = None
        self.windows: tuple[Window, ...] = ()
        self.written = 0

    @property
    def resource(self) -> dict[str, Any]:
        """The Experiment as the API server gives it."""
        return {
            "metadata": {
                "name": "checkout",
                "namespace": "team",
                "uid": "uid-1",
                "generation": 1,
                "creationTimestamp": "2026-01-01T11:00:00Z",
            },
            "spec": self.spec,
            "status": self.status,
        }

    def snapshot(self, now: dt.datetime = NOW) -> Snapshot:
        """Return what a pass knows."""
        memory = memory_module.from_status(self.status)
        return Snapshot(
            name="checkout",
            namespace="team",
            uid="uid-1",
            created=dt.datetime(2026, 1, 1, 11, 0, tzinfo=dt.UTC),
            spec=ExperimentSpec.model_validate(self.spec),
            memory=memory,
            members=self.members,
            rivals=self.rivals,
            registered=self.registered,
            live_since=now if self.live and memory.split else None,
            aggregates=self.aggregates,
            windows=self.windows,
        )

    def step(self, now: dt.datetime = NOW) -> Decision:
        """Make one pass and write its status."""
        snapshot = self.snapshot(now)
        decision = decide(snapshot, now)
        new = status_module.compose(self.resource, snapshot, decision, now)
        assert memory_module.from_status(new).split == decision.memory.split
        if status_module.worth_writing(self.status, new, now):
            self.status = new
            self.written += 1
        return decision

    def run(self, now: dt.datetime = NOW) -> Decision:
        """Make passes until it runs."""
        for _ in range(5):
            decision = self.step(now)
            if decision.phase.value == "Running":
                return decision
        raise AssertionError(f"it does not start: {decision.message}")

    def weights(self, *weights: int) -> None:
        """Change the weights of the spec."""
        self.spec["variants"] = [
            {**variant, "weight": weight}
            for variant, weight in zip(self.spec["variants"], weights, strict=True)
        ]

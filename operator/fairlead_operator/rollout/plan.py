"""`spec.rollout` and `spec.objectives` as the machine reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlead_operator.api import duration
from fairlead_operator.api.v1alpha1.rollout import GatesSpec, NoData, RolloutSpec, ValidationSpec
from fairlead_operator.rollout.verdict import Gate
from fairlead_operator.traffic import weights
from fairlead_runtime.contract.assignment import SLOTS

_PERCENT = SLOTS // 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A share of the traffic, and for how long at least."""

    slots: int
    hold_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the candidate is judged by; None is no gate.

    Attributes:
        min_requests: Requests of the candidate that a step needs.
        errors: Largest share of failed requests.
        latency_p99_ms: Largest 99th percentile.
        latency_increase: By which part of the stable's p99 it may be longer.
        client_error_increase: By which part of the stable's the 4xx share may be larger.
        restarts: Most restarts beyond the stable's.
        out_of_memory: Most containers killed for their memory beyond the stable's.
        non_finite: Largest share of predictions with NaN or infinity.
        mirror_difference: Largest share of differing copies.
        prediction_shift: Largest PSI of the predictions, thousandths.
        drift: Largest PSI of the inputs, thousandths.
        alpha: Probability of condemning a candidate that keeps all limits.
        ignore: Gates that are shown and decide nothing.
    """

    min_requests: int = 200
    errors: float | None = 0.01
    latency_p99_ms: int | None = None
    latency_increase: float | None = 0.25
    client_error_increase: float | None = None
    restarts: int | None = 1
    out_of_memory: int | None = 0
    non_finite: float | None = 0.005
    mirror_difference: float | None = None
    prediction_shift: int | None = None
    drift: int | None = None
    alpha: float = 0.01
    ignore: frozenset[Gate] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a revision gets the traffic.

    Attributes:
        steps: The steps.
        mirror: Shadow traffic before them: basis points of copies, and for how long.
        limits: What it is judged by.
        no_data: What happens at a deadline without a decision.
        deadline_s: How long a step may take.
        paused: Whether the spec asks to keep the step.
        header: Name of the header with the user, for a sticky canary.
        validate: Whether a candidate is validated.
    """

    steps: tuple[Step, ...]
    mirror: Step | None = None
    limits: Limits = Limits()
    no_data: NoData = NoData.HOLD
    deadline_s: float = 1800.0
    paused: bool = False
    header: str | None = None
    validate: bool = True


def parse(spec: Mapping[str, Any]) -> Plan:
    """Read `spec` of a ModelDeployment; what is not there has its default.

    Raises:
        pydantic.ValidationError: It is not as the CRD wants it.
    """
    rollout = RolloutSpec.model_validate(spec.get("rollout") or {})
    validation = ValidationSpec.model_validate(spec.get("validation") or {})
    objectives = spec.get("objectives") or {}
    gates = rollout.gates or GatesSpec()
    wanted = objectives.get("maxLatencyMs")
    longest = gates.max_latency_p99_ms or (int(wanted) if wanted else None)
    increase = gates.max_client_error_increase_percent
    mirror = rollout.mirror
    return Plan(
        steps=tuple(
            Step(slots=step.weight * _PERCENT, hold_s=duration.seconds(step.hold))
            for step in rollout.steps
        ),
        mirror=None
        if mirror is None
        else Step(slots=mirror.percent * _PERCENT, hold_s=duration.seconds(mirror.hold)),
        limits=Limits(
            min_requests=gates.min_requests,
            errors=_share(gates.max_error_basis_points),
            latency_p99_ms=longest,
            latency_increase=gates.max_latency_increase_percent / 100,
            client_error_increase=None if increase is None else increase / 100,
            restarts=gates.max_restarts,
            out_of_memory=gates.max_out_of_memory,
            non_finite=_share(gates.max_non_finite_basis_points),
            mirror_difference=_share(gates.max_mirror_difference_basis_points),
            prediction_shift=gates.max_prediction_shift_milli,
            drift=gates.max_drift_milli,
            alpha=gates.alpha_basis_points / 10_000,
            ignore=frozenset(Gate(name) for name in gates.ignore or ()),
        ),
        no_data=gates.no_data,
        deadline_s=duration.seconds(rollout.progress_deadline),
        paused=rollout.paused,
        header=None if rollout.assignment is None else rollout.assignment.header,
        validate=validation.enabled,
    )


def _share(basis_points: int | None) -> float | None:
    return None if basis_points is None else basis_points / weights.BASES[-1]

"""Simulated Experiments: what would have been counted at each look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
PER_LOOK = 100
"""Users between two looks."""
LOOKS = 1000
"""Looks of an Experiment: a hundred thousand users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One kind of Experiment.

    Attributes:
        name: For the report.
        kind: What is measured: a rate, or a lognormal mean.
        base: The control's rate; of a mean the logarithm's standard deviation.
        lift: Relative change of the last arm where there is an effect, in percent; also the
            `minimumEffectPercent` of the plan.
        steps: Shares of the arms, and from which look on they hold.
        delay: Looks until an outcome arrives, on average; 0 is at once.
    """

    name: str
    kind: Literal["rate", "mean"]
    base: float
    lift: int
    steps: tuple[tuple[int, tuple[float, ...]], ...] = field(default=((0, (0.5, 0.5)),))
    delay: float = 0.0

    @property
    def arms(self) -> int:
        """How many arms there are."""
        return len(self.steps[0][1])

    @property
    def epochs(self) -> int:
        """How many versions of the shares there are."""
        return len(self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the recorder would say at each look.

    Attributes:
        units: Users, shape (repeats, looks, epochs, arms).
        total: The sum of their values, same shape.
        squares: The sum of the squares, same shape.
    """

    units: FloatArray
    total: FloatArray
    squares: FloatArray


def truth(scenario: Scenario) -> tuple[float, float]:
    """Return the control's mean and its standard deviation."""
    if scenario.kind == "rate":
        return scenario.base, float(np.sqrt(scenario.base * (1 - scenario.base)))
    variance = scenario.base**2
    mean = float(np.exp(variance / 2))
    return mean, float(mean * np.sqrt(np.expm1(variance)))


def draw(
    scenario: Scenario, generator: np.random.Generator, repeats: int, *, effect: bool
) -> Counted:
    """Return Experiments from their first user to the hundred thousandth.

    Users come in cohorts of a look. Of those of an earlier epoch only the ones whose slot keeps its
    arm count once the shares have changed; which ones is as random as the slots are.
    """
    shape = (repeats, LOOKS, scenario.epochs, scenario.arms)
    units, total, squares = (np.zeros(shape) for _ in range(3))
    lifts = np.ones(scenario.arms)
    lifts[-1] += scenario.lift / 100 if effect else 0.0
    ends = [begin for begin, _ in scenario.steps[1:]] + [LOOKS]
    for epoch, ((begin, _), end) in enumerate(zip(scenario.steps, ends, strict=True)):
        fates = _fates(scenario, epoch)
        came = generator.multinomial(
            PER_LOOK, [share for _, share, _ in fates], size=(repeats, end - begin)
        )
        for index, (arm, _, leaves) in enumerate(fates):
            part = _cohorts(scenario, generator, came[..., index], lifts[arm])
            last = LOOKS if leaves is None else scenario.steps[leaves][0]
            for sums, found in zip((units, total, squares), part, strict=True):
                grown = _grown(scenario, generator, found, sums is units, LOOKS - begin)
                sums[:, begin:last, epoch, arm] += grown[:, : last - begin]
    if scenario.kind == "rate":
        squares = total
    return Counted(units=units, total=total, squares=squares)


def _fates(scenario: Scenario, epoch: int) -> list[tuple[int, float, int | None]]:
    """Return an epoch's users by arm and by the epoch in which their slot changes its arm.

    Only shares that fall lose slots; those that are left at the end stay for good.
    """
    fates: list[tuple[int, float, int | None]] = []
    for arm in range(scenario.arms):
        left = scenario.steps[epoch][1][arm]
        for later in range(epoch + 1, scenario.epochs):
            share = scenario.steps[later][1][arm]
            if share < left:
                fates.append((arm, left - share, later))
                left = share
        fates.append((arm, left, None))
    return fates


def _cohorts(
    scenario: Scenario, generator: np.random.Generator, units: npt.NDArray[np.int64], lift: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return users, values and squares of each look's new users, shape (repeats, looks)."""
    if scenario.kind == "rate":
        total = generator.binomial(units, scenario.base * lift).astype(np.float64)
        return units.astype(np.float64), total, total
    # One long line of values, cut where a cohort ends.
    values = lift * generator.lognormal(0.0, scenario.base, size=int(units.sum()))
    cuts = np.concatenate([[0], np.cumsum(units.ravel())])
    sums = np.concatenate([[0.0], np.cumsum(values)])[cuts]
    powers = np.concatenate([[0.0], np.cumsum(np.square(values))])[cuts]
    return (
        units.astype(np.float64),
        np.diff(sums).reshape(units.shape),
        np.diff(powers).reshape(units.shape),
    )


def _grown(
    scenario: Scenario,
    generator: np.random.Generator,
    cohorts: FloatArray,
    at_once: bool,  # noqa: FBT001 - units arrive at once, outcomes later
    looks: int,
) -> FloatArray:
    """Return what has arrived at each look since the epoch began."""
    arrived = np.zeros((len(cohorts), looks))
    if at_once or not scenario.delay:
        arrived[:, : cohorts.shape[1]] = cohorts
        return np.cumsum(arrived, axis=1)
    counts = cohorts.astype(np.int64)
    rows, columns = np.indices(counts.shape)
    times = counts.ravel()
    where = np.repeat(rows.ravel(), times), np.repeat(columns.ravel(), times)
    late = generator.geometric(1 / (1 + scenario.delay), size=int(times.sum())) - 1
    when = where[1] + late
    seen = when < looks
    np.add.at(arrived, (where[0][seen], when[seen]), 1.0)
    return np.cumsum(arrived, axis=1)


def arrived_share(scenario: Scenario) -> FloatArray:
    """Return the expected share of an epoch's outcomes that has arrived, shape (looks, epochs)."""
    share = np.ones((LOOKS, scenario.epochs))
    if not scenario.delay:
        return share
    ends = [begin for begin, _ in scenario.steps[1:]] + [LOOKS]
    stay = scenario.delay / (1 + scenario.delay)
    for epoch, ((begin, _), end) in enumerate(zip(scenario.steps, ends, strict=True)):
        for look in range(begin, LOOKS):
            born = np.arange(begin, min(end, look + 1))
            share[look, epoch] = float(np.mean(1 - stay ** (look - born + 1)))
    return share


def kept_units(scenario: Scenario) -> FloatArray:
    """Return the expected users still counted, shape (looks, epochs, arms)."""
    expected = np.zeros((LOOKS, scenario.epochs, scenario.arms))
    ends = [begin for begin, _ in scenario.steps[1:]] + [LOOKS]
    for epoch, ((begin, _), end) in enumerate(zip(scenario.steps, ends, strict=True)):
        cohorts = np.clip(np.arange(LOOKS) + 1 - begin, 0, end - begin)
        for arm, share, leaves in _fates(scenario, epoch):
            last = LOOKS if leaves is None else scenario.steps[leaves][0]
            expected[:last, epoch, arm] += PER_LOOK * share * cohorts[:last]
    return expected

"""A sum over a sum: tea-tasting's numbers, exact sums, and what is undefined."""

from __future__ import annotations

import math
import random
import statistics
from typing import Any

import pytest

from fairlead_operator.stats.aggregates import Moments, difference
from fairlead_operator.stats.quotients import Quotient
from tests.unit.stats.known import case


def moments(count: int, mean: float, variance: float) -> Moments:
    return Moments(count, count * mean, variance * (count - 1) + count * mean**2)


def of_sample(told: dict[str, Any]) -> Quotient:
    """Return what was counted, from sample moments."""
    mean, variance, covariance = told["mean"], told["var"], told["cov"]["s,y"]
    both = variance["y"] + variance["s"] + 2 * covariance
    return Quotient(
        moments(told["n"], mean["y"], variance["y"]),
        moments(told["n"], mean["s"], variance["s"]),
        moments(told["n"], mean["y"] + mean["s"], both),
    )


def test_two_quotients_differ_as_tea_tasting_says() -> None:
    inputs, expected = case("quotients", "ratio_delta_method")
    control, treatment = (of_sample(inputs[key]) for key in ("agg_control", "agg_treat"))
    assert control.mean == pytest.approx(expected["control"], rel=1e-12)
    assert treatment.mean == pytest.approx(expected["treatment"], rel=1e-12)
    found = difference(control.estimate(), treatment.estimate())
    assert found is not None
    assert found.value == pytest.approx(expected["diff"], rel=1e-9)
    assert found.value / found.standard_error == pytest.approx(expected["stat"], rel=1e-9)


def sums(values: list[int]) -> Moments:
    return Moments(len(values), sum(values), sum(value * value for value in values))


def counted(pairs: list[tuple[int, int]]) -> Quotient:
    return Quotient(
        sums([x for x, _ in pairs]), sums([y for _, y in pairs]), sums([x + y for x, y in pairs])
    )


def test_the_standard_error_is_that_of_many_repetitions() -> None:
    """Units differ in their visits, and spend more where they visit more."""
    chance = random.Random(3)

    def sample() -> list[tuple[int, int]]:
        visits = [chance.randint(0, 9) for _ in range(400)]
        return [(sum(chance.randint(0, 5) for _ in range(v)) + v * v, v) for v in visits]

    repeated = [counted(sample()).estimate() for _ in range(400)]
    values = [one.value for one in repeated if one is not None]
    told = [one.standard_error for one in repeated if one is not None]
    assert statistics.fmean(told) == pytest.approx(statistics.stdev(values), rel=0.12)


def test_quotients_add_up_over_epochs() -> None:
    one, two = [(1, 2), (5, 3), (0, 0)], [(7, 4), (2, 1)]
    assert counted(one) + counted(two) == counted([*one, *two])
    assert sum([counted(one), counted(two)], Quotient()) == counted([*one, *two])


@pytest.mark.parametrize(
    "pairs", [[], [(3, 2)], [(3, 0), (4, 0)], [(3, -2), (4, 1)]],
    ids=["no units", "one", "nothing to divide by", "less than nothing"],
)  # fmt: skip
def test_what_cannot_be_divided_has_no_estimate(pairs: list[tuple[int, int]]) -> None:
    assert counted(pairs).estimate() is None


def test_equal_quotients_of_all_units_vary_not_at_all() -> None:
    found = counted([(2, 1), (20, 10), (200, 100)]).estimate()
    assert found is not None
    assert (found.value, found.standard_error) == (2.0, 0.0)


def test_large_values_lose_no_digits() -> None:
    near = counted([(10**9 + i % 3, 10**9) for i in range(1_000)]).estimate()
    small = Moments.of(i % 3 for i in range(1_000))
    assert near is not None
    assert small.variance is not None
    wanted = math.sqrt(small.variance / 1_000) / 10**9
    assert near.standard_error == pytest.approx(wanted, rel=1e-6, abs=0)


def test_sums_of_other_units_are_refused() -> None:
    with pytest.raises(ValueError, match="the same units"):
        Quotient(Moments(2, 3, 5), Moments(1, 1, 1), Moments(2, 4, 8))

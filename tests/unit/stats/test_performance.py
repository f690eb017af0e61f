"""Concept drift: the allowed share, the detector, and how rarely it errs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from fairlead_operator.stats.aggregates import Binary
from fairlead_operator.stats.performance import Finding, Rules, Window, allowed, judge, trace

RULES = Rules(reference=Binary(1000, 50), margin=0.02, window_s=3600)


def windows(errors: list[int], count: int = 100) -> list[Window]:
    return [
        Window(start_s=3600.0 * place, count=count, errors=each)
        for place, each in enumerate(errors)
    ]


def test_the_allowed_share_is_what_the_reference_leaves_open_and_the_margin() -> None:
    upper = float(stats.beta.ppf(0.99, 51, 950))
    assert allowed(Binary(1000, 50), 0.02) == pytest.approx(upper + 0.02, rel=1e-9)
    assert allowed(Binary(10, 10), 0.02) < 1
    assert allowed(Binary(0, 0), 0.02) < 1


def test_a_model_as_good_as_before_is_no_alarm_and_one_that_got_worse_is() -> None:
    well = judge(windows([5] * 50), RULES)
    assert well.since_s is None
    worse = judge(windows([5] * 50 + [25] * 10), RULES)
    assert worse.since_s is not None
    assert 50 * 3600 <= worse.since_s <= 53 * 3600
    assert worse.recent == Binary(100, 25)
    assert worse.count == 6000


def test_getting_better_is_no_alarm() -> None:
    assert judge(windows([5] * 20 + [0] * 200), RULES).since_s is None


def test_the_alarm_ends_when_the_model_is_well_again() -> None:
    story = [5] * 5 + [25] * 30 + [5] * 30
    found = [judge(windows(story[: end + 1]), RULES).since_s is not None for end in range(65)]
    assert found[10]
    assert not found[-1]
    assert [key for key, _ in itertools.groupby(found)] == [False, True, False]


def test_a_month_of_trouble_does_not_hide_the_recovery() -> None:
    assert judge(windows([40] * 720 + [5] * 30), RULES).since_s is None


def test_the_first_outcomes_are_the_reference_where_none_is_given() -> None:
    rules = Rules(reference_outcomes=500)
    few = judge(windows([5] * 5), rules)
    assert (few.reference, few.allowed, few.since_s) == (None, None, None)
    assert few.count == 500
    enough = judge(windows([5] * 6), rules)
    assert enough.reference == Binary(500, 25)
    assert judge(windows([5] * 5 + [40] * 10), rules).since_s is not None
    # A model that is bad from the start is measured by itself: a reference says better.
    assert judge(windows([40] * 60), rules).since_s is None


def test_the_counts_may_be_looked_at_while_the_window_grows() -> None:
    steady = windows([5] * 10)
    growing = [
        judge([*steady, Window(start_s=36_000, count=count, errors=count // 2)], RULES)
        for count in range(0, 401, 10)
    ]
    assert growing[0].since_s is None
    assert growing[-1].since_s == 36_000


def by_hand(story: list[Window], limit: float) -> float:
    """Return R by its definition: the sum over all starts of the products of likelihood ratios."""
    total = 0.0
    for shift in (0.1, 0.2, 0.4, 0.8, 1.6):
        odds = limit / (1 - limit) * math.exp(shift)
        share = odds / (1 + odds)
        for start in range(len(story)):
            product = 1.0
            for window in story[start:]:
                product *= (share / limit) ** window.errors
                product *= ((1 - share) / (1 - limit)) ** (window.count - window.errors)
            total += product / 5
    return total


def test_the_evidence_is_the_sum_over_all_moments_at_which_it_may_have_begun() -> None:
    story = windows([9, 5, 7, 11, 6, 12])
    found = judge(story, RULES)
    assert found.allowed is not None
    assert math.exp(found.log_evidence) == pytest.approx(by_hand(story, found.allowed), rel=1e-9)


def test_a_window_without_outcomes_says_nothing_against_the_model() -> None:
    assert judge(windows([0] * 3, count=0), RULES).since_s is None
    assert judge([], RULES) == Finding(
        reference=RULES.reference,
        allowed=allowed(Binary(1000, 50), 0.02),
        recent=Binary(0, 0),
        recent_distance=0.0,
        count=0,
    )


def test_on_average_a_false_alarm_takes_longer_than_the_threshold_says() -> None:
    """At the limit itself, which is the worst that is allowed, by simulation."""
    rules = Rules(reference=Binary(1000, 50), window_s=3600 * 24 * 7)
    assert rules.threshold == pytest.approx(20)
    limit = allowed(Binary(1000, 50), rules.margin)
    random = np.random.default_rng(8)
    lengths = [
        first_alarm(random.binomial(100, limit, size=150).tolist(), rules) for _ in range(40)
    ]
    assert np.mean(lengths) >= 20


def first_alarm(errors: list[int], rules: Rules) -> int:
    """Return the first window at which there is an alarm, or how many there are."""
    assert rules.reference is not None
    limit = allowed(rules.reference, rules.margin)
    found = trace(windows(errors), limit, rules.threshold)
    alarms = (place for place, (_, since_s) in enumerate(found, 1) if since_s is not None)
    return next(alarms, len(errors))

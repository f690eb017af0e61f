"""Predictions and outcomes in both databases: joined once, counted once, forgotten in time."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from fairlead_recorder.store import models, pairs
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.errors import UnknownExperimentError
from fairlead_recorder.store.models import Model, Watching
from fairlead_recorder.store.pairs import Prediction, Taken, Truth, Window
from tests.recorder.worlds import HOUR, SECOND, START

NOW = START // HOUR * HOUR
DAY = 24 * HOUR


def a_model(session: Session, watching: Watching | None = None, uid: str = "u") -> Model:
    models.register(session, uid, "shop", "fraud", watching or Watching(), NOW)
    return models.of_name(session, "shop", "fraud")


def said(*values: str, revision: str = "one", first: int = 0) -> list[Prediction]:
    return [
        Prediction(f"r{place}", 0, revision, value) for place, value in enumerate(values, first)
    ]


def true(*values: str, first: int = 0) -> list[Truth]:
    return [Truth(f"r{place}", 0, value) for place, value in enumerate(values, first)]


@pytest.mark.parametrize("outcomes_first", [False, True])
def test_a_pair_counts_once_whichever_half_comes_first(
    session: Session, outcomes_first: bool
) -> None:
    model = a_model(session)
    steps: list[Callable[[], Taken]] = [
        lambda: pairs.predicted(session, model, said("1", "0", "1"), NOW),
        lambda: pairs.turned_out(session, model, true("1", "1", "1"), NOW + SECOND),
    ]
    first, second = (step() for step in (reversed(steps) if outcomes_first else steps))
    assert (first.accepted, first.joined, first.duplicates) == (3, 0, 0)
    assert (second.accepted, second.joined, second.duplicates) == (3, 3, 0)
    for step in steps:  # everything is sent again
        assert step().duplicates == 3
    assert pairs.windows(session, model, 0) == [
        Window(revision="one", began=NOW, outcomes=3, errors=1, distance=0.0)
    ]


def test_the_rows_of_a_request_have_outcomes_of_their_own(session: Session) -> None:
    model = a_model(session)
    rows = [Prediction("r", item, "one", str(item)) for item in range(3)]
    pairs.predicted(session, model, rows, NOW)
    taken = pairs.turned_out(session, model, [Truth("r", 2, "2"), Truth("r", 7, "1")], NOW)
    assert (taken.accepted, taken.joined) == (2, 1)


def test_what_is_sent_twice_in_a_batch_counts_once_and_the_first_stays(session: Session) -> None:
    model = a_model(session)
    twice = [Truth("r0", 0, "1"), Truth("r0", 0, "0")]
    assert pairs.turned_out(session, model, twice, NOW).duplicates == 1
    assert pairs.predicted(session, model, said("1"), NOW).joined == 1
    [window] = pairs.windows(session, model, 0)
    assert window.errors == 0


def test_numbers_are_right_within_the_tolerance(session: Session) -> None:
    model = a_model(session, Watching(tolerance=0.5))
    pairs.predicted(session, model, said("1.0", "2.0", "3.0", "nan", "inf", "cat"), NOW)
    pairs.turned_out(session, model, true("1.5", "2.75", "3", "1", "1", "1"), NOW)
    [window] = pairs.windows(session, model, 0)
    assert (window.outcomes, window.errors) == (6, 4)
    assert window.distance == pytest.approx(0.5 + 0.75)


def test_a_pair_counts_in_the_window_in_which_it_is_complete(session: Session) -> None:
    model = a_model(session)
    pairs.predicted(session, model, said("1", "1", "1"), NOW)
    pairs.turned_out(session, model, true("1"), NOW + SECOND)
    before = pairs.windows(session, model, 0)
    pairs.turned_out(session, model, true("0", "0", first=1), NOW + HOUR)
    after = pairs.windows(session, model, 0)
    assert after[: len(before)] == before
    assert [(each.began, each.outcomes, each.errors) for each in after] == [
        (NOW, 1, 0), (NOW + HOUR, 2, 2),
    ]  # fmt: skip
    assert pairs.windows(session, model, NOW + HOUR) == after[1:]


def test_revisions_are_counted_apart(session: Session) -> None:
    model = a_model(session)
    pairs.predicted(session, model, said("1", "1"), NOW)
    pairs.predicted(session, model, said("0", "0", revision="two", first=2), NOW)
    pairs.turned_out(session, model, true("1", "1", "1", "1"), NOW)
    found = {each.revision: each.errors for each in pairs.windows(session, model, 0)}
    assert found == {"one": 0, "two": 2}


def test_any_order_and_any_repetition_gives_the_same_counts(session: Session) -> None:
    model = a_model(session)
    shuffle = random.Random(3)
    halves = [("p", place) for place in range(300)] + [("t", place) for place in range(50, 350)]
    halves += shuffle.sample(halves, 200)
    shuffle.shuffle(halves)
    while halves:
        part, halves = halves[:37], halves[37:]
        heard = [said("1", first=place)[0] for kind, place in part if kind == "p"]
        known = [
            true("0" if place % 10 == 0 else "1", first=place)[0]
            for kind, place in part
            if kind == "t"
        ]
        pairs.predicted(session, model, heard, NOW)
        pairs.turned_out(session, model, known, NOW)
    [window] = pairs.windows(session, model, 0)
    assert (window.outcomes, window.errors) == (250, 25)


def test_another_way_to_compare_begins_anew(session: Session) -> None:
    model = a_model(session)
    pairs.predicted(session, model, said("1"), NOW)
    pairs.turned_out(session, model, true("1"), NOW)
    assert not models.register(session, "u", "shop", "fraud", Watching(), NOW + SECOND)
    assert len(pairs.windows(session, model, 0)) == 1
    assert models.register(session, "u", "shop", "fraud", Watching(tolerance=1.0), NOW)
    model = models.of_name(session, "shop", "fraud")
    assert pairs.windows(session, model, 0) == []
    assert pairs.turned_out(session, model, true("1"), NOW).joined == 0


def test_a_resource_of_the_same_name_begins_anew(session: Session) -> None:
    pairs.predicted(session, a_model(session), said("1"), NOW)
    again = a_model(session, uid="v")
    assert pairs.turned_out(session, again, true("1"), NOW).joined == 0


def test_what_is_old_goes_and_so_does_a_model_that_nobody_names_any_more(
    session: Session,
) -> None:
    model = a_model(session)
    pairs.predicted(session, model, said("1", "1"), NOW)
    pairs.predicted(session, model, said("1", first=2), NOW + 20 * DAY)
    later = NOW + pairs.KEPT + SECOND
    assert pairs.expire(session, later, 0)
    assert not pairs.expire(session, later, 0)
    assert pairs.turned_out(session, model, true("1", "1", "1"), later).joined == 1
    assert pairs.windows(session, model, 0) != []
    while pairs.expire(session, later, NOW + 1):
        pass
    with pytest.raises(UnknownExperimentError, match=r"spec\.performance"):
        models.of_name(session, "shop", "fraud")


def test_naming_a_model_again_keeps_it(session: Session) -> None:
    a_model(session)
    models.register(session, "u", "shop", "fraud", Watching(), NOW + 2 * HOUR)
    assert models.expired(session, NOW + HOUR) is None

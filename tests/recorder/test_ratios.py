"""A ratio metric: a sum over a sum, whose variance is right for any order of events."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead_operator.evidence import recorded
from fairlead_operator.stats.aggregates import Moments
from fairlead_operator.stats.quotients import Quotient
from fairlead_recorder.http import answers
from fairlead_recorder.page import html
from fairlead_recorder.page.gather import gather
from fairlead_recorder.store import departures, experiments
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.errors import ConflictError
from fairlead_recorder.store.events import SCALE, Definition, Metric, Outcome
from tests.recorder.process import Recorder, recorder
from tests.recorder.worlds import (
    HALVES,
    HOUR,
    RAMPED,
    SECOND,
    START,
    a_definition,
    arm_of,
    expose,
    read,
    record,
    register,
    with_epoch,
)

USERS = [f"u{number}" for number in range(200)]
RATIO = Metric(name="per-visit", type="ratio", numerator="revenue", denominator="visits")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Recorder]:
    with recorder(f"sqlite:///{tmp_path}/events.db", tmp_path) as running:
        yield running


def of_three() -> Definition:
    """Return an experiment that is decided by revenue per visit."""
    means = (Metric(name="revenue", type="mean"), Metric(name="visits", type="mean"))
    return dataclasses.replace(a_definition(HALVES), metrics=(RATIO, *means))


def some_events(seed: int) -> list[Outcome]:
    """Return what users did: several visits each, more revenue with more of them, and refunds."""
    chance = random.Random(seed)
    made = []
    for user in USERS:
        for visit in range(chance.randint(0, 6)):
            key = f"{user}-{visit}"
            made.append(Outcome(key, user, "visits", SCALE, START + SECOND))
            if chance.random() < 0.4:
                paid = chance.randint(-3, 20) * SCALE // 2
                made.append(Outcome(key, user, "revenue", paid, START + SECOND))
    chance.shuffle(made)
    return made


def wanted(events: list[Outcome], arm: str) -> Quotient:
    """Return what is to be counted for an arm, added up here."""
    values = {user: [0, 0] for user in USERS if arm_of(user) == arm}
    for event in events:
        if event.unit in values:
            values[event.unit][event.metric == "visits"] += event.value

    def moments(numbers: list[int]) -> Moments:
        return Moments(len(numbers), sum(numbers), sum(number**2 for number in numbers))

    pairs = list(values.values())
    return Quotient(
        moments([x for x, _ in pairs]), moments([y for _, y in pairs]),
        moments([x + y for x, y in pairs]),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_events_gives_the_quotient_of_the_users_sums(
    session: Session, seed: int
) -> None:
    experiment = register(session, of_three())
    events = some_events(seed)
    half, cut = len(USERS) // 2, len(events) // 3
    expose(session, experiment, USERS[:half])
    record(session, experiment, *events[:cut])
    expose(session, experiment, USERS[half:])
    record(session, experiment, *events[cut:], *events[: cut // 2])  # some come twice
    found = read(session, experiment)  # holds it to a recount
    told = recorded.aggregates(found.definition.uid, answers.summary(found))
    assert told is not None
    for arm in ("control", "bigger"):
        assert found.aggregates("per-visit", arm) == [wanted(events, arm)]
        assert told.epochs[1][arm].metrics["per-visit"] == wanted(events, arm), "over the wire"
        revenue = told.epochs[1][arm].metrics["revenue"]
        assert isinstance(revenue, Moments)
        assert revenue.total == wanted(events, arm).numerator.total / SCALE
    page = html.page(gather(session, experiment, START + HOUR))
    assert "per-visit" in page
    assert "revenue / visits" in page


def test_users_that_depart_take_their_part_of_the_quotient_with_them(session: Session) -> None:
    definition = of_three()
    experiment = register(session, definition)
    expose(session, experiment, USERS)
    events = some_events(9)
    record(session, experiment, *events)
    experiments.register(session, with_epoch(definition, RAMPED), START + HOUR)
    while departures.advance(session):
        pass
    found = read(session, register(session, definition))
    stayed = {user for user in USERS if arm_of(user) == arm_of(user, RAMPED)}
    kept = [event for event in events if event.unit in stayed]
    control = found.aggregates("per-visit", "control")[0]
    assert isinstance(control, Quotient)
    assert control.count == sum(arm_of(user) == "control" for user in stayed)
    whole = wanted(kept, "control")
    assert control.numerator.total == whole.numerator.total
    assert control.together.squares == whole.together.squares


def test_ratios_are_there_from_the_start_and_stay(session: Session) -> None:
    plain = a_definition(HALVES)
    visits = Metric(name="visits", type="mean")
    with_ratio = dataclasses.replace(plain, metrics=(*plain.metrics, visits, RATIO))
    register(session, plain)
    with pytest.raises(ConflictError, match="ratios cannot change"):
        experiments.register(session, with_ratio, START)
    other = dataclasses.replace(with_ratio, uid="other")
    experiments.register(session, other, START)
    with pytest.raises(ConflictError, match="ratios cannot change"):
        experiments.register(session, dataclasses.replace(plain, uid="other"), START)


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ([{"name": "r", "type": "ratio"}], "name two metrics of type mean"),
        (
            [{"name": "r", "type": "ratio", "numerator": "a", "denominator": "a"}],
            "name two metrics of type mean",
        ),
        (
            [{"name": "r", "type": "ratio", "numerator": "a", "denominator": "b"}],
            "name two metrics of type mean",
        ),
        ([{"name": "m", "type": "mean", "numerator": "a"}], "is no ratio"),
    ],
)
def test_a_ratio_of_nothing_is_refused(
    served: Recorder, metrics: list[dict[str, str]], words: str
) -> None:
    others = [{"name": "a", "type": "mean"}, {"name": "b", "type": "binary"}]
    answer = served.put(served.path, {**served.definition, "metrics": [*others, *metrics]})
    assert answer.status_code == 422
    assert words in answer.text


def test_nothing_is_sent_for_a_ratio(served: Recorder) -> None:
    means = [{"name": "a", "type": "mean"}, {"name": "b", "type": "mean"}]
    ratio = {"name": "r", "type": "ratio", "numerator": "a", "denominator": "b"}
    answer = served.put(served.path, {**served.definition, "metrics": [*means, ratio]})
    assert answer.status_code == 200, answer.text
    assert served.get(served.path)["metrics"][-1] == {**ratio, "goal": "increase"}
    outcome = {"key": "k", "unit": "u", "metric": "r", "value": 1}
    refused = served.post(f"{served.path}/outcomes", {"outcomes": [outcome]})
    assert refused.status_code == 422
    assert "is a ratio: send what it is made of" in refused.text

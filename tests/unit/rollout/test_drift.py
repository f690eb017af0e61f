"""What status says of drift, from the first look to the end of an alarm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fairlead_operator.rollout import drift
from fairlead_operator.rollout.decide import decide
from fairlead_operator.rollout.drift import DriftView
from fairlead_operator.rollout.status import compose
from fairlead_operator.stats.drift import Judgement
from fairlead_operator.stats.drift_rules import DEFAULT
from fairlead_operator.stats.drift_watch import Streak, Watch
from tests.builders import NOW, SETTLED, a_deployment, a_revision, a_snapshot, live


def streak(name: str, psi: float = 0.5, since_s: float | None = None) -> Streak:
    found = Judgement(
        name=name, log_e=50.0, significant=True, psi=psi, limit=0.188, rows=3000,
        reference_rows=10_000, drifting=since_s is not None,
    )  # fmt: skip
    return Streak(since_s=since_s, latest=found)


def view(*streaks: Streak, looks: int = 9, refused: str = "") -> DriftView:
    watch = Watch(
        profile="p", looked_s=1_700_000_000.0, looks=looks,
        streaks={each.latest.name: each for each in streaks},
    )  # fmt: skip
    return DriftView(watch=watch, replicas=2, refused=refused)


def told(condition: dict[str, Any]) -> tuple[str, str]:
    return condition["status"], condition["reason"]


DRIFTED = view(streak("age", 0.3, 100.0), streak("income", 0.4, 50.0), streak("debt"))


def test_the_worst_features_are_named_with_score_limit_counts_and_since_when() -> None:
    found = drift.condition(DRIFTED, {})
    assert told(found) == ("True", "Drifted")
    assert found["message"] == (
        "2 of 3 features: income (PSI 0.400, limit 0.188, against 10000 rows, since "
        "1970-01-01T00:00:50Z); age (PSI 0.300, limit 0.188, against 10000 rows, since "
        "1970-01-01T00:01:40Z); 3000 rows of 2 replicas until 2023-11-14T22:13:20Z"
    )
    assert drift.word(found, DRIFTED) == "age +1"


def test_many_features_are_counted() -> None:
    many = view(*(streak(f"f{each}", since_s=1.0) for each in range(9)))
    found = drift.condition(many, {})
    assert "and 6 more" in found["message"]
    assert len(found["message"]) < 1024


def test_without_drift_the_message_has_no_number_that_changes() -> None:
    found = drift.condition(view(streak("age"), streak("debt")), {})
    assert told(found) == ("False", "NoDrift")
    assert found["message"] == "none of 2 features has drifted"
    assert drift.word(found, view()) == "no"


def test_before_the_first_look_nothing_is_known() -> None:
    found = drift.condition(view(looks=0), {})
    assert told(found) == ("Unknown", "TooFewRows")
    assert found["message"] == "fewer than 1000 rows, or 5 min, have been counted so far"
    assert drift.word(found, view()) == "unknown"


@pytest.mark.parametrize(
    ("looks", "expected"),
    [(0, "True"), (DEFAULT.clear_after - 1, "True"), (DEFAULT.clear_after, "False")],
)
def test_an_operator_that_starts_anew_clears_no_alarm_before_its_time(
    looks: int, expected: str
) -> None:
    before = drift.condition(DRIFTED, {})
    fresh = view(streak("age"), looks=looks)
    found = drift.condition(fresh, before)
    assert found["status"] == expected
    if expected == "True":
        assert found["message"] == before["message"]
        assert drift.word(found, fresh) == "yes"


def test_an_operator_that_starts_anew_keeps_that_there_was_none() -> None:
    before = drift.condition(view(streak("age")), {})
    assert drift.condition(view(looks=0), before) == before


def test_a_profile_that_cannot_be_used_is_said() -> None:
    found = drift.condition(view(refused="made with another model"), {})
    assert told(found) == ("Unknown", "ProfileUnusable")
    assert found["message"] == "made with another model"


def test_an_alarm_stays_where_a_replica_refuses_its_profile() -> None:
    refusing = replace(DRIFTED, refused="made with another model")
    found, without = drift.condition(refusing, {}), drift.condition(DRIFTED, {})
    assert told(found) == ("True", "Drifted")
    assert found["message"] == (
        without["message"] + "; not all replicas count: made with another model"
    )
    assert drift.word(found, refusing) == "age +1"
    assert drift.notes(status(without), status(found)) == []
    assert drift.condition(DRIFTED, found) == without


def test_an_operator_that_starts_anew_keeps_an_alarm_over_a_refusal() -> None:
    before = drift.condition(DRIFTED, {})
    fresh = view(looks=0, refused="one")
    found = drift.condition(fresh, before)
    assert found["message"] == before["message"] + "; not all replicas count: one"
    again = drift.condition(view(looks=1, refused="two"), found)
    assert again["message"] == before["message"] + "; not all replicas count: two"
    assert drift.condition(view(looks=1), again) == before
    cleared = drift.condition(view(looks=DEFAULT.clear_after, refused="two"), again)
    assert told(cleared) == ("Unknown", "ProfileUnusable")


def status(condition: dict[str, Any] | None) -> dict[str, Any]:
    return {"conditions": [condition] if condition else []}


def test_an_event_for_each_end_of_an_alarm() -> None:
    yes, no = drift.condition(DRIFTED, {}), drift.condition(view(streak("age")), {})
    [raised] = drift.notes(status(no), status(yes))
    assert (raised.reason, raised.warning) == ("Drifted", True)
    assert "income" in raised.message
    [cleared] = drift.notes(status(yes), status(no))
    assert (cleared.reason, cleared.warning) == ("NoDrift", False)
    [refused] = drift.notes(status(no), status(drift.condition(view(refused="why"), {})))
    assert (refused.reason, refused.warning) == ("ProfileUnusable", True)


def test_no_event_where_nothing_has_changed() -> None:
    yes, no = drift.condition(DRIFTED, {}), drift.condition(view(streak("age")), {})
    assert drift.notes(status(None), status(no)) == []
    assert drift.notes(status(yes), status(yes | {"message": "other numbers"})) == []
    assert drift.notes(status(no), status(None)) == []


@pytest.mark.parametrize(("stable", "expected"), [(None, "True"), ("another", "Unknown")])
def test_an_alarm_of_another_revision_is_not_inherited(stable: str | None, expected: str) -> None:
    revision = a_revision(1)
    children = live(a_deployment(revision))
    snapshot = a_snapshot(revisions=(revision,), recognised=revision.hash, children=children)

    def composed(before: dict[str, Any], seen: DriftView) -> dict[str, Any]:
        found = replace(snapshot, resource={**snapshot.resource, "status": before})
        return compose(found, decide(found, SETTLED, NOW), (), NOW, drift=seen)

    before = composed({}, DRIFTED)
    assert drift.present(before)["status"] == "True"
    before["stableRevision"] = stable or before["stableRevision"]
    after = composed(before, view(looks=0))
    assert drift.present(after)["status"] == expected

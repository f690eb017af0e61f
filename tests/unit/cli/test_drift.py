"""What `fairlead drift` makes of a status and of the counts of pods."""

from __future__ import annotations

import json
from typing import Any

from fairlead_cli.commands.drift import inner_port
from fairlead_cli.views import drift
from fairlead_cli.views.drift import Told
from fairlead_operator.stats.drift import Sample, judge
from fairlead_runtime.contract.drift_counts import FeatureCounts, Window, merge
from fairlead_runtime.contract.drift_report import Reference, Report, to_document
from tests.unit.cli.world import a_condition, a_model, shown

_BINS = (100, 200, 400, 200, 100)


def _window(start: float, **bins: tuple[int, ...]) -> Window:
    features = tuple(FeatureCounts(bins=each, missing=0, total=0) for each in bins.values())
    rows = sum(next(iter(bins.values())))
    return Window(profile="p", start_s=start, end_s=start + 60, rows=rows, features=features)


def _told(pod: str, *windows: Window, current: Window | None = None, revision: str = "r1") -> Told:
    features = tuple(
        Reference(name=name, role="input", kind="number", bins=_BINS, missing=0)
        for name in ("age", "income")
    )
    held = (*windows, *([current] if current else ()))
    report = Report(
        instance=pod, version="2", model="m", profile="p", rows=0, skipped=0, features=features,
        counted=merge(held) if held else _window(0, age=(0,) * 5, income=(0,) * 5),
        windows=windows, current=current,
    )  # fmt: skip
    body = json.dumps(to_document(report)).encode()
    return drift.parse(pod, revision, body)


_SAME = (100, 200, 400, 200, 100)
_SHIFTED = (0, 100, 200, 400, 300)


def test_counts_of_pods_are_added_and_judged_once() -> None:
    one = _told("a", _window(0, age=_SAME, income=_SHIFTED))
    two = _told("b", _window(60, age=_SAME, income=_SHIFTED),
                current=_window(120, age=_SAME, income=_SAME))  # fmt: skip
    (found,) = drift.describe(a_model(), [one, two])["revisions"]
    assert (found["rows"], found["pods"], found["version"]) == (3000, ["a", "b"], "2")
    assert (found["from"], found["until"]) == ("1970-01-01T00:00:00Z", "1970-01-01T00:03:00Z")
    together = tuple(2 * shifted + same for shifted, same in zip(_SHIFTED, _SAME, strict=True))
    wanted = judge([
        Sample(name="age", reference=_BINS, window=tuple(3 * n for n in _SAME)),
        Sample(name="income", reference=_BINS, window=together),
    ])  # fmt: skip
    by_name = {each["feature"]: each for each in found["features"]}
    assert {each.name: each.drifting for each in wanted} == {"age": False, "income": True}
    for each in wanted:
        assert by_name[each.name]["drifting"] is each.drifting
        assert by_name[each.name]["psi"] == round(each.psi, 4)
        assert by_name[each.name]["limit"] == round(each.limit, 4)
    assert [each["feature"] for each in found["features"]] == ["income", "age"]


def test_each_revision_is_judged_by_itself() -> None:
    told = [
        _told("a", _window(0, age=_SAME, income=_SAME)),
        _told("b", _window(0, age=_SAME, income=_SHIFTED), revision="r2"),
    ]
    found = drift.describe(a_model(), told)["revisions"]
    drifting = [[each["drifting"] for each in one["features"]] for one in found]
    assert [one["revision"] for one in found] == ["r1", "r2"]
    assert drifting == [[False, False], [True, False]]


def test_the_verdict_stands_above_the_table() -> None:
    said = a_condition("Drifted", "True", "Drifted", "1 of 2 features: income")
    model = a_model(drift="income", conditions=[said])
    told = [_told("a", _window(0, age=_SAME, income=_SHIFTED))]
    lines = shown(drift.text(drift.describe(model, told))).splitlines()
    assert lines[0] == "drift  income: 1 of 2 features: income"
    assert lines[2].startswith(
        "revision r1 version 2: 1000 rows of 1 pod from 1970-01-01T00:00:00Z"
    )
    assert lines[3].split() == ["FEATURE", "DRIFT", "PSI", "LIMIT", "ROWS", "REFERENCE"]
    assert lines[4].split()[:2] == ["income", "drifting"]
    assert lines[5].split()[:2] == ["age", "no"]


def test_too_few_rows_say_how_many_it_takes() -> None:
    few = (10, 20, 40, 20, 10)
    told = [_told("a", _window(0, age=few, income=few)), _told("b", revision="r2")]
    text = shown(drift.text(drift.describe(a_model(), told)))
    assert "100 rows of 1 pod" in text
    assert "; 1000 are needed to judge" in text
    assert "revision r2 version 2: 0 rows of 1 pod; 1000 are needed to judge" in text


def test_counts_that_cannot_be_added_say_why() -> None:
    other = Window(profile="q", start_s=0, end_s=60, rows=1, features=())
    mixed = [
        _told("a", _window(0, age=_SAME, income=_SAME)),
        Told(pod="b", revision="r1", report=_report_with(other)),
    ]
    (found,) = drift.describe(a_model(), mixed)["revisions"]
    assert "different profiles" in found["message"]
    assert "different profiles" in shown(drift.text(drift.describe(a_model(), mixed)))


def _report_with(window: Window) -> Report:
    return Report(
        instance="b", version="2", model="m", profile="q", rows=1, skipped=0, features=(),
        counted=window, windows=(window,),
    )  # fmt: skip


def test_a_pod_without_counts_says_why() -> None:
    body = json.dumps({"profile": None, "reason": "NoProfile", "message": "there is no profile"})
    told = [
        drift.parse("a", "r1", body.encode()),
        drift.parse("b", "r1", b"<html>"),
        drift.parse("c", "r1", b"{}"),
    ]
    text = shown(drift.text(drift.describe(a_model(), told)))
    assert text.splitlines()[0] == "a has no counts: there is no profile"
    assert text.count("its page makes no sense") == 2


def test_a_model_of_which_nothing_is_known_says_so() -> None:
    text = shown(drift.text(drift.describe(a_model(), [])))
    assert text == "No pod runs, and the status says nothing of drift.\n"


def test_the_inner_port_is_found_by_its_name() -> None:
    ports = [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}]
    pod: dict[str, Any] = {"spec": {"containers": [{"ports": ports}]}}
    assert inner_port(pod) == 9090
    assert inner_port({"spec": {"containers": [{"ports": ports[:1]}]}}) is None

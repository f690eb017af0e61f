"""What `fairlead status NAME` shows of a ModelDeployment."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead_cli import reading
from fairlead_cli.views import listing, model, pods
from tests.unit.cli.world import (
    CANDIDATE,
    NOW,
    STABLE,
    a_condition,
    a_model,
    a_pod,
    a_split_model,
    shown,
    stamp,
)

_WAITING = {"waiting": {"reason": "ImagePullBackOff", "message": "no such\n image"}}


def _tree(*args: Any) -> str:
    return shown(model.tree(model.describe(*args), NOW))


def test_a_split_model_is_shown_with_its_shares_checks_and_pods() -> None:
    experiment = {
        "metadata": {"name": "checkout"}, "spec": {"target": "fraud"},
        "status": {"phase": "Running", "units": 12, "lift": "+2 %", "pValue": "0.03"},
    }  # fmt: skip
    other = {"metadata": {"name": "elsewhere"}, "spec": {"target": "other"}}
    found = [a_pod(STABLE), a_pod(CANDIDATE, ready=False, state=_WAITING), a_pod()]
    assert _tree(a_split_model(), found, [experiment, other]) == (
        "ModelDeployment team/fraud  Progressing\n"
        "├── address  http://fraud.team.svc, p99 12ms\n"
        "├── Ready False Progressing for 2m: step 2 of 3\n"
        "├── Available True Serving for 2m\n"
        "├── router  Split for 90s\n"
        "│   └── pod fraud-fl-router-x  1/1 Running  5m  node-1\n"
        "├── rollout  Step  for 60s  paused\n"
        f"│   └── errors  PASS  0.4%  limit 1%  1200 samples  until {stamp(-5)}\n"
        "├── revision 3f2a9c1e version 1  Active  stable  90% of the traffic  2/2 ready\n"
        "│   ├── https://models.example/fraud/1/model.onnx  on fairlead/runtime:1\n"
        "│   └── pod fraud-3f2a9c1e-x  1/1 Running  5m  node-1\n"
        "├── revision 77b0d4f2 version 2  Progressing  candidate  10% of the traffic  0/1 ready\n"
        "│   ├── https://models.example/fraud/2/model.onnx  on fairlead/runtime:1\n"
        "│   └── pod fraud-77b0d4f2-x  0/1 ImagePullBackOff  5m  node-1: no such image\n"
        "├── experiment checkout  Running  units 12  +2 %  p 0.03\n"
        "└── last action  pause: paused  30s ago\n"
    )


def test_the_document_has_what_the_tree_shows_and_not_what_the_operator_remembers() -> None:
    document = model.describe(a_split_model(), [a_pod(STABLE)], [])
    assert json.loads(json.dumps(document)) == document
    assert [each["sharePercent"] for each in document["revisions"]] == [90.0, 10.0]
    assert [len(each["pods"]) for each in document["revisions"]] == [1, 0]
    assert document["rollout"]["checks"][0]["gate"] == "errors"
    assert "ledger" not in document["rollout"]


def test_a_model_that_no_operator_has_seen_says_so() -> None:
    fresh = a_model()
    del fresh["status"]
    assert _tree(fresh) == (
        "ModelDeployment team/fraud  not seen yet\n"
        "└── the operator has not looked at this generation yet\n"
    )


def test_without_a_router_the_stable_has_all_of_the_traffic() -> None:
    plain = a_split_model()
    del plain["status"]["traffic"]
    shares = [each.get("sharePercent") for each in model.describe(plain)["revisions"]]
    assert shares == [100.0, None]


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": None, "revisions": "gone", "traffic": [], "rollout": 7},
        {"conditions": [{"reason": "Odd"}, "text"], "revisions": [{}], "lastAction": "x"},
        {"traffic": {"configuration": {"table": [{}]}}, "revisions": [{"hash": 5, "model": []}]},
        {"rollout": {"checks": [{}]}, "history": {}},
    ],
    ids=str,
)
def test_a_status_of_another_version_breaks_nothing(status: dict[str, Any]) -> None:
    assert "team/fraud" in _tree(a_model(**status))
    assert listing.model_row(a_model(**status))["name"] == "fraud"


def test_brackets_in_a_message_are_no_markup() -> None:
    text = "[red]model[/red] shape [1, 30]"
    said = a_model(conditions=[a_condition("Ready", "False", "InvalidModel", text)])
    assert text in _tree(said)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "Running"),
        ({"ready": False, "state": _WAITING}, "ImagePullBackOff"),
        ({"ready": False, "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
         "OOMKilled"),
        ({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}, "Running"),
    ],
    ids=str,
)  # fmt: skip
def test_a_pod_is_in_the_state_that_kubectl_would_say(change: dict[str, Any], state: str) -> None:
    assert pods.describe(a_pod(STABLE, **change))["state"] == state


def test_a_pod_that_goes_and_one_that_fits_nowhere_say_it() -> None:
    going = a_pod(STABLE)
    going["metadata"]["deletionTimestamp"] = stamp(0)
    assert pods.describe(going)["state"] == "Terminating"
    waiting = a_pod(STABLE)
    condition = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: no room"}
    waiting["status"] = {"phase": "Pending", "conditions": [condition]}
    found = pods.describe(waiting)
    assert (found["state"], found["message"]) == ("Pending", "0/1 nodes: no room")
    assert (found["ready"], found["containers"]) == (0, 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (-119, "119s"), (-120, "2m"), (-7200, "2h"), (-86_400 * 3, "3d"), (5, "0s")],
)
def test_ages_are_written_as_kubectl_does(seconds: float, text: str) -> None:
    assert reading.age(stamp(seconds), NOW) == text


def test_an_instant_that_is_none_has_no_age() -> None:
    assert reading.age(None, NOW) == reading.age("soon", NOW) == ""


def test_a_list_has_the_columns_of_kubectl() -> None:
    rows = {"modelDeployments": [listing.model_row(a_split_model())], "experiments": []}
    head, row = shown(listing.tables(rows, NOW, namespaces=True)).splitlines()
    assert head.split() == [
        "NAMESPACE", "NAME", "READY", "VERSION", "CANDIDATE", "WEIGHT", "STEP", "REPLICAS", "P99",
        "DRIFT", "REASON", "AGE",
    ]  # fmt: skip
    assert row.split() == ["team", "fraud", "False", "1", "12ms", "2h"]

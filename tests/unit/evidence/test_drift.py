"""Reading pods' counts: whose port, and what a page says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead_operator.evidence.drift import going, inner_port, parse, targets
from fairlead_runtime.contract.drift_counts import FeatureCounts, Window
from fairlead_runtime.contract.drift_names import PATH
from fairlead_runtime.contract.drift_report import Reference, Report, to_document

WINDOW = Window(
    profile="p", start_s=0, end_s=60, rows=3,
    features=(FeatureCounts(bins=(1, 2), missing=0, total=2**70),),
)  # fmt: skip
REPORT = Report(
    instance="i", version="1", model="m", profile="p", rows=3, skipped=0,
    features=(Reference(name="x", role="input", kind="number", cut="c", bins=(1, 2), missing=0),),
    counted=WINDOW, windows=(WINDOW,),
)  # fmt: skip


def pod(name: str = "a", *, ready: str = "True", **meta: Any) -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9001}]
    return {
        "metadata": {"name": name, **meta},
        "spec": {"containers": [{"ports": ports}]},
        "status": {"podIP": "10.0.0.7", "conditions": [{"type": "Ready", "status": ready}]},
    }


def test_ready_pods_are_asked_on_their_inner_port() -> None:
    [target] = targets([pod(), pod("b", ready="False")])
    assert (target.pod, target.url) == ("a", f"http://10.0.0.7:9001{PATH}")


def test_pods_that_go_are_asked_while_they_are_ready() -> None:
    leaving = [pod("a"), pod("b", deletionTimestamp="now")]
    assert [each.pod for each in targets(leaving)] == ["a", "b"]
    assert going(leaving)
    gone = [pod("a"), pod("b", ready="False", deletionTimestamp="now")]
    assert [each.pod for each in targets(gone)] == ["a"]
    assert not going(gone)


def test_pods_without_an_inner_port_are_not_asked() -> None:
    without = pod()
    without["spec"]["containers"][0]["ports"].pop()
    assert targets([without]) == ()
    assert inner_port({}) is None


def test_a_page_of_counts_is_read() -> None:
    told = parse("a", json.dumps(to_document(REPORT)).encode())
    assert told.report == REPORT


def test_a_page_that_has_none_says_why() -> None:
    page = {"profile": None, "reason": "ProfileRefused", "message": "made with another model"}
    told = parse("a", json.dumps(page).encode())
    assert (told.report, told.reason, told.message) == (None, page["reason"], page["message"])


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"profile": {}}', b"[" * 99_999])
def test_a_page_that_makes_no_sense_is_no_counts(body: bytes) -> None:
    told = parse("a", body)
    assert (told.report, told.reason) == (None, "Unread")
    assert told.message.startswith("a: ")

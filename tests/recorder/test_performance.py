"""How good a model is over time: a real runtime's prediction log, a real recorder, outcomes."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests import models
from tests.recorder.process import Recorder, recorder
from tests.runtimes import Served, served

PATH = "/v1/modeldeployments/shop/fraud"
TYPE = "application/cloudevents-batch+json"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    folder = tmp_path_factory.mktemp("recorder")
    with recorder(f"sqlite:///{folder}/recorder.db", folder) as started:
        yield started


@pytest.fixture
def registered(running: Recorder) -> Recorder:
    """Register the model anew: a resource of another UID starts empty."""
    answer = running.put(PATH, {"uid": f"uid-{next(_numbers)}"})
    assert answer.status_code == 200, answer.text
    return running


def event(request: str, *values: Any, name: str = "label") -> dict[str, Any]:
    tensor = {"name": name, "datatype": "INT64", "shape": [len(values)], "data": list(values)}
    data = {"request_id": request, "model_version": "7", "outputs": [tensor]}
    return {"specversion": "1.0", "type": "dev.fairlead.prediction.v1", "data": data}


def logged(
    running: Recorder, *events: Any, query: str = "?revision=abc", kind: str = TYPE
) -> httpx.Response:
    return httpx.post(
        f"{running.url}{PATH}/predictions{query}", content=json.dumps(events),
        headers={"content-type": kind}, trust_env=False,
    )  # fmt: skip


def turned_out(running: Recorder, **outcomes: Any) -> Any:
    body = {"outcomes": [{"requestId": key, "outcome": each} for key, each in outcomes.items()]}
    answer = running.post(f"{PATH}/outcomes", body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def counted(running: Recorder) -> dict[str, tuple[int, int]]:
    """Return outcomes and errors by revision."""
    found = running.get(f"{PATH}/performance")["revisions"]
    return {
        revision: (sum(w["outcomes"] for w in windows), sum(w["errors"] for w in windows))
        for revision, windows in found.items()
    }


def ask(server: Served, rows: list[list[float]], request: str) -> list[int]:
    answer = httpx.post(
        f"http://127.0.0.1:{server.port}/predict", json={"features": rows},
        headers={"x-request-id": request},
    ).raise_for_status()  # fmt: skip
    assert answer.headers["x-request-id"] == request
    found = answer.json()["prediction"]
    return found if isinstance(found, list) else [found]


def test_what_the_runtime_answered_meets_what_turned_out(
    registered: Recorder, tmp_path: Path
) -> None:
    """Of twenty requests of two rows, the second row's truth is the other label."""
    model = models.classifier(tmp_path / "model.onnx")
    token = tmp_path / "token"
    token.write_text("secret\n")
    where = f"{registered.url}{PATH}/predictions?revision=abc"
    flags = ("--prediction-log", where, "--prediction-log-token-file", str(token))
    rows = np.random.default_rng(0).standard_normal((40, 3)).tolist()
    with served(model, tmp_path / "log", *flags) as server:
        labels = {
            f"r{place}": ask(server, rows[2 * place : 2 * place + 2], f"r{place}")
            for place in range(20)
        }
        outcomes = [
            {"requestId": request, "row": row, "outcome": label if row == 0 else 1 - label}
            for request, both in labels.items()
            for row, label in enumerate(both)
        ]
        assert registered.post(f"{PATH}/outcomes", {"outcomes": outcomes}).status_code == 200
        deadline = time.monotonic() + 30
        while counted(registered) != {"abc": (40, 20)}:
            assert time.monotonic() < deadline, counted(registered)
            time.sleep(0.1)


def test_labels_are_the_same_however_json_writes_them(registered: Recorder) -> None:
    logged(registered, event("a", 1), event("b", 1.0), event("c", True), event("d", "yes"))
    taken = turned_out(registered, a=True, b=1, c=1.0, d="yes")
    assert taken == {"accepted": 4, "joined": 4, "duplicates": 0}
    assert counted(registered) == {"abc": (4, 0)}
    assert turned_out(registered, a=0) == {"accepted": 0, "joined": 0, "duplicates": 1}


def test_without_a_revision_the_version_says_whose_they_are(registered: Recorder) -> None:
    logged(registered, event("a", 1), query="")
    turned_out(registered, a=1)
    assert counted(registered) == {"7": (1, 0)}


def test_what_cannot_be_compared_is_skipped_and_harms_no_other(registered: Recorder) -> None:
    odd = [
        {}, "x", None, {"type": "another"}, event("", 1), event("e" * 300, 1), event("\x00", 1),
        event("matrix", 1) | {"data": {"request_id": "m", "outputs": [
            {"name": "label", "shape": [1, 2], "data": [0.5, 0.5]}]}},
        event("hidden") | {"data": {"request_id": "h", "outputs": [
            {"name": "label", "shape": [1], "redacted": True}]}},
        event("long", "y" * 300), event("nested", [1]),
    ]  # fmt: skip
    answer = logged(registered, *odd, event("fine", 1))
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "accepted": 1, "joined": 0, "duplicates": 0, "skipped": len(odd),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        ("application/json", b"[]", 415),
        (TYPE, b"{", 400),
        (TYPE, b"{}", 400),
        (TYPE, b"[" + b",".join([b"{}"] * 10_001) + b"]", 400),
    ],
    ids=["type", "no-json", "no-array", "too-many"],
)
def test_what_is_no_batch_is_refused(
    registered: Recorder, kind: str, content: bytes, status: int
) -> None:
    answer = httpx.post(
        f"{registered.url}{PATH}/predictions", content=content,
        headers={"content-type": kind}, trust_env=False,
    )  # fmt: skip
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_model_that_nobody_registered_is_unknown(running: Recorder) -> None:
    answer = running.post(
        "/v1/modeldeployments/shop/other/outcomes",
        {"outcomes": [{"requestId": "a", "outcome": 1}]},
    )
    assert answer.status_code == 404
    assert "spec.performance" in answer.json()["error"]


def test_a_tolerance_makes_numbers_of_them(running: Recorder) -> None:
    body = {"uid": "numbers", "output": "price", "tolerance": 0.5}
    assert running.put(PATH, body).status_code == 200
    both = event("a", 1.4)
    both["data"]["outputs"].insert(0, {"name": "other", "shape": [1], "data": [9.0]})
    both["data"]["outputs"][1]["name"] = "price"
    logged(running, both, event("b", 3.0, name="price"))
    turned_out(running, a=1.0, b=2)
    found = running.get(f"{PATH}/performance")
    [window] = found["revisions"]["abc"]
    assert (window["outcomes"], window["errors"]) == (2, 1)
    assert window["distance"] == pytest.approx(1.4)
    assert (found["output"], found["tolerance"]) == ("price", 0.5)
    assert running.get(f"{PATH}/performance?since=99999999999")["revisions"] == {}

"""Drift of a served model: from training rows to gauges, over real sockets."""

from __future__ import annotations

import concurrent.futures
import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from onnx import TensorProto

from cluster.controlplane import free_ports
from fairlead_operator.stats.drift import judge
from fairlead_operator.stats.drift_watch import samples
from fairlead_runtime.contract.drift_counts import Window, merge
from fairlead_runtime.contract.drift_names import PATH
from fairlead_runtime.contract.drift_profile import parse
from fairlead_runtime.contract.drift_report import Report, from_document
from tests import models
from tests.runtimes import Served, served

MODULE = [sys.executable, "-m", "fairlead_runtime.cli", "profile"]


def profiled(folder: Path, *, seed: int = 0, rows: int = 5000) -> Path:
    """Write a classifier and the profile of standard normal rows beside it."""
    model = models.classifier(folder / "model.onnx")
    data = np.random.default_rng(seed).standard_normal((rows, 3))
    np.savez(folder / "rows.npz", x=data)
    subprocess.run(
        [*MODULE, "--model", str(model), "--data", str(folder / "rows.npz")],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return model


def ask(server: Served, rows: np.ndarray, size: int = 50) -> None:
    """Predict rows, some at a time, and expect answers."""
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        for start in range(0, len(rows), size):
            body = {"features": rows[start : start + size].tolist()}
            client.post("/predict", json=body).raise_for_status()


def page(port: int) -> dict[str, Any]:
    document: dict[str, Any] = httpx.get(f"http://127.0.0.1:{port}{PATH}").json()
    return document


def counted(port: int, rows: int) -> Report:
    """Wait until rows are counted, which happens aside."""
    deadline = time.monotonic() + 20
    while page(port)["rows"] < rows:
        assert time.monotonic() < deadline, page(port)["rows"]
        time.sleep(0.05)
    return from_document(page(port))


def whole(report: Report) -> Window:
    """Return all counts: a minute may have ended meanwhile."""
    return merge([*report.windows, *([report.current] if report.current else [])])


def drifted(server: Served, feature: str) -> float:
    return server.metric(f'model_input_drift{{feature_name="{feature}"}}')


def test_a_shifted_feature_is_seen_and_the_others_are_not(tmp_path: Path) -> None:
    model = profiled(tmp_path)
    inner = free_ports(1)[0]
    random = np.random.default_rng(7)
    with served(model, tmp_path / "log", "--metrics-port", str(inner)) as server:
        ask(server, random.standard_normal((1000, 3)))
        report = counted(inner, 1000)
        assert (report.rows, report.skipped) == (1000, 0)
        assert [each.name for each in report.features] == [
            "x[0]", "x[1]", "x[2]", "label", "probabilities[0]", "probabilities[1]",
        ]  # fmt: skip
        assert all(drifted(server, f"x[{place}]") < 0.15 for place in range(3))
        assert server.metric("model_prediction_drift") < 0.15
        ask(server, random.standard_normal((3000, 3)) + np.array((0, 2, 0)))
        counted(inner, 4000)
        assert drifted(server, "x[1]") == pytest.approx(1.5, abs=0.15)
        assert drifted(server, "x[0]") < 0.15
        assert server.metric('model_drift_score{feature_name="x[1]",statistic="psi"}') > 1
        assert server.metric('model_drift_outside_ratio{feature_name="x[1]"}') > 0.01
        assert httpx.get(f"http://127.0.0.1:{server.port}{PATH}").status_code == 404


def test_replicas_add_up_to_one_that_saw_it_all(tmp_path: Path) -> None:
    model = profiled(tmp_path)
    rows = np.random.default_rng(3).standard_normal((600, 3)).round(3)
    inner = free_ports(3)
    flags = [("--metrics-port", str(port)) for port in inner]
    with (
        served(model, tmp_path / "one", *flags[0]) as one,
        served(model, tmp_path / "half", *flags[1]) as half,
        served(model, tmp_path / "other", *flags[2]) as other,
    ):
        ask(one, rows)
        ask(half, rows[:200])
        ask(other, rows[200:], size=7)
        reports = [counted(port, count) for port, count in zip(inner, (600, 200, 400), strict=True)]
    one_alone, *parts = map(whole, reports)
    assert merge(parts).features == one_alone.features
    assert len({report.instance for report in reports}) == 3


@pytest.mark.parametrize("edge", ["own", "asgi"])
def test_broken_values_are_counted_and_answered(edge: str, tmp_path: Path) -> None:
    model = models.identity(tmp_path / "model.onnx", TensorProto.FLOAT, ["n", 2])
    np.savez(tmp_path / "rows.npz", x=np.random.default_rng(0).random((500, 2)))
    subprocess.run(
        [*MODULE, "--model", str(model), "--data", str(tmp_path / "rows.npz")],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    inner = free_ports(1)[0]
    flags = ("--http-edge", edge, "--metrics-port", str(inner))
    with served(model, tmp_path / "log", *flags) as server:
        values = np.array([[np.nan, np.inf], [-np.inf, 3e38], [0.5, -3e38]], dtype="<f4")
        head = json.dumps(
            {
                "inputs": [
                    {
                        "name": "x", "datatype": "FP32", "shape": [3, 2],
                        "parameters": {"binary_data_size": 24},
                    }
                ]
            }
        ).encode()  # fmt: skip
        for _ in range(60):
            httpx.post(
                f"http://127.0.0.1:{server.port}/v2/models/m/infer",
                content=head + values.tobytes(),
                headers={"inference-header-content-length": str(len(head))},
            ).raise_for_status()
        report = counted(inner, 180)
        assert whole(report).features[0].missing == 60
        assert server.metric('model_drift_missing_ratio{feature_name="x[0]"}') == pytest.approx(
            1 / 3
        )
        assert server.metric('model_drift_outside_ratio{feature_name="x[1]"}') == 1
        assert "Traceback" not in server.log.read_text()


def other_model(document: Any) -> None:
    document["model"]["digest"] = "sha256:" + "0" * 64


def missing_feature(document: Any) -> None:
    document["features"][1] |= {"tensor": "amount"}


def empty_bins(document: Any) -> None:
    document["features"][0]["counts"] = []


def edges_that_are_nan(document: Any) -> None:
    document["features"][0]["edges"][3] = float("nan")


def another_format(document: Any) -> None:
    document["schema"] = "fairlead.dev/drift-profile/v9"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(None, "no JSON", id="no-json"),
        pytest.param(another_format, "make the profile", id="schema"),
        pytest.param(other_model, "make it anew", id="other-model"),
        pytest.param(missing_feature, "the model has no input 'amount'", id="missing-feature"),
        pytest.param(empty_bins, "x[0]", id="empty-bins"),
        pytest.param(edges_that_are_nan, "a finite number, not nan", id="nan-edges"),
    ],
)
def test_a_profile_that_is_no_good_is_said_and_the_model_served(
    spoil: Callable[[Any], None] | None, message: str, tmp_path: Path
) -> None:
    model = profiled(tmp_path)
    path = tmp_path / "profile.json"
    document = json.loads(path.read_text())
    if spoil is not None:
        spoil(document)
    path.write_text("{" if spoil is None else json.dumps(document))
    inner = free_ports(1)[0]
    with served(model, tmp_path / "log", "--metrics-port", str(inner)) as server:
        ask(server, np.zeros((100, 3)))
        found = page(inner)
        assert (found["profile"], found["reason"]) == (None, "ProfileRefused")
        assert message in found["message"]
        assert message in server.log.read_text()
        assert server.metric("model_drift_profile_refused") == 1


def test_a_profile_that_could_not_be_had_is_said_in_the_fetchers_words(tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    (tmp_path / "profile.problem").write_text("DownloadRefused: s3://p/profile.json is refused")
    inner = free_ports(2)
    asked_for = ("--profile", str(tmp_path / "profile.json"))
    for port, more in zip(inner, ((), asked_for), strict=True):
        flags = ("--metrics-port", str(port), *more)
        with served(model, tmp_path / f"log{port}", *flags) as server:
            ask(server, np.zeros((10, 3)))
            assert page(port)["reason"] == "ProfileRefused"
            assert "s3://p/profile.json is refused" in page(port)["message"]
            assert server.metric("model_drift_profile_refused") == 1


def test_without_a_profile_there_is_no_drift(tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    inner = free_ports(1)[0]
    with served(model, tmp_path / "log", "--metrics-port", str(inner)) as server:
        ask(server, np.zeros((10, 3)))
        assert page(inner)["reason"] == "NoProfile"
        assert b"model_drift" not in server.get("/metrics")[1]


def test_a_profile_may_lie_elsewhere_and_be_switched_off(tmp_path: Path) -> None:
    model = profiled(tmp_path)
    elsewhere = (tmp_path / "profile.json").rename(tmp_path / "made.json")
    inner = free_ports(2)
    flags = ("--profile", str(elsewhere), "--metrics-port", str(inner[0]))
    with served(model, tmp_path / "log", *flags):
        assert page(inner[0])["rows"] == 0
    elsewhere.rename(tmp_path / "profile.json")
    flags = ("--profile", "off", "--metrics-port", str(inner[1]))
    with served(model, tmp_path / "log2", *flags):
        assert page(inner[1])["reason"] == "NoProfile"


def test_scrapes_under_load_disturb_no_prediction(tmp_path: Path) -> None:
    model = profiled(tmp_path)
    inner = free_ports(1)[0]
    with (
        served(model, tmp_path / "log", "--metrics-port", str(inner)) as server,
        concurrent.futures.ThreadPoolExecutor(4) as pool,
    ):
        rows = np.random.default_rng(0).standard_normal((1500, 3))
        asking = [pool.submit(ask, server, rows, 5) for _ in range(3)]
        while not all(each.done() for each in asking):
            assert server.get("/metrics")[0] == 200
            from_document(page(inner))
        for each in asking:
            each.result()
        assert counted(inner, 4500).rows == 4500
        assert "Traceback" not in server.log.read_text()


def test_the_kept_examples_held_out_rows_are_not_drifting(tmp_path: Path) -> None:
    """And one of them in other units is: the profile is of the rows that it was trained on."""
    example = Path(__file__).parents[2] / "examples" / "breast-cancer"
    with (example / "held-out.csv").open(newline="") as file:
        table = list(csv.reader(file))
    rows = np.array([row[:-1] for row in table[1:]], dtype=np.float64)
    inner = free_ports(1)[0]
    with served(example / "model.onnx", tmp_path / "log", "--metrics-port", str(inner)) as server:
        for _ in range(5):
            ask(server, rows, 20)
        report = counted(inner, 1000)
        found = judge(samples(report.features, whole(report)))
        assert not [each.name for each in found if each.drifting]
        rows[:, 3] *= 1.5  # mean area, measured in other units
        for _ in range(10):
            ask(server, rows, 20)
        report = counted(inner, 3000)
        found = judge(samples(report.features, whole(report)))
        assert max(found, key=lambda each: each.psi).name == table[0][3]


def test_the_kept_examples_profile_is_made_again(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "breast-cancer"
    subprocess.run(
        [sys.executable, str(example / "write_profile.py"), "--output", str(tmp_path)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    for place in ("profile.json", "2/profile.json"):
        kept, made = (parse((folder / place).read_bytes()) for folder in (example, tmp_path))
        assert kept.model_digest == made.model_digest
        # Answers may differ in the last digit from one processor to the next; inputs do not.
        assert [each for each in kept.features if each.role == "input"] == [
            each for each in made.features if each.role == "input"
        ]

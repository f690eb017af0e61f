"""What looks at answers: what is counted, what is skipped, what is shown, and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from fairlead_runtime.contract.drift_counts import Window, merge
from fairlead_runtime.contract.drift_profile import Profile, to_text
from fairlead_runtime.contract.drift_report import Report, from_document
from fairlead_runtime.drift.monitor import Monitor
from fairlead_runtime.drift.watch import DriftWatch
from fairlead_runtime.protocol.types import InferRequest, InferResponse, Signature, TensorSpec
from tests.unit.runtime.drifting import DIGEST, SIGNATURE, a_profile, profile_of, rows

PROFILE = a_profile()


@dataclass(frozen=True)
class Answer:
    """A prediction as the data plane hands it over."""

    request: InferRequest
    response: InferResponse


def answer(inputs: dict[str, Any], outputs: dict[str, Any]) -> Answer:
    return Answer(InferRequest(inputs=inputs), InferResponse(outputs=outputs))


@dataclass
class Model:
    """A served model, loaded or not."""

    digest: str = DIGEST
    loaded: bool = True
    inputs: Signature = SIGNATURE

    def signature(self) -> Signature:
        return self.inputs


def watched(path: Path, profile: Profile | str = PROFILE, model: Model | None = None) -> DriftWatch:
    path.write_text(profile if isinstance(profile, str) else to_text(profile))
    return DriftWatch(path, model or Model(), version="1")


def whole(report: Report) -> Window:
    """Return all counts: a minute may have ended meanwhile."""
    return merge([*report.windows, *([report.current] if report.current else [])])


def exposed(drift: DriftWatch) -> dict[str, float]:
    """Return all samples as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(drift)
    lines = generate_latest(registry).decode().splitlines()
    return {
        line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
        for line in lines
        if not line.startswith("#")
    }


def test_answers_of_one_batch_are_counted_together(tmp_path: Path) -> None:
    drift = watched(tmp_path / "profile.json")
    drift.take([answer(*rows(count, count)) for count in (1, 1, 7, 300)])
    report = from_document(json.loads(drift.page()[1]))
    assert report.rows == 309
    assert {each.rows for each in whole(report).features} == {309}
    assert report.profile == PROFILE.digest


def test_answers_of_different_shape_do_not_disturb_each_other(tmp_path: Path) -> None:
    drift = watched(tmp_path / "profile.json")
    inputs, outputs = rows(5)
    drift.take(
        [
            answer(inputs, outputs),
            answer(inputs, {"label": outputs["label"]}),
            answer({**inputs, "x": inputs["x"].astype(np.float64)}, outputs),
            answer({**inputs, "x": inputs["x"][:, :1]}, outputs),
        ]
    )
    report = from_document(json.loads(drift.page()[1]))
    assert report.rows == 20
    assert whole(report).features[1].missing == 5  # rows too short for it


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45])
def test_rows_of_broken_values_are_counted(tmp_path: Path, value: float) -> None:
    drift = watched(tmp_path / "profile.json")
    inputs, outputs = rows(200)
    inputs["x"][:] = value
    outputs["score"][:] = value
    drift.take([answer(inputs, outputs)])
    samples = exposed(drift)
    assert samples["model_drift_rows_total"] == 200
    assert samples['model_drift_score{feature_name="x[0]",statistic="psi"}'] > 1
    if np.isnan(value):
        assert samples['model_drift_missing_ratio{feature_name="x[0]"}'] == 1
        assert 'model_input_drift{feature_name="x[0]"}' not in samples
    else:
        assert np.isfinite(samples['model_input_drift{feature_name="x[0]"}'])


def test_gauges_show_what_has_moved_and_by_how_much(tmp_path: Path) -> None:
    drift = watched(tmp_path / "profile.json")
    inputs, outputs = rows(4000, 3, shift=0.5)
    drift.take([answer(inputs, outputs)])
    samples = exposed(drift)
    assert samples['model_input_drift{feature_name="x[0]"}'] == pytest.approx(0.5, abs=0.1)
    assert samples['model_input_drift{feature_name="x[1]"}'] < 0.1
    assert samples["model_prediction_drift"] < 0.1
    for statistic in ("psi", "jensen_shannon", "kolmogorov_smirnov", "wasserstein", "chi_squared"):
        key = f'model_drift_score{{feature_name="%s",statistic="{statistic}"}}'
        assert samples[key % "x[0]"] > samples[key % "x[1]"]
    assert samples["model_drift_window_rows"] == 4000
    assert samples[f'model_drift_profile_info{{digest="{PROFILE.digest}"}}'] == 1
    assert samples["model_drift_profile_refused"] == 0


def test_nothing_is_shown_below_a_hundred_rows(tmp_path: Path) -> None:
    drift = watched(tmp_path / "profile.json")
    drift.take([answer(*rows(99))])
    samples = exposed(drift)
    assert samples["model_drift_rows_total"] == 99
    assert not [name for name in samples if name.startswith(("model_input", "model_drift_score"))]
    assert "model_prediction_drift" not in samples
    drift.take([answer(*rows(1))])
    assert "model_prediction_drift" in exposed(drift)


def test_the_number_of_series_is_bounded(tmp_path: Path) -> None:
    wide = Signature(
        inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, 300)),),
        outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1,)),),
    )
    random = np.random.default_rng(0)
    inputs = {"x": random.standard_normal((300, 300), dtype=np.float32)}
    outputs = {"y": np.zeros(300, np.float32)}
    profile = profile_of(inputs, outputs, wide)
    drift = watched(tmp_path / "profile.json", profile, Model(inputs=wide))
    inputs["x"][:, 7] += 3
    drift.take([answer(inputs, outputs)])
    samples = exposed(drift)
    shown = {name for name in samples if name.startswith("model_drift_score")}
    assert len(shown) == 50 * 5
    assert 'model_drift_score{feature_name="x[7]",statistic="psi"}' in shown
    assert len([name for name in samples if name.startswith("model_input_drift")]) == 300


def test_counting_beyond_its_share_of_the_cpu_is_skipped_and_counted() -> None:
    now = [0.0]
    monitor = Monitor(PROFILE, version="1", clock=lambda: now[0], cpu_share=1e-9)
    batch = [answer(*rows(2000))]
    for _ in range(10_000):
        monitor.take(batch)
        if monitor.skipped:
            break
    counted, before = monitor.rows, monitor.skipped
    monitor.take(batch)
    assert monitor.rows == counted
    assert monitor.skipped == before + 2000
    assert monitor.sated
    now[0] += 1e12
    monitor.take(batch)
    assert monitor.rows == counted + 2000


@pytest.mark.parametrize("kept", [0.0, 30.0])
def test_the_page_shows_each_minute_once(kept: float) -> None:
    wall = [kept]
    monitor = Monitor(PROFILE, version="1", wall=lambda: wall[0])
    monitor.count(*rows(300))
    wall[0] = 61.0
    report = monitor.report()
    assert [each.rows for each in report.windows] == [300]
    assert report.current is None
    monitor.count(*rows(100))
    assert monitor.whole().rows == 400
    assert monitor.report().windows == report.windows


def test_two_processes_are_told_apart() -> None:
    assert Monitor(PROFILE, version="1").instance != Monitor(PROFILE, version="1").instance


@pytest.mark.parametrize(
    ("profile", "model", "message"),
    [
        ("{", Model(), "no JSON"),
        ('{"schema": "x"}', Model(), "make the profile anew"),
        (PROFILE, Model(digest="sha256:" + "0" * 64), "is served: make it anew"),
        (PROFILE, Model(inputs=Signature(inputs=(), outputs=SIGNATURE.outputs)), "no input 'x'"),
    ],
)
def test_a_profile_that_is_no_good_stops_nothing(
    tmp_path: Path, profile: Profile | str, model: Model, message: str
) -> None:
    drift = watched(tmp_path / "profile.json", profile, model)
    drift.take([answer(*rows(10))])
    page = json.loads(drift.page()[1])
    assert page["profile"] is None
    assert page["reason"] == "ProfileRefused"
    assert message in page["message"]
    assert exposed(drift)["model_drift_profile_refused"] == 1
    assert drift.sated


def test_a_profile_that_is_not_there_stops_nothing(tmp_path: Path) -> None:
    drift = DriftWatch(tmp_path / "profile.json", Model(), version="1")
    assert "No such file" in drift.refused


def test_before_the_model_is_loaded_there_is_nothing_to_show(tmp_path: Path) -> None:
    model = Model(loaded=False)
    drift = watched(tmp_path / "profile.json", PROFILE, model)
    assert json.loads(drift.page()[1])["reason"] == "ModelLoading"
    assert not drift.sated
    model.loaded = True
    assert json.loads(drift.page()[1])["rows"] == 0

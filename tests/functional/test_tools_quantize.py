"""`fairlead-runtime quantize`: smaller models, and refusing those that got worse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest

from fairlead_runtime import tools
from fairlead_runtime.export import quantize as room
from fairlead_runtime.workbench.datafiles import Labelled
from tests import models
from tests.command import runtime

Rows = npt.NDArray[np.float32]


def rows(count: int = 200) -> Rows:
    return np.random.default_rng(5).standard_normal((count, 3)).astype(np.float32)


def labelled(model: Path, path: Path) -> Path:
    """Write rows with the labels that this model gives them: it is right on all."""
    inputs = rows()
    label = ort.InferenceSession(str(model)).run(["label"], {"x": inputs})[0]
    np.savez(path, x=inputs, label=label)
    return path


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    return models.classifier(tmp_path / "model.onnx")


@pytest.mark.parametrize("mode", ["dynamic", "static"])
def test_it_quantises_and_says_what_that_costs(classifier: Path, tmp_path: Path, mode: str) -> None:
    data, target = labelled(classifier, tmp_path / "d.npz"), tmp_path / "q.onnx"
    flags = ("--mode", mode, "--max-accuracy-loss", "0.1", "--output", "json")
    done = runtime(
        "quantize", classifier, target, "--calibration", data, "--labelled", data, *flags
    )
    assert done.status == 0, done.err
    assert done.json["before"]["accuracy"] == {"right": 200, "rows": 200}
    assert done.json["after"]["accuracy"]["right"] >= 180
    assert done.json["after"]["latency"]["runs"] > 0
    assert done.json["after"]["size_bytes"] == target.stat().st_size
    assert done.json["calibration_rows"] == (200 if mode == "static" else 0)
    assert 0 < done.json["max_difference"] < 0.2
    graph = tools.inspect(target).graph
    assert graph
    assert {"dynamic": "MatMulInteger", "static": "QuantizeLinear"}[mode] in graph.operators
    assert tools.inspect(target).inputs == tools.inspect(classifier).inputs
    assert str(tmp_path).encode() not in target.read_bytes()


def test_too_much_lost_accuracy_is_status_2_and_no_file(tmp_path: Path) -> None:
    fragile, target = models.fragile(tmp_path / "model.onnx"), tmp_path / "q.onnx"
    data = labelled(fragile, tmp_path / "d.npz")
    target.write_text("what was there before")
    done = runtime("quantize", fragile, target, "--labelled", data)
    assert done.status == 2
    assert done.err.startswith("fairlead-runtime: AccuracyLost: accuracy 1.0000 before, 0.")
    assert target.read_text() == "what was there before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.npz", "model.onnx", "q.onnx"]
    allowed = runtime("quantize", fragile, target, "--labelled", data, "--max-accuracy-loss", "1")
    assert allowed.status == 0
    demanded = runtime("quantize", fragile, target, "--labelled", data, "--max-accuracy-loss", "1",
                       "--min-accuracy", "0.9")  # fmt: skip
    assert demanded.status == 2
    assert "0.9 is demanded" in demanded.err


def test_calibration_data_decide_the_scales(classifier: Path, tmp_path: Path) -> None:
    """With rows a hundred times too large, the quantised model can tell less apart."""
    good = tools.quantize(classifier, tmp_path / "a.onnx", mode="static", calibration={"x": rows()})
    wide = {"x": rows() * 100}
    bad = tools.quantize(classifier, tmp_path / "b.onnx", mode="static", calibration=wide)
    ask = {"x": rows()}
    want, first, second = (
        ort.InferenceSession(str(path)).run(["probabilities"], ask)[0]
        for path in (classifier, good.model, bad.model)
    )
    assert np.abs(first - want).max() * 5 < np.abs(second - want).max()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--mode", "static"), "static quantisation needs calibration data"),
        (("--min-accuracy", "0.5"), "needs rows with labels"),
        (("--labelled", "no.npz"), "there is no file no.npz"),
        (("--mode", "half"), "must be dynamic or static"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_missing_is_told(
    classifier: Path, tmp_path: Path, flags: tuple[str, ...], message: str
) -> None:
    done = runtime("quantize", classifier, tmp_path / "q.onnx", *flags)
    assert done.status == 1
    assert message in done.err
    assert not (tmp_path / "q.onnx").exists()


def test_labels_that_never_fit_are_told_from_a_bad_model(classifier: Path, tmp_path: Path) -> None:
    marked = Labelled(inputs={"x": rows(4)}, labels=np.array(["a", "b", "a", "b"]))
    with pytest.raises(tools.ToolError, match="right on no row") as caught:
        tools.quantize(classifier, tmp_path / "q.onnx", labelled=marked)
    assert not caught.value.blames_model


def test_a_large_model_keeps_its_weights_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large is from 1.5 GiB on; here it is from one byte on."""
    monkeypatch.setattr(room, "ONE_FILE_BYTES", 1)
    (tmp_path / "out").mkdir()
    source = models.wide(tmp_path / "model.onnx")
    target = tools.quantize(source, tmp_path / "out" / "q.onnx").model
    assert sorted(path.name for path in target.parent.iterdir()) == ["q.onnx", "q.onnx.data"]
    assert tools.inspect(target).load_error is None


@pytest.mark.parametrize("large", [False, True], ids=["one-file", "large"])
@pytest.mark.parametrize("mode", ["dynamic", "static"])
@pytest.mark.parametrize(
    "places",
    [("model.onnx.data",), ("weights.bin", "weights.bin"), ("w/first.bin", "w/second.bin")],
    ids=["by-custom", "another-name", "several"],
)
def test_weights_beside_the_original_are_found_and_counted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    places: tuple[str, ...],
    mode: room.Mode,
    large: bool,
) -> None:
    (tmp_path / "out").mkdir()
    source = models.scattered(tmp_path / "in" / "model.onnx", places)
    weights = len(places) * 4 * 64 * 64
    monkeypatch.setattr(room, "ONE_FILE_BYTES", 1 if large else weights * 2)
    random = np.random.default_rng(2).standard_normal((64, 64)).astype(np.float32)
    done = tools.quantize(source, tmp_path / "out" / "q.onnx", mode=mode, calibration={"x": random})
    beside = [tmp_path / "out" / "q.onnx.data"] if large else []
    assert sorted((tmp_path / "out").iterdir()) == [done.model, *beside]
    assert done.before.size_bytes == source.stat().st_size + weights
    assert done.after.size_bytes == sum(each.stat().st_size for each in (done.model, *beside))
    assert tools.inspect(done.model).load_error is None
    assert done.max_difference > 0

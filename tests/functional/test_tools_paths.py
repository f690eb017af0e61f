"""The model tools as functions take a path as str, as Path, and as any other `os.PathLike`."""

from __future__ import annotations

import inspect
import json
import os
import typing
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from fairlead_runtime import tools
from tests import models

ROWS = np.random.default_rng(3).standard_normal((60, 3)).astype(np.float32)
Pathish = Callable[[Path], str | os.PathLike[str]]


class Entry:
    """A path that is no `pathlib.Path`, as `os.scandir` gives some."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return str(self._path)


@pytest.fixture(params=[str, Path, Entry], ids=["str", "Path", "PathLike"])
def pathish(request: pytest.FixtureRequest) -> Pathish:
    return typing.cast("Pathish", request.param)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return models.classifier(tmp_path / "model.onnx")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    lines = [",".join(repr(float(cell)) for cell in row) for row in ROWS]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "rows.csv"


def test_fetch(model: Path, tmp_path: Path, pathish: Pathish) -> None:
    (tmp_path / "profile.json").write_text('{"beside": 1}')
    (tmp_path / "secret").mkdir()
    done = tools.fetch(
        f"pvc://claim/{model.name}",
        pathish(tmp_path / "out"),
        source_dir=pathish(tmp_path),
        secret_dir=pathish(tmp_path / "secret"),
        profile_uri="pvc://other/profile.json",
        profile_source_dir=pathish(tmp_path),
    )
    assert done.path == tmp_path / "out" / "model.onnx"
    assert done.path.read_bytes() == model.read_bytes()
    assert (tmp_path / "out" / "profile.json").read_text() == '{"beside": 1}'


def test_quantize(model: Path, rows: Path, tmp_path: Path, pathish: Pathish) -> None:
    marked = [f"{row},{index % 2}" for index, row in enumerate(rows.read_text().splitlines())]
    (tmp_path / "marked.csv").write_text("\n".join(["a,b,c,label", *marked]) + "\n")
    done = tools.quantize(
        pathish(model),
        pathish(tmp_path / "q.onnx"),
        mode="static",
        calibration=pathish(rows),
        labelled=pathish(tmp_path / "marked.csv"),
        max_accuracy_loss=1.0,
    )
    assert done.model == tmp_path / "q.onnx"
    assert done.calibration_rows == len(ROWS)
    assert done.before.accuracy
    assert done.before.accuracy.rows == len(ROWS)


def test_validate(model: Path, tmp_path: Path, pathish: Pathish) -> None:
    np.savez(tmp_path / "e.npz", x=ROWS[:1] * 0, probabilities=np.full((1, 2), 0.5, np.float32))
    found = tools.inspect(pathish(model))
    told = {name: [asdict(each) for each in getattr(found, name)] for name in ("inputs", "outputs")}
    (tmp_path / "s.json").write_text(json.dumps(told))
    report = tools.validate(
        pathish(model),
        signature=pathish(tmp_path / "s.json"),
        examples=pathish(tmp_path / "e.npz"),
        round_runs=5,
    )
    assert report.passed
    assert "1 rows reproduced in probabilities" in [each.message for each in report.checks]
    (tmp_path / "s.json").write_text(json.dumps(told | {"inputs": []}))
    judged = tools.validate(pathish(model), signature=pathish(tmp_path / "s.json"), round_runs=5)
    assert not judged.passed


def test_benchmark(model: Path, rows: Path, tmp_path: Path, pathish: Pathish) -> None:
    done = tools.benchmark(pathish(model), inputs=pathish(rows), runs=5, warm_up=1)
    assert done.model == model
    with pytest.raises(tools.ToolError, match="there is no file"):
        tools.benchmark(pathish(model), inputs=pathish(tmp_path / "none.npz"), runs=5)


def test_profile(model: Path, rows: Path, tmp_path: Path, pathish: Pathish) -> None:
    first = tools.profile(pathish(model), pathish(rows), output=pathish(tmp_path / "p.json"))
    assert first.path == tmp_path / "p.json"
    again = tools.profile(pathish(model), pathish(rows), bins=pathish(tmp_path / "p.json"))
    assert again.profile == first.profile


def test_no_function_takes_a_path_in_fewer_ways() -> None:
    """A `Path` in a signature without the other two is how some of them came to take less."""
    functions = [getattr(tools, name) for name in tools.__all__ if name.islower()]
    assert functions
    for function in functions:
        for name, hint in inspect.get_annotations(function).items():
            if name != "return" and "Path" in hint:
                rest = hint.replace("str | os.PathLike[str]", "")
                assert "Path" not in rest, (function.__name__, name, hint)

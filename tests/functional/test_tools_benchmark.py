"""`fairlead-runtime benchmark` on small real models. No figure is asserted: machines differ."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from cluster.paths import cache_dir
from cluster.pyenv import wheel
from fairlead_runtime import tools
from tests import models
from tests.command import runtime

PLOTTER = cache_dir() / "venv" / "peer-fast" / "bin" / "python"
"""The Python of the benchmark's peers, which has matplotlib; `make test-integrations` makes it."""
QUICK = ("--runs", "8", "--warm-up", "2")


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    return models.classifier(tmp_path / "model.onnx")


def test_every_setting_of_the_sweep_is_measured(classifier: Path) -> None:
    done = runtime("benchmark", classifier, "--threads", "1,2", "--batch-sizes", "1,4,16", *QUICK,
                   "--output", "json")  # fmt: skip
    assert done.status == 0
    settings = done.json["settings"]
    assert [(each["threads"], each["batch_size"]) for each in settings] == [
        (1, 1), (1, 4), (1, 16), (2, 1), (2, 4), (2, 16),
    ]  # fmt: skip
    for each in settings:
        timing = each["timing"]
        assert timing["runs"] == 8
        assert timing["total_time_ms"] == pytest.approx(8 * timing["avg_latency_ms"], rel=1e-4)
        assert timing["rows_per_s"] == pytest.approx(
            timing["throughput_rps"] * each["batch_size"], rel=1e-4
        )
        assert timing["p50_ms"] <= timing["p90_ms"] <= timing["p95_ms"] <= timing["p99_ms"]
    assert done.json["recommendation"]["setting"] in settings


def test_people_get_a_table_and_a_recommendation(classifier: Path) -> None:
    done = runtime("benchmark", classifier, *QUICK, "--progress", "--threads", "1")
    lines = done.out.splitlines()
    assert lines[0].split()[:3] == ["THREADS", "BATCH", "RUNS"]
    assert lines[1].split()[:3] == ["1", "1", "8"]
    assert lines[-1].startswith("recommended: --threads 1, batch size 1 (most rows a second)")
    assert done.err == "1/1: 1 threads, batches of 1\n"


def test_a_limit_that_nothing_keeps_is_status_2(tmp_path: Path) -> None:
    slow = models.slow(tmp_path / "slow.onnx", rounds=500, size=64)
    done = runtime("benchmark", slow, *QUICK, "--max-latency-ms", "0.001")
    assert done.status == 2
    assert done.out.endswith("no setting keeps p99 at most 0.001 ms\n")


def test_a_fixed_batch_is_found_and_another_refused(tmp_path: Path) -> None:
    fixed = models.identity(tmp_path / "m.onnx", onnx.TensorProto.FLOAT, [4, 3])
    assert [each.batch_size for each in tools.benchmark(fixed, runs=2).settings] == [4]
    refused = runtime("benchmark", fixed, "--batch-sizes", "4,8")
    assert refused.status == 1
    assert "the model takes batches of 4 only, not of 8: use batch size 4" in refused.err


def test_given_rows_are_used(tmp_path: Path, classifier: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.ones((3, 3), dtype=np.float32))
    assert runtime("benchmark", classifier, *QUICK, "--inputs", tmp_path / "rows.npz").status == 0
    np.savez(tmp_path / "rows.npz", x=np.ones((3, 5), dtype=np.float32))
    refused = runtime("benchmark", classifier, *QUICK, "--inputs", tmp_path / "rows.npz")
    assert refused.status == 1
    assert "has shape [3, 5], but the model has [-1, 3]" in refused.err


def test_a_model_that_fails_is_one_line(tmp_path: Path) -> None:
    done = runtime("benchmark", models.pairs(tmp_path / "m.onnx"), *QUICK, "--batch-sizes", "2,3")
    assert done.status == 1
    assert done.err.startswith("fairlead-runtime: ModelRefusesInputs: the model failed: ")
    assert done.err.count("\n") == 1


@pytest.mark.skipif(bool(importlib.util.find_spec("matplotlib")), reason="matplotlib is there")
def test_a_plot_without_matplotlib_is_refused_before_measuring(
    tmp_path: Path, classifier: Path
) -> None:
    done = runtime("benchmark", classifier, "--plot", tmp_path / "p.png", "--progress")
    assert done.status == 1
    assert done.err == (
        "fairlead-runtime: NotInstalled: a plot needs the package matplotlib: "
        'pip install "matplotlib"\n'
    )


@pytest.mark.slow
@pytest.mark.skipif(not PLOTTER.exists(), reason=f"no {PLOTTER}: make test-integrations")
@pytest.mark.parametrize(
    ("name", "start", "sizes"),
    [
        ("p.svg", b"<?xml", "1,4"),
        ("p.svg", b"<?xml", "4"),
        ("p.png", b"\x89PNG\r\n", "1,4"),
        ("p.pdf", b"%PDF-", "1,4"),
    ],
    ids=["svg", "one-size", "png", "pdf"],
)
def test_a_plot_is_drawn(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    start: bytes,
    sizes: str,
) -> None:
    """Its writer notes each text of an SVG beside the shapes of its letters."""
    with zipfile.ZipFile(wheel()) as archive:
        archive.extractall(tmp_path / "site")
    model = models.classifier(tmp_path / "a $x_{2}^$ b.onnx")
    drawn = tmp_path / name
    fonts = str(tmp_path_factory.getbasetemp() / "matplotlib")  # found once
    done = runtime(
        "benchmark", model, *QUICK, "--threads", "1,2", "--batch-sizes", sizes, "--plot", drawn,
        "--max-latency-ms", "1000",
        python=PLOTTER, env={"PYTHONPATH": str(tmp_path / "site"), "MPLCONFIGDIR": fonts},
    )  # fmt: skip
    assert done.status == 0, done.err
    assert drawn.read_bytes().startswith(start)
    if name.endswith(".svg"):
        text = drawn.read_text()
        labels = ["batch size", "rows per second", "p99 of one batch, ms", "1 thread", "2 threads"]
        for label in (*labels, "limit", "4", model.name):
            assert f"<!-- {label} -->" in text, label

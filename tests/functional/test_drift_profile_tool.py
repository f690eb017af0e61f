"""The command `profile`: files of all kinds, errors that say what to do, the same bytes always."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from fairlead_runtime.contract.drift_profile import Profile, parse
from fairlead_runtime.repository.fetch import digest_of
from tests import models

ROWS = np.random.default_rng(0).standard_normal((700, 3)).astype(np.float32)


def run(*flags: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command and expect an exit status."""
    command = [sys.executable, "-m", "fairlead_runtime.cli", "profile", *map(str, flags)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    return done


def made(model: Path, data: Path, *flags: object) -> Profile:
    run("--model", model, "--data", data, *flags)
    return parse((model.parent / "profile.json").read_bytes())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return models.classifier(tmp_path / "model.onnx")


def table(path: Path, header: str = "", rows: np.ndarray = ROWS) -> Path:
    lines = [",".join(repr(float(cell)) for cell in row) for row in rows]
    path.write_text("\n".join(([header] if header else []) + lines) + "\n")
    return path


def test_every_kind_of_file_gives_the_same_profile(model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=ROWS)
    np.savez_compressed(tmp_path / "packed.npz", x=np.asfortranarray(ROWS))
    first = made(model, tmp_path / "rows.npz")
    assert made(model, tmp_path / "packed.npz") == first
    assert made(model, table(tmp_path / "rows.csv")).features[:3] == tuple(
        # A table without a header gives its columns no other names than numbers.
        each
        for each in first.features[:3]
    )
    assert first.model_digest == digest_of(model)
    assert first.rows == 700
    assert first.exact


def test_a_tables_header_names_the_features_and_labels_are_left_out(
    model: Path, tmp_path: Path
) -> None:
    labelled = np.column_stack([ROWS[:, 0], np.zeros(len(ROWS)), ROWS[:, 1:]])
    data = table(tmp_path / "rows.csv", "age,label,income,debt", labelled)
    profile = made(model, data)
    assert [each.name for each in profile.features][:3] == ["age", "income", "debt"]
    assert profile.features[1].mean == pytest.approx(float(ROWS[:, 1].mean()), abs=1e-6)


def test_the_same_file_and_model_give_the_same_bytes(model: Path, tmp_path: Path) -> None:
    data = table(tmp_path / "rows.csv")
    for name in ("one.json", "two.json"):
        run("--model", model, "--data", data, "--output", tmp_path / name)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_empty_cells_are_missing(model: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b,c\n" + "1.5,,NA\n" * 200 + "0.5,1,2\n" * 100)
    profile = made(model, tmp_path / "rows.csv")
    assert [each.missing for each in profile.features[:3]] == [0, 200, 200]


def test_a_column_for_each_input_may_hold_texts(tmp_path: Path) -> None:
    model = models.identity(tmp_path / "model.onnx", TensorProto.STRING, ["n", 1])
    (tmp_path / "rows.csv").write_text("x,other\n" + "Bonn,1\n" * 30 + "Calw,2\n" * 10)
    profile = made(model, tmp_path / "rows.csv")
    assert profile.features[0].categories == ("Bonn", "Calw")
    assert profile.features[0].counts == (30, 10, 0)


def test_a_model_of_a_fixed_batch_is_profiled_to_the_last_row(tmp_path: Path) -> None:
    model = models.identity(tmp_path / "model.onnx", TensorProto.FLOAT, [8, 3])
    np.savez(tmp_path / "rows.npz", x=ROWS[:101])
    profile = made(model, tmp_path / "rows.npz")
    assert {sum(each.counts) for each in profile.features} == {101}


def test_progress_is_shown_where_it_is_wanted(model: Path, tmp_path: Path) -> None:
    data = table(tmp_path / "rows.csv")
    done = run("--model", model, "--data", data, "--progress")
    assert "(700 rows)" in done.stderr
    assert "rows" in done.stdout
    assert run("--model", model, "--data", data).stderr == ""


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="needs pyarrow")
def test_parquet_gives_the_same_profile(model: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    wide = pa.table({f"c{place}": ROWS[:, place] for place in range(3)})
    parquet.write_table(wide, tmp_path / "rows.parquet", row_group_size=100)
    profile = made(model, tmp_path / "rows.parquet")
    again = made(model, table(tmp_path / "rows.csv", "c0,c1,c2"))
    assert profile == again
    listed = pa.table({"x": ROWS.tolist(), "label": [None] * len(ROWS)})
    parquet.write_table(listed, tmp_path / "lists.parquet")
    assert [each.counts for each in made(model, tmp_path / "lists.parquet").features] == [
        each.counts for each in again.features
    ]


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="needs pyarrow")
def test_a_column_of_dates_is_one_line(model: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    days = pa.array([20_000] * len(ROWS), pa.int32()).cast(pa.date32())
    wide = pa.table({"day": days, "b": ROWS[:, 1], "c": ROWS[:, 2]})
    parquet.write_table(wide, tmp_path / "rows.parquet")
    done = run("--model", model, "--data", tmp_path / "rows.parquet", code=1)
    assert "column 'day' is of type date32[day]: make numbers of it, or drop it" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is not None, reason="pyarrow is there")
def test_parquet_without_pyarrow_says_what_to_install(model: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    done = run("--model", model, "--data", tmp_path / "rows.parquet", code=1)
    assert 'pip install "fairlead[export]"' in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.txt", b"1,2,3\n", "ends in .csv, .parquet or .npz"),
        ("rows.csv", b"", "it is empty"),
        ("rows.csv", b"a,b,c\n", "has no rows"),
        ("rows.csv", b"1,2\n3,4\n", "but the model has"),
        ("rows.csv", b"1,2,3\n4,5\n", "row 2 has 2 columns, not 3"),
        ("rows.csv", b"a,b,c\n1,2,x\n", "column 'c'"),
        ("rows.csv", b"a,b,c\n1,\xff\xfe,3\n", "cannot be read"),
        ("rows.npz", b"no archive", "cannot be read"),
    ],
)
def test_a_file_that_is_no_good_is_said_in_a_line(
    name: str, content: bytes, message: str, model: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    done = run("--model", model, "--data", tmp_path / name, code=1)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "profile.json").exists()


def test_what_is_not_there_is_named(model: Path, tmp_path: Path) -> None:
    data = table(tmp_path / "rows.csv")
    assert "no file" in run("--model", tmp_path / "none", "--data", data, code=1).stderr
    assert "no file" in run("--model", model, "--data", tmp_path / "none.csv", code=1).stderr
    flags = ("--model", model, "--data", data, "--output", tmp_path / "no" / "folder.json")
    assert "no folder" in run(*flags, code=1).stderr
    (tmp_path / "broken.onnx").write_bytes(b"x")
    run("--model", tmp_path / "broken.onnx", "--data", data, code=2)


def test_more_rows_than_memory_are_streamed(model: Path, tmp_path: Path) -> None:
    """A file of 48 MB, and a process that may keep a megabyte of it."""
    rows = np.random.default_rng(1).standard_normal((4_000_000, 3)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=rows)
    script = (
        "import sys; from fairlead_runtime.cli.main import main; "
        "status = main(sys.argv[1:]); "
        # Unlike ru_maxrss, this knows nothing of the process that started it.
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]); sys.exit(status)"
    )
    done = subprocess.run(
        [
            sys.executable, "-c", script, "profile", "--model", str(model),
            "--data", str(tmp_path / "rows.npz"), "--memory-mib", "1", "--threads", "1",
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "approximate" in done.stdout
    profile = parse((tmp_path / "profile.json").read_bytes())
    assert profile.rows == 4_000_000
    feature = profile.features[0]
    expected = np.bincount(np.searchsorted(feature.edges, rows[:, 0], side="right"), minlength=102)
    assert list(feature.counts) == expected.tolist()
    assert max(abs(expected[1:-1] - 40_000)) < 8000
    peak_mib = int(done.stdout.splitlines()[-1]) / 1024
    assert peak_mib < 160, peak_mib


def test_the_documents_schema_is_the_documented_one(model: Path, tmp_path: Path) -> None:
    made(model, table(tmp_path / "rows.csv"))
    document = json.loads((tmp_path / "profile.json").read_text())
    text = (Path(__file__).parents[2] / "docs" / "drift.md").read_text()
    assert f"`{document['schema']}`" in text
    for field in (*document, *document["features"][0], "categories", "summary"):
        assert f"`{field}`" in text, field


def test_the_bins_of_another_version_may_be_taken(model: Path, tmp_path: Path) -> None:
    data = table(tmp_path / "rows.csv")
    first = made(model, data)
    (tmp_path / "second").mkdir()
    second = models.classifier(tmp_path / "second" / "model.onnx", scale=3.0)
    alike = made(second, data, "--bins", tmp_path / "profile.json")
    assert [each.cut for each in alike.features] == [each.cut for each in first.features]
    assert [each.cut for each in made(second, data).features] != [
        each.cut for each in first.features
    ]
    (tmp_path / "broken.json").write_text("{}")
    flags = ("--model", second, "--data", data, "--bins")
    assert "is no profile" in run(*flags, tmp_path / "broken.json", code=1).stderr
    assert "cannot be read" in run(*flags, tmp_path / "none.json", code=1).stderr

"""Rows for a model come from .npz, .csv and .json files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead_runtime.protocol.types import Array, Signature, TensorSpec
from fairlead_runtime.workbench.datafiles import (
    read_arrays,
    read_examples,
    read_inputs,
    read_labelled,
)
from fairlead_runtime.workbench.errors import DataMismatchError, ToolError


def f32(values: object) -> Array:
    return np.array(values, dtype=np.float32)


def spec(name: str, datatype: str = "FP32", shape: tuple[int, ...] = (-1, 2)) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=shape)


ONE = Signature(inputs=(spec("x"),), outputs=(spec("y", shape=(-1,)),))
TWO = Signature(
    inputs=(spec("age", "INT64", (-1,)), spec("town", "BYTES", (-1,))), outputs=(spec("y"),)
)
ROWS = f32([[1, 2], [3, 4], [5, 6]])


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_an_archive_gives_inputs_by_name(tmp_path: Path) -> None:
    file = npz(tmp_path / "d.npz", x=ROWS.astype(np.float64), label=[0, 1, 0])
    found = read_inputs(file, ONE)
    assert found["x"].dtype == np.float32
    np.testing.assert_array_equal(found["x"], ROWS)


def test_the_only_array_is_the_only_input_whatever_its_name(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_inputs(npz(tmp_path / "d.npz", data=ROWS), ONE)["x"], ROWS)


def test_a_table_is_read_with_its_labels(tmp_path: Path) -> None:
    file = written(tmp_path / "d.csv", "a,class,b\n1,0,2\n3,1,4\n5,1,6\n")
    found = read_labelled(file, ONE, label="class")
    np.testing.assert_array_equal(found.inputs["x"], ROWS)
    np.testing.assert_array_equal(found.labels, [0, 1, 1])
    np.testing.assert_array_equal(read_inputs(file, ONE, label="class")["x"], ROWS)


def test_a_table_without_header_is_rows(tmp_path: Path) -> None:
    file = written(tmp_path / "d.csv", "1,2\n3,4\n5,6\n")
    np.testing.assert_array_equal(read_inputs(file, ONE)["x"], ROWS)


def test_a_table_takes_the_shape_of_the_model(tmp_path: Path) -> None:
    images = Signature(inputs=(spec("x", shape=(-1, 1, 2, 2)),), outputs=())
    file = written(tmp_path / "d.csv", "1,2,3,4\n5,6,7,8\n")
    np.testing.assert_array_equal(
        read_inputs(file, images)["x"], np.arange(1, 9).reshape(2, 1, 2, 2)
    )


def test_texts_and_integers_keep_their_kind(tmp_path: Path) -> None:
    file = npz(tmp_path / "d.npz", age=np.array([1.0, 2.0]), town=np.array(["Ulm", "Bern"]))
    found = read_inputs(file, TWO)
    assert found["age"].dtype == np.int64
    assert found["town"].tolist() == ["Ulm", "Bern"]


def test_examples_are_inputs_and_outputs(tmp_path: Path) -> None:
    found = read_examples(npz(tmp_path / "d.npz", x=ROWS, y=[1, 2, 3]), ONE)
    np.testing.assert_array_equal(found.inputs["x"], ROWS)
    assert found.outputs["y"].dtype == np.float32


V2 = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [3, 2], "data": [1, 2, 3, 4, 5, 6]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [3], "data": [1, None, 3]}],
}
NAMED = {"inputs": {"x": ROWS.tolist()}, "outputs": {"y": [1, None, 3]}}
FLAT = {"x": ROWS.tolist(), "y": [1, None, 3]}


@pytest.mark.parametrize("document", [V2, NAMED, FLAT], ids=["v2", "by name", "flat"])
def test_examples_in_json_may_be_a_request_with_its_answer(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    found = read_examples(written(tmp_path / "e.json", json.dumps(document)), ONE)
    np.testing.assert_array_equal(found.inputs["x"], ROWS)
    np.testing.assert_array_equal(found.outputs["y"], f32([1, np.nan, 3]))


MISFITS = [
    ("no input", {"z": ROWS, "y": [1, 2, 3]}, "has 'z', but the model only knows x, y"),
    ("no output", {"x": ROWS}, "has no output of the model"),
    ("width", {"x": ROWS[:, :1], "y": [1, 2, 3]}, "has shape [3, 1], but the model has [-1, 2]"),
    ("length", {"x": ROWS, "y": [1, 2]}, "arrays of different length: [2, 3]"),
    ("texts", {"x": [["a", "b"]], "y": [1]}, "holds no FP32"),
    ("no rows", {"x": ROWS[:0], "y": []}, "has no rows"),
]


@pytest.mark.parametrize(
    ("arrays", "message"), [case[1:] for case in MISFITS], ids=[case[0] for case in MISFITS]
)
def test_what_does_not_fit_the_model_is_told(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataMismatchError) as caught:
        read_examples(npz(tmp_path / "d.npz", **arrays), ONE)
    assert message in str(caught.value)


def test_a_fraction_is_no_integer(tmp_path: Path) -> None:
    file = npz(tmp_path / "d.npz", age=[1.5], town=["Ulm"])
    with pytest.raises(DataMismatchError, match="no INT64"):
        read_inputs(file, TWO)


def test_labels_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(DataMismatchError, match="has no 'label'"):
        read_labelled(npz(tmp_path / "d.npz", x=ROWS), ONE)


UNREADABLE = [
    ("d.npz", b"no archive"),
    ("d.csv", b"a,b\n1,2\n3\n"),
    ("d.csv", b"a,b\n1,high\n"),
    ("d.csv", b""),
    ("d.json", b"{"),
    ("d.json", b"[]"),
    ("d.json", b'{"inputs": [{"name": "x"}]}'),
    ("d.txt", b"1,2"),
]


@pytest.mark.parametrize(("name", "content"), UNREADABLE)
def test_a_file_that_cannot_be_read_is_one_line_and_no_fault_of_the_model(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ToolError) as caught:
        read_inputs(tmp_path / name, ONE)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not caught.value.blames_model


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    file = npz(tmp_path / "d.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ToolError, match="allow_pickle"):
        read_inputs(file, ONE)


@pytest.mark.parametrize("header", ["", "label ,a,b\n"], ids=["no-header", "header"])
def test_the_mark_that_spreadsheets_write_first_is_no_part_of_a_csv(
    tmp_path: Path, header: str
) -> None:
    """With it the first row of numbers was taken for a header, and a label for a feature."""
    (tmp_path / "rows.csv").write_text(f"{header}0,1,2\n1,3,4\n", encoding="utf-8-sig")
    found = read_arrays(tmp_path / "rows.csv")
    rows = [[1, 2], [3, 4]] if header else [[0, 1, 2], [1, 3, 4]]
    assert found[""].tolist() == rows
    assert ("label" in found) == bool(header)

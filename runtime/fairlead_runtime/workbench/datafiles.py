"""Reads rows for a model from .npz, .csv and .json files."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fairlead_runtime.protocol.types import DATATYPES, Array, Signature, TensorSpec
from fairlead_runtime.workbench.errors import DataMismatchError, ToolError

LABEL = "label"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Inputs, and the outputs that a model must give for them."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Inputs, and the true label of each row."""

    inputs: Mapping[str, Array]
    labels: Array


def read_arrays(path: Path) -> dict[str, Array]:
    """Read arrays by name, whatever the model; a table without names stands under ''.

    Raises:
        ToolError: The file cannot be read.
    """
    return _read(path, LABEL)


def read_inputs(path: Path, signature: Signature, *, label: str = LABEL) -> dict[str, Array]:
    """Read rows for the model; a column or array of labels, where there is one, is left out.

    Raises:
        ToolError: The file cannot be read.
        DataMismatchError: It does not fit the model.
    """
    values = _read(path, label)
    values.pop(label, None)
    return _inputs(values, signature, path)


def read_labelled(path: Path, signature: Signature, *, label: str = LABEL) -> Labelled:
    """Read rows and their labels.

    Raises:
        ToolError: The file cannot be read.
        DataMismatchError: It has no labels, or does not fit the model.
    """
    values = _read(path, label)
    if label not in values:
        raise DataMismatchError(f"{path} has no {label!r}: name the labels' column or array")
    labels = values.pop(label).reshape(-1)
    inputs = _inputs(values, signature, path)
    rows = {len(array) for array in inputs.values()}
    if rows != {len(labels)}:
        raise DataMismatchError(f"{path} has {len(labels)} labels for {sorted(rows)} rows")
    return Labelled(inputs=inputs, labels=labels)


def read_examples(path: Path, signature: Signature) -> Examples:
    """Read golden examples: arrays under the names of the model's inputs and outputs.

    Raises:
        ToolError: The file cannot be read.
        DataMismatchError: It does not fit the model.
    """
    values = _read(path, LABEL)
    outputs = {}
    for spec in signature.outputs:
        if spec.name in values and signature.input(spec.name) is None:
            outputs[spec.name] = fitted(values.pop(spec.name), spec, f"output {spec.name}", path)
    unknown = sorted(name for name in values if name and signature.input(name) is None)
    if unknown:
        names = ", ".join(spec.name for spec in (*signature.inputs, *signature.outputs))
        raise DataMismatchError(f"{path} has {unknown[0]!r}, but the model only knows {names}")
    inputs = _inputs(values, signature, path, any_rows=False)
    if not outputs:
        raise DataMismatchError(f"{path} has no output of the model: nothing could be compared")
    rows = {len(each) for each in (*inputs.values(), *outputs.values()) if each.ndim}
    if len(rows) > 1:
        raise DataMismatchError(f"{path} has arrays of different length: {sorted(rows)}")
    return Examples(inputs=inputs, outputs=outputs)


def fitted(array: Array, spec: TensorSpec, what: str, path: Path) -> Array:
    """Return an array in the datatype that the model has, its shape checked.

    Raises:
        DataMismatchError: It is of another kind or shape.
    """
    dtype = DATATYPES[spec.datatype]
    fits = array.ndim == len(spec.shape) and all(
        want in (-1, have) for want, have in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        have, want = list(array.shape), list(spec.shape)
        raise DataMismatchError(f"{what} in {path} has shape {have}, but the model has {want}")
    kind = array.dtype.kind
    try:
        converted = array.astype(str).astype(object) if dtype.kind == "O" else array.astype(dtype)
    except (ValueError, TypeError):
        message = f"{what} in {path} holds no {spec.datatype}, which the model has"
        raise DataMismatchError(message) from None
    if dtype.kind in "iub" and kind not in "OUS" and not np.array_equal(converted, array):
        raise DataMismatchError(f"{what} in {path} has values that are no {spec.datatype}")
    return converted


def _inputs(
    values: Mapping[str, Array], signature: Signature, path: Path, *, any_rows: bool = True
) -> dict[str, Array]:
    """Return the model's inputs; with `any_rows` as many rows as the file has, whatever it takes.

    The tools cut rows into batches. Examples are run as they are.
    """
    found = dict(values)
    if len(signature.inputs) == 1 and signature.inputs[0].name not in found and len(found) == 1:
        found = {signature.inputs[0].name: next(iter(found.values()))}  # only one can be meant
    inputs = {}
    for spec in signature.inputs:
        if spec.name not in found:
            names = ", ".join(name for name in found if name) or "columns without a name"
            raise DataMismatchError(f"{path} has no input {spec.name!r}; it has {names}")
        array, row = found[spec.name], spec.shape[1:]
        if "" in values and array.ndim == 2 and len(row) != 1 and -1 not in row:
            wide = int(np.prod(row))  # columns of a table are the elements of a row, in C order
            array = array.reshape(-1, *row) if array.shape[1] == wide else array
        wanted = replace(spec, shape=(-1, *row)) if any_rows and spec.shape else spec
        inputs[spec.name] = fitted(array, wanted, f"input {spec.name}", path)
    if not all(len(each) for each in inputs.values() if each.ndim):
        raise DataMismatchError(f"{path} has no rows")
    return inputs


def _read(path: Path, label: str) -> dict[str, Array]:
    """Return the arrays by name; the columns of a table without a label stand under ''."""
    readers = {".npz": _npz, ".csv": lambda file: _csv(file, label), ".json": _json}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ToolError("UnknownFormat", f"{path}: use a file that ends in {', '.join(readers)}")
    try:
        return reader(path)
    except FileNotFoundError:
        raise ToolError("FileNotFound", f"there is no file {path}") from None
    except (OSError, ValueError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise ToolError("UnreadableFile", f"{path} cannot be read: {error}") from error


def _npz(path: Path) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as stored:  # a pickle could run anything
        if not hasattr(stored, "files"):
            raise ValueError("it holds one array, not an archive: use numpy.savez")
        return {name: stored[name] for name in stored.files}


def _csv(path: Path, label: str) -> dict[str, Array]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        table = [row for row in csv.reader(file) if row]
    if not table:
        raise ValueError("it is empty")
    header = None if all(_number(cell) for cell in table[0]) else table.pop(0)
    header = header and [cell.strip() for cell in header]
    width = len(header or table[0])
    for number, row in enumerate(table, 2 if header else 1):
        if len(row) != width:
            raise ValueError(f"row {number} has {len(row)} columns, not {width}")
    found: dict[str, Array] = {}
    if header and label in header:
        column = header.index(label)
        found[label] = _labels([row.pop(column) for row in table])
    found[""] = np.asarray(table, dtype=np.float64).reshape(len(table), -1)
    return found


def _json(path: Path) -> dict[str, Array]:
    document = json.loads(path.read_text())
    if not isinstance(document, dict):
        raise TypeError("it must be an object")
    if "inputs" not in document:
        return {name: _plain(value) for name, value in document.items()}
    found = _tensors(document["inputs"]) | _tensors(document.get("outputs", {}))
    if "labels" in document:
        found[LABEL] = _labels(document["labels"])
    return found


def _tensors(given: object) -> dict[str, Array]:
    """Read `{name: nested list}`, or tensors as the Open Inference Protocol v2 writes them."""
    if isinstance(given, dict):
        return {name: _plain(value) for name, value in given.items()}
    if not isinstance(given, list):
        raise TypeError("inputs and outputs must be objects by name, or lists of tensors")
    found = {}
    for tensor in given:
        if not isinstance(tensor, dict) or not {"name", "shape", "data"} <= tensor.keys():
            raise TypeError("a tensor has name, shape and data")
        found[str(tensor["name"])] = _plain(tensor["data"]).reshape(tensor["shape"])
    return found


def _plain(value: object) -> Array:
    array = np.asarray(value)  # a ragged list is a ValueError
    if array.dtype.kind == "O":  # null is how JSON writes NaN
        return np.asarray(value, dtype=np.float64)
    return array


def _labels(values: Iterable[Any]) -> Array:
    texts = list(values)
    try:
        numbers = np.asarray(texts, dtype=np.float64)
    except ValueError:
        return np.asarray(texts, dtype=str)
    whole = numbers.astype(np.int64)
    return whole if np.array_equal(whole, numbers) else numbers


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True

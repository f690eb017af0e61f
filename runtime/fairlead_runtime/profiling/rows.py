"""Rows for a model out of files that may be larger than memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fairlead_runtime.profiling import tables, zipped
from fairlead_runtime.protocol.types import DATATYPES, Array, Signature, TensorSpec
from fairlead_runtime.workbench.datafiles import fitted
from fairlead_runtime.workbench.errors import DataMismatchError, ToolError

CHUNK_ROWS = 8192


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows.

    Attributes:
        inputs: The model's inputs.
        done: The share of the file that has been read.
    """

    inputs: Mapping[str, Array]
    done: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A file's rows, read as often as one likes.

    Attributes:
        names: What the columns of an input are called, where the file says so.
        chunks: Reads the file from the beginning.
    """

    names: Mapping[str, Sequence[str]]
    chunks: Callable[[], Iterator[Chunk]]


def open_rows(path: Path, signature: Signature, *, label: str) -> Rows:
    """Open a .csv, .parquet or .npz file.

    A table's columns are the model's inputs where all of those are among them; otherwise all but
    the label are the elements of its one input, in their order.

    Args:
        path: The file.
        signature: What the model takes.
        label: The column or array that is left out, where it is there.

    Raises:
        ToolError: The file cannot be read.
        DataMismatchError: It does not fit the model.
    """
    kind = path.suffix.lower()
    if kind not in (".csv", ".parquet", ".npz"):
        raise ToolError("UnknownFormat", f"{path}: use a file that ends in .csv, .parquet or .npz")
    if not path.is_file():
        raise ToolError("FileNotFound", f"there is no file {path}")
    if kind == ".npz":
        stored = zipped.open_arrays(path)
        wanted = _wanted_arrays(signature, [name for name in stored if name != label], path)
        return Rows(
            names={},
            chunks=lambda: _fitted_chunks(
                zipped.chunks(path, wanted, CHUNK_ROWS), signature, path, table=False
            ),
        )
    table = tables.open_table(path)
    columns = [name for name in table.columns if name != label]
    by_name = all(spec.name in columns for spec in signature.inputs)
    if by_name and signature.inputs:
        return Rows(
            names={},
            chunks=lambda: _fitted_chunks(_by_name(table, signature), signature, path, table=True),
        )
    spec = _only(signature, path)
    texts = DATATYPES[spec.datatype].kind == "O"
    return Rows(
        names={spec.name: columns} if table.named else {},
        chunks=lambda: _fitted_chunks(
            _as_one(table, spec, columns, texts=texts), signature, path, table=True
        ),
    )


Raw = Iterator[tuple[dict[str, Array], float]]


def _by_name(table: tables.Table, signature: Signature) -> Raw:
    specs = signature.inputs
    texts = {spec.name for spec in specs if DATATYPES[spec.datatype].kind == "O"}
    for columns, done in table.read([spec.name for spec in specs], texts, CHUNK_ROWS):
        yield {spec.name: columns[i] for i, spec in enumerate(specs)}, done


def _as_one(table: tables.Table, spec: TensorSpec, names: list[str], *, texts: bool) -> Raw:
    for columns, done in table.read(names, set(names) if texts else set(), CHUNK_ROWS):
        wide = [each.reshape(len(each), -1) for each in columns]
        yield {spec.name: np.concatenate(wide, axis=1)}, done


def _fitted_chunks(raw: Raw, signature: Signature, path: Path, *, table: bool) -> Iterator[Chunk]:
    """Give every array the shape and datatype that the model takes."""
    some = False
    for values, done in raw:
        inputs = {}
        for spec in signature.inputs:
            array, row = values[spec.name], spec.shape[1:]
            if table and -1 not in row and array.size == len(array) * math.prod(row):
                array = array.reshape(-1, *row)  # columns are a row's elements, in C order
            wanted = replace(spec, shape=(-1, *row)) if spec.shape else spec
            with np.errstate(invalid="ignore", over="ignore"):
                inputs[spec.name] = fitted(array, wanted, f"input {spec.name}", path)
        if len({len(array) for array in inputs.values()}) > 1:
            raise DataMismatchError(f"{path} has arrays of different length")
        if any(len(array) for array in inputs.values()):
            some = True
            yield Chunk(inputs, done)
    if not some:
        raise DataMismatchError(f"{path} has no rows")


def _wanted_arrays(signature: Signature, stored: list[str], path: Path) -> dict[str, str]:
    """Return the array of the file for each input."""
    if len(signature.inputs) == 1 and signature.inputs[0].name not in stored and len(stored) == 1:
        return {signature.inputs[0].name: stored[0]}  # only one can be meant
    missing = next((spec.name for spec in signature.inputs if spec.name not in stored), None)
    if missing is not None:
        names = ", ".join(stored) or "nothing"
        raise DataMismatchError(f"{path} has no input {missing!r}; it has {names}")
    return {spec.name: spec.name for spec in signature.inputs}


def _only(signature: Signature, path: Path) -> TensorSpec:
    if len(signature.inputs) != 1:
        names = ", ".join(spec.name for spec in signature.inputs)
        raise DataMismatchError(f"{path} needs a column for each of the model's inputs: {names}")
    return signature.inputs[0]

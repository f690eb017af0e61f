"""Tables by columns, some rows at a time: .csv, and .parquet where pyarrow is installed."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairlead_runtime.protocol.types import Array
from fairlead_runtime.workbench.errors import ToolError
from fairlead_runtime.workbench.opening import needs

Columns = list[Array]
Reader = Callable[[Sequence[str], set[str], int], Iterator[tuple[Columns, float]]]
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})


@dataclass(frozen=True, slots=True)
class Table:
    """A file of columns.

    Attributes:
        columns: Their names; numbers where the file has none.
        named: Whether the names are the file's.
        read: Yields the wanted columns (the second argument: which of them are texts; the third:
            how many rows at a time), and the share of the file that has been read.
    """

    columns: list[str]
    named: bool
    read: Reader


def open_table(path: Path) -> Table:
    """Open a table.

    Raises:
        ToolError: It cannot be read, or needs a package that is not installed.
    """
    return _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)


def _csv(path: Path) -> Table:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = next((row for row in csv.reader(file) if row), None)
    except (OSError, ValueError, csv.Error) as error:
        raise ToolError("UnreadableFile", f"{path} cannot be read: {error}") from error
    if first is None:
        raise ToolError("UnreadableFile", f"{path} cannot be read: it is empty")
    named = not all(_number(cell) for cell in first)
    columns = [cell.strip() for cell in first] if named else [str(i) for i in range(len(first))]

    def read(wanted: Sequence[str], texts: set[str], rows: int) -> Iterator[tuple[Columns, float]]:
        places = [columns.index(name) for name in wanted]
        size, seen, number = max(path.stat().st_size, 1), 0, 0
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                filled = (row for row in csv.reader(file) if row)
                if named:
                    next(filled)
                while part := list(itertools.islice(filled, rows)):
                    _check_widths(part, len(columns), number + 1 + named)
                    number += len(part)
                    seen += sum(map(len, itertools.chain.from_iterable(part)))
                    seen += len(part) * len(columns)
                    found = [
                        _column([row[place] for row in part], text=name in texts, name=name)
                        for name, place in zip(wanted, places, strict=True)
                    ]
                    yield found, min(seen / size, 1.0)
        except (OSError, ValueError, csv.Error) as error:
            raise ToolError("UnreadableFile", f"{path} cannot be read: {error}") from error

    return Table(columns, named, read)


def _check_widths(rows: list[list[str]], width: int, first: int) -> None:
    for index, row in enumerate(rows, first):
        if len(row) != width:
            raise ValueError(f"row {index} has {len(row)} columns, not {width}")


def _column(cells: list[str], *, text: bool, name: str) -> Array:
    if text:
        return np.array(cells, dtype=object)
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        try:
            return np.array([_value(cell) for cell in cells])
        except ValueError as error:
            raise ValueError(f"column {name!r}: {error}") from None


def _value(cell: str) -> float:
    return np.nan if cell.strip().lower() in _MISSING else float(cell)


def _number(cell: str) -> bool:
    try:
        _value(cell)
    except ValueError:
        return False
    return True


def _parquet(path: Path) -> Table:
    parquet: Any = needs(
        "pyarrow.parquet", install="fairlead[export]", task="reading a .parquet file"
    )
    try:
        columns = [str(name) for name in parquet.ParquetFile(path).schema_arrow.names]
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these
        raise ToolError("UnreadableFile", f"{path} cannot be read: {error}") from error

    def read(wanted: Sequence[str], texts: set[str], rows: int) -> Iterator[tuple[Columns, float]]:
        seen = 0
        try:
            with parquet.ParquetFile(path) as file:
                total = max(file.metadata.num_rows, 1)
                for batch in file.iter_batches(batch_size=rows, columns=list(wanted)):
                    seen += batch.num_rows
                    found = [
                        _arrow(batch.column(batch.schema.get_field_index(name)), name in texts)
                        for name in wanted
                    ]
                    yield found, seen / total
        except (OSError, ValueError) as error:
            raise ToolError("UnreadableFile", f"{path} cannot be read: {error}") from error

    return Table(columns, named=True, read=read)


def _arrow(column: Any, text: bool) -> Array:  # noqa: ANN401, FBT001 - pyarrow has no types
    """Return a column as numpy has it: nulls are NaN, lists are rows of a matrix."""
    values = column.to_numpy(zero_copy_only=False)
    if text:
        return np.array(["" if each is None else str(each) for each in values], dtype=object)
    if values.dtype == object:
        if len(values) and isinstance(values[0], np.ndarray):
            return np.stack(list(values))
        return np.array([np.nan if each is None else float(each) for each in values])
    return np.asarray(values)

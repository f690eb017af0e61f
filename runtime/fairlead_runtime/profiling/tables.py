"""Tables by columns, some rows at a time: .csv, and .parquet where pyarrow is installed."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairlead_runtime.profiling.arrow import as_numpy, number, parsed
from fairlead_runtime.protocol.types import Array
from fairlead_runtime.workbench.errors import ToolError
from fairlead_runtime.workbench.opening import needs

Columns = list[Array]
Reader = Callable[[Sequence[str], set[str], int], Iterator[tuple[Columns, float]]]


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
        size, seen, count = max(path.stat().st_size, 1), 0, 0
        try:
            _check_once(columns, wanted)
            with path.open(newline="", encoding="utf-8-sig") as file:
                filled = (row for row in csv.reader(file) if row)
                if named:
                    next(filled)
                while part := list(itertools.islice(filled, rows)):
                    _check_widths(part, len(columns), count + 1 + named)
                    count += len(part)
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
    return np.array(cells, dtype=object) if text else parsed(cells, name=name)


def _number(cell: str) -> bool:
    try:
        number(cell)
    except ValueError:
        return False
    return True


def _check_once(columns: list[str], wanted: Sequence[str]) -> None:
    twice = next((name for name in wanted if columns.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"several columns are called {twice!r}: rename them")


def _parquet(path: Path) -> Table:
    parquet: Any = needs(
        "pyarrow.parquet", install="fairlead[export]", task="reading a .parquet file"
    )
    try:
        columns = [str(name) for name in parquet.ParquetFile(path).schema_arrow.names]
    except (OSError, ValueError, NotImplementedError) as error:
        raise ToolError("UnreadableFile", f"{path} cannot be read: {error}") from error

    def read(wanted: Sequence[str], texts: set[str], rows: int) -> Iterator[tuple[Columns, float]]:
        seen = 0
        try:
            _check_once(columns, wanted)
            with parquet.ParquetFile(path) as file:
                total = max(file.metadata.num_rows, 1)
                for batch in file.iter_batches(batch_size=rows, columns=list(wanted)):
                    seen += batch.num_rows
                    found = [
                        as_numpy(batch.column(name), text=name in texts, name=name)
                        for name in wanted
                    ]
                    yield found, seen / total
        except (OSError, ValueError, NotImplementedError) as error:  # pyarrow's own are of these
            raise ToolError("UnreadableFile", f"{path} cannot be read: {error}") from error

    return Table(columns, named=True, read=read)

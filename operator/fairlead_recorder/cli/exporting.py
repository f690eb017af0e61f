"""`export`: the raw events of an experiment as CSV or Parquet, for analyses of one's own."""

from __future__ import annotations

import argparse
import contextlib
import csv
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from fairlead_recorder.cli.commands import chosen, reading
from fairlead_recorder.store import rawdata
from fairlead_recorder.store.errors import StoreError
from fairlead_recorder.store.rawdata import Cell, Kind

Chunks = Iterable[Sequence[tuple[Cell, ...]]]


def export(arguments: argparse.Namespace) -> int:
    """Write one table of an experiment's events.

    Raises:
        ValueError: The flags make no sense together, or what the format needs is not installed.
    """
    columns = rawdata.COLUMNS[arguments.table]
    try:
        with reading(arguments.database) as session:
            found = chosen(session, arguments.experiment)
            chunks = rawdata.read(session, found, arguments.table)
            if arguments.format == "parquet":
                _parquet(arguments.output, columns, chunks)
            else:
                with _opened(arguments.output) as file:
                    _csv(file, columns, chunks)
    except (StoreError, OSError) as error:
        print(f"fairlead-recorder: {error}", file=sys.stderr)
        return 2
    return 0


@contextlib.contextmanager
def _opened(path: str) -> Iterator[TextIO]:
    if path == "-":
        yield sys.stdout
        return
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        yield file


def _csv(file: TextIO, columns: Mapping[str, Kind], chunks: Chunks) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for chunk in chunks:
        writer.writerows([_text(cell) for cell in row] for row in chunk)


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, datetime):
        return cell.isoformat().replace("+00:00", "Z")
    return format(cell, "f") if isinstance(cell, Decimal) else str(cell)


def _parquet(path: str, columns: Mapping[str, Kind], chunks: Chunks) -> None:
    if path == "-":
        raise ValueError("Parquet goes to a file: name it by --output")
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ValueError(
            "Parquet needs pyarrow: pip install pyarrow, or take --format csv"
        ) from None
    kinds: dict[Kind, Any] = {
        "text": pa.string(),
        "int": pa.int64(),
        "bool": pa.bool_(),
        "time": pa.timestamp("us", tz="UTC"),
        "decimal": pa.decimal128(16, 6),
    }
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    with parquet.ParquetWriter(path, schema) as writer:
        for chunk in chunks:
            arrays = [
                pa.array(values, kinds[kind])
                for values, kind in zip(zip(*chunk, strict=True), columns.values(), strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))

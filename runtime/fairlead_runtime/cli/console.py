"""What people see: tables, JSON, progress."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns: words to the left, numbers to the right."""
    cells = [list(head), *(list(row) for row in rows)]
    width = [max(len(row[column]) for row in cells) for column in range(len(head))]
    right = [rows and all(_numeric(row[column]) for row in rows) for column in range(len(head))]
    lines = (
        "  ".join(
            cell.rjust(size) if flush else cell.ljust(size)
            for cell, size, flush in zip(row, width, right, strict=True)
        ).rstrip()
        for row in cells
    )
    return "\n".join(lines) + "\n"


def pairs(values: Mapping[str, str]) -> str:
    """Return names and values, one a line."""
    size = max((len(name) for name in values), default=0)
    return "".join(f"{name.ljust(size)}  {value}".rstrip() + "\n" for name, value in values.items())


def to_json(value: object) -> str:
    """Return a result as JSON; what is no number in JSON becomes null."""
    return json.dumps(plain(value), indent=2, allow_nan=False) + "\n"


def plain(value: Any) -> Any:  # noqa: ANN401, PLR0911 - any result, as JSON
    """Return dataclasses, paths and tuples as what JSON knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def size(count: int) -> str:
    """Return a number of bytes for people."""
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):  # noqa: B007 - used after the loop
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def number(value: float) -> str:
    """Return a figure with as many digits as mean something."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def progress(*, wanted: bool, stream: TextIO | None = None) -> Callable[[str], None]:
    """Return a function that shows what is being done: on a terminal, or where it is wanted.

    A terminal shows one line that changes; anything else gets a line for each step.
    """
    target = stream or sys.stderr
    live = target.isatty()
    if not live and not wanted:
        return lambda _: None

    def show(text: str) -> None:
        target.write(f"\r\x1b[K{text}" if live else f"{text}\n")
        target.flush()

    return show


def progress_done(stream: TextIO | None = None) -> None:
    """Wipe the changing line, so that what follows begins at the left."""
    target = stream or sys.stderr
    if target.isatty():
        target.write("\r\x1b[K")
        target.flush()


def _numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell == "-"
    return True

"""Figures of a run in a page of the documentation, between two markers; all else is kept."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Sequence
from pathlib import Path


def between(page: str, name: str, lines: Sequence[str]) -> str:
    """Return the page with these lines between the markers of a name.

    Raises:
        ValueError: The page does not have each marker once.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"the page needs {begin} and {end}, each once")
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(end)
    return "\n".join([f"{head}{begin}", "", *lines, "", f"{end}{tail}"])


def write(target: Path, name: str, lines: Sequence[str]) -> None:
    """Write lines between the markers of a name in a page."""
    target.write_text(between(target.read_text(), name, lines))


def machine(load_before: float) -> str:
    """Return what was measured on, and when."""
    return (
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {os.cpu_count()} x {platform.machine()} cores, "
        f"Python {platform.python_version()}, load average {load_before:.1f} before the run."
    )

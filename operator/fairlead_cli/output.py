"""What goes to the terminal: text with colours where there is one, JSON or YAML for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

FORMATS = ("text", "json", "yaml")
_UNLIMITED = 1_000_000
"""Columns where no terminal limits them: nothing is cut for a pipe."""
_STYLES = {"good": "green", "bad": "red", "busy": "yellow", "dim": "dim", "": ""}


def console(stream: TextIO | None = None) -> Console:
    """Return the console of a stream; without a terminal, or with NO_COLOR, it has no colours."""
    chosen = stream or sys.stdout
    width = None if chosen.isatty() else _UNLIMITED
    return Console(file=chosen, width=width, highlight=False, soft_wrap=not chosen.isatty())


def show(*parts: RenderableType, stream: TextIO | None = None) -> None:
    """Print parts, each on lines of its own; for a pipe without blanks at their ends."""
    chosen = stream or sys.stdout
    made = console(chosen)
    if chosen.isatty():
        for part in parts:
            made.print(part)
        return
    with made.capture() as caught:
        for part in parts:
            made.print(part)
    chosen.write("".join(f"{line.rstrip()}\n" for line in caught.get().splitlines()))


def styled(text: object, tone: str = "") -> Text:
    """Return a text in a tone: good, bad, busy, dim or none. Its brackets are no markup."""
    return Text(str(text), style=_STYLES[tone])


def labelled(label: str, tone: str, text: str) -> Text:
    """Return a label in a tone, and a text in none."""
    return Text.assemble((label, _STYLES[tone]), text)


def document(value: Any, form: str) -> str:  # noqa: ANN401 - anything that JSON knows
    """Return a value as JSON or YAML."""
    if form == "json":
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    import yaml

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    return text


def emit(value: Any, form: str) -> None:  # noqa: ANN401 - anything that JSON knows
    """Write a value as JSON or YAML to standard output."""
    sys.stdout.write(document(value, form))


def table(head: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> Table:
    """Return a table as kubectl prints one: capitals, two spaces, no lines."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="", show_edge=False)
    for each in head:
        made.add_column(each.upper(), no_wrap=each.upper() != "MESSAGE", overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return made


def pairs(values: Mapping[str, object]) -> Table:
    """Return names and values, one a line."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in values.items():
        made.add_row(Text(name), value if isinstance(value, Text) else Text(str(value)))
    return made

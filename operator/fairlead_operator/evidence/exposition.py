"""The wanted metrics of a page in Prometheus' text format, Envoy's text readouts included.

A router's page has ten thousand lines of which a few hundred are of interest; the parser of
prometheus-client would make an object of each and hold the event loop up for a third of a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_MEANT = {"n": "\n"}


class ExpositionError(ValueError):
    """A page that is no exposition; the message holds the line."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line.

    Attributes:
        name: The metric's name, with `_bucket`, `_sum` or `_count` where the line has it.
        labels: The labels.
        value: The value.
    """

    name: str
    labels: Mapping[str, str]
    value: float


def samples(page: bytes, wanted: re.Pattern[str]) -> Iterator[Sample]:
    """Return the samples whose whole name matches.

    Args:
        page: The page, in UTF-8.
        wanted: Which names; other lines are not looked at.

    Raises:
        ExpositionError: A wanted line cannot be read.
    """
    known: dict[str, bool] = {}
    for line in page.decode(errors="replace").split("\n"):
        if not line or line.startswith("#"):
            continue
        brace, blank = line.find("{"), line.find(" ")
        # A brace behind the first blank would be part of something else.
        labelled = brace != -1 and (blank == -1 or brace < blank)
        name = line[:brace] if labelled else line[:blank]
        take = known.get(name)
        if take is None:
            take = known[name] = wanted.fullmatch(name) is not None
        if take:
            yield _sample(line, name, brace if labelled else None)


def _sample(line: str, name: str, brace: int | None) -> Sample:
    # A label's value may hold a brace; what follows the labels holds none.
    end = len(name) if brace is None else line.rfind("}") + 1
    rest = line[end:].split()
    try:
        value = float(rest[0])
    except (IndexError, ValueError):
        raise ExpositionError(f"this is no metric: {line[:200]!r}") from None
    if brace is None:
        return Sample(name, {}, value)
    found = {key: _plain(text) for key, text in _LABEL.findall(line[brace + 1 : end - 1])}
    return Sample(name, found, value)


def _plain(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPED.sub(lambda found: _MEANT.get(found[1], found[1]), text)

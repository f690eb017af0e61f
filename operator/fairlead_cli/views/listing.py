"""All ModelDeployments and Experiments, one a line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fairlead_cli import output, reading
from fairlead_cli.reading import JSON

_MODEL = ("version", "candidate", "weight", "step", "replicas", "latencyP99", "drift", "reason")
_EXPERIMENT = ("phase", "arms", "units", "leader", "lift", "pValue", "ratio")
_TITLES = {"latencyP99": "p99", "pValue": "p-value"}


def model_row(resource: Mapping[str, Any]) -> JSON:
    """Return the columns of a ModelDeployment."""
    meta = reading.meta(resource)
    return {
        "namespace": meta.get("namespace"),
        "name": meta.get("name"),
        "ready": str(reading.condition(resource, "Ready").get("status") or "Unknown"),
        **dict(reading.pairs(reading.status(resource), *_MODEL)),
        "createdAt": meta.get("creationTimestamp"),
    }


def tables(found: Mapping[str, Any], now: dt.datetime, *, namespaces: bool) -> RenderableType:
    """Return a table for each kind that there is one of."""
    parts: list[RenderableType] = []
    for rows, columns in (
        (found["modelDeployments"], ("ready", *_MODEL)),
        (found["experiments"], _EXPERIMENT),
    ):
        if rows:
            parts += [Text("")] if parts else []
            parts.append(_table(rows, columns, now, namespaces=namespaces))
    return Group(*parts) if parts else Text("There is no ModelDeployment and no Experiment here.")


def _table(
    rows: list[JSON], columns: tuple[str, ...], now: dt.datetime, *, namespaces: bool
) -> RenderableType:
    head = [*(["namespace"] if namespaces else []), "name", *columns]
    cells = [
        [_cell(row, column) for column in head] + [Text(reading.age(row.get("createdAt"), now))]
        for row in rows
    ]
    return output.table([*(_TITLES.get(each, each) for each in head), "age"], cells)


def _cell(row: Mapping[str, Any], column: str) -> Text:
    value = row.get(column)
    text = "" if value is None else str(value)
    tone = {"True": "good", "False": "bad", "Unknown": "busy"}.get(text, "")
    return output.styled(text, tone if column == "ready" else "")

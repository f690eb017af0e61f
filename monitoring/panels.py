"""Dashboards as data, and the JSON that Grafana reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

JSON = dict[str, Any]
SCHEMA = 39
"""The version of Grafana's dashboard schema: Grafana 10 and newer read it."""
COLUMNS = 24
RATE = "$__rate_interval"
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_VARIABLE = re.compile(r"\$(__rate_interval|\w+)")


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel.

    Attributes:
        expr: PromQL; `$namespace` and the like are the dashboard's variables.
        legend: What a series is called; labels in double braces.
    """

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        title: Its title.
        queries: What it shows.
        unit: Grafana's name of the unit.
        text: What it means, shown behind the i.
        kind: timeseries, stat, table or bargauge.
        width: Columns, of 24.
        most: The upper end of the axis, where it has a fixed one.
        stacked: Whether series are stacked.
        signed: Whether values may be below 0; else the axis begins there.
        mappings: Words for values.
    """

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    text: str = ""
    kind: str = "timeseries"
    width: int = 8
    most: float | None = None
    stacked: bool = False
    signed: bool = False
    mappings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A choice at the top of a dashboard.

    Attributes:
        name: How queries call it.
        query: What lists its values.
    """

    name: str
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One dashboard.

    Attributes:
        name: Name of its file, and its uid after `fairlead-`.
        title: Its title.
        text: What it is for.
        variables: Choices, besides the data source.
        rows: Rows of panels under a heading each.
    """

    name: str
    title: str
    text: str
    variables: tuple[Variable, ...] = ()
    rows: tuple[tuple[str, tuple[Panel, ...]], ...] = ()


MODEL_VARIABLES = (
    Variable(name="namespace", query="label_values(model_info, namespace)"),
    Variable(
        name="model", query='label_values(model_info{namespace="$namespace"}, model_deployment)'
    ),
)
"""A namespace, and a ModelDeployment of it."""
CHOSEN = '{namespace="$namespace",model_deployment="$model"}'
"""What those variables select."""


def chosen(more: str) -> str:
    """Return what the variables select, narrowed by another matcher."""
    return f"{CHOSEN[:-1]},{more}}}"


def to_json(dashboard: Dashboard) -> JSON:
    """Return what Grafana imports."""
    source = {
        "name": "datasource", "type": "datasource", "query": "prometheus",
        "label": "Data source", "hide": 0, "refresh": 1,
    }  # fmt: skip
    return {
        "uid": f"fairlead-{dashboard.name}",
        "title": dashboard.title,
        "description": dashboard.text,
        "tags": ["fairlead"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [
            {"type": "dashboards", "tags": ["fairlead"], "asDropdown": True, "title": "Fairlead",
             "includeVars": True, "keepTime": True}
        ],
        "templating": {"list": [source, *map(_variable, dashboard.variables)]},
        "panels": list(_panels(dashboard)),
    }  # fmt: skip


def queries(document: JSON) -> Iterator[tuple[str, str]]:
    """Yield the title and PromQL of each query of a dashboard's JSON."""
    for panel in document["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def filled(expr: str, **values: str) -> str:
    """Return a query with the dashboard's variables filled in."""
    values = {"__rate_interval": "1m", **values}
    return _VARIABLE.sub(lambda found: values[found[1]], expr)


def _variable(variable: Variable) -> JSON:
    return {
        "name": variable.name,
        "label": variable.name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "definition": variable.query,
        "query": {"query": variable.query, "refId": variable.name},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
    }


def _panels(dashboard: Dashboard) -> Iterator[JSON]:
    number, y = 0, 0
    for heading, panels in dashboard.rows:
        number += 1
        at = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": heading, "gridPos": at, "panels": []}
        x, y, height = 0, y + 1, 0
        for panel in panels:
            high = 4 if panel.kind == "stat" else 8
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            number += 1
            at = {"x": x, "y": y, "w": panel.width, "h": high}
            yield {"id": number, "gridPos": at, **_panel(panel)}
            x, height = x + panel.width, max(height, high)
        y += height


def _panel(panel: Panel) -> JSON:
    custom: JSON = {}
    if panel.kind == "timeseries":
        custom = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": 90_000}
        if panel.stacked:
            custom["stacking"] = {"mode": "normal", "group": "A"}
    limits = {} if panel.most is None else {"max": panel.most}
    words = {
        value: {"text": text, "index": i} for i, (value, text) in enumerate(panel.mappings.items())
    }
    defaults = {
        "unit": panel.unit, "min": 0, **limits, "custom": custom,
        "mappings": [{"type": "value", "options": words}] if words else [],
    }  # fmt: skip
    if panel.signed:
        defaults.pop("min")
    instant = panel.kind != "timeseries"
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": _SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend or "__auto",
                "instant": instant,
                "range": not instant,
                "format": "table" if panel.kind == "table" else "time_series",
            }
            for number, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _OPTIONS[panel.kind],
    }


_LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: dict[str, JSON] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {"reduceOptions": _LAST, "colorMode": "value", "textMode": "auto"},
    "bargauge": {"reduceOptions": _LAST, "orientation": "horizontal", "displayMode": "basic"},
    "table": {"showHeader": True},
}

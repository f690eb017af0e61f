"""Draws the dashboards from their own JSON and the answers of a real Prometheus.

    python -m tests.monitoring.pictures --seconds 150 --out docs/images

Grafana itself is not used: panels, queries, legends and units are those of the dashboards, colours
and fonts are not. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cluster.paths import ROOT
from monitoring.__main__ import DASHBOARDS
from monitoring.panels import COLUMNS, filled
from tests.apiserver.test_drift import passes
from tests.monitoring.system import System, running
from tests.monitoring.test_live import VALUES

JSON = dict[str, Any]
_WIDTH, _ROW = 18.0, 0.36  # inches of a picture, and of one row of Grafana's grid
_STEP_S = 2
_MOST_ROWS, _MOST_SERIES = 9, 12
_INK, _MUTED, _LINE = "#1f2430", "#6b7280", "#d9dce3"
_LEGEND = re.compile(r"{{(\w+)}}")


async def collect(seconds: float) -> dict[str, list[JSON]]:
    """Return by dashboard its panels, each query with its series."""
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder)) as system:
            began = time.time()
            await _work(system, began, seconds)
            return {name: await _panels(system, name, began, time.time()) for name in VALUES}


async def _work(system: System, began: float, seconds: float) -> None:
    """Let there be something to see: requests, a rollout that goes on, inputs that shift."""
    rounds = 0
    while (passed := time.time() - began) < seconds:
        late = passed > seconds / 2
        await system.ask(20, wrong=1 + rounds % 2, shift=0.25 if late else 0.0)
        if rounds % 6 == 5:
            await system.rollout.go(5)
        if rounds % 3 == 0:
            await passes(system.drifting, system.pods, 1, shift=1.0 if late else 0.0)
        rounds += 1
        await asyncio.sleep(0.5)


async def _panels(system: System, name: str, begin: float, end: float) -> list[JSON]:
    document = json.loads((ROOT / DASHBOARDS / f"{name}.json").read_text())
    for panel in document["panels"]:
        for target in panel.get("targets", ()):
            expr = filled(target["expr"], **VALUES[name])
            if target["instant"]:
                data = await system.prometheus.api("query", query=expr)
            else:
                data = await system.prometheus.api(
                    "query_range", query=expr, start=f"{begin}", end=f"{end}", step=f"{_STEP_S}"
                )
            target["series"] = data["result"]
    panels: list[JSON] = document["panels"]
    return panels


def draw(title: str, panels: list[JSON], target: Path) -> None:
    """Write one dashboard as a picture."""
    from matplotlib.figure import Figure

    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    height = (rows + 2) * _ROW
    figure = Figure(figsize=(_WIDTH, height), facecolor="white")
    figure.text(0.012, 1 - 0.9 * _ROW / height, title, size=15, color=_INK, weight="bold")
    for panel in panels:
        at = panel["gridPos"]
        left, top = at["x"] / COLUMNS, (at["y"] + 2) * _ROW / height
        wide, high = at["w"] / COLUMNS, at["h"] * _ROW / height
        if panel["type"] == "row":
            figure.text(left + 0.012, 1 - top - 0.8 * high, panel["title"], size=11, color=_MUTED)
            continue
        pad_x, pad_top, pad_low = 0.028, 0.9 * _ROW / height, 1.0 * _ROW / height
        axes = figure.add_axes(
            (left + pad_x, 1 - top - high + pad_low, wide - 1.4 * pad_x, high - pad_low - pad_top)
        )
        axes.set_title(panel["title"], loc="left", size=9, color=_INK)
        axes.tick_params(labelsize=7, colors=_MUTED)
        for side in axes.spines.values():
            side.set_color(_LINE)
        _KINDS[panel["type"]](axes, panel)
    figure.savefig(target, dpi=80)


def _lines(axes: Any, panel: JSON) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    found = [
        (_legend(target, each["metric"]), each["values"])
        for target in panel["targets"]
        for each in target["series"]
    ]
    begin = min((float(values[0][0]) for _, values in found), default=0.0)
    for label, values in found[:_MOST_SERIES]:
        points = [(float(at) - begin, float(value)) for at, value in values]
        axes.plot(*zip(*points, strict=True), linewidth=1.2, label=label)
    if not found:
        axes.text(0.5, 0.5, "no data", ha="center", color=_MUTED, transform=axes.transAxes)
    axes.grid(color=_LINE, linewidth=0.5)
    if "min" in defaults:
        axes.set_ylim(bottom=0)
    if "max" in defaults:
        axes.set_ylim(top=defaults["max"] * 1.03)
    axes.yaxis.set_major_formatter(lambda value, _: _shown(value, defaults["unit"]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} s")
    if found:
        axes.legend(fontsize=6, loc="upper left", frameon=True, framealpha=0.7, edgecolor=_LINE)


def _number(axes: Any, panel: JSON) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    defaults = panel["fieldConfig"]["defaults"]
    words = {k: v["text"] for m in defaults["mappings"] for k, v in m["options"].items()}
    texts = []
    for target in panel["targets"]:
        for each in target["series"]:
            value = each["value"][1]
            label = _legend(target, each["metric"]) if target["legendFormat"] != "__auto" else ""
            word = words.get(value, _shown(float(value), defaults["unit"]))
            texts.append(label if label and word == "1" else word)
    axes.text(
        0.5, 0.45, "  ".join(texts) or "no data", ha="center", va="center",
        size=17 if texts else 9, color="#1f6f50" if texts else _MUTED, transform=axes.transAxes,
    )  # fmt: skip


def _table(axes: Any, panel: JSON) -> None:
    axes.axis("off")
    rows = [
        [*each["metric"].values(), _shown(float(each["value"][1]), "short")]
        for target in panel["targets"]
        for each in target["series"]
    ]
    columns = max((len(row) for row in rows), default=0)
    cells = [[""] * (columns - len(row)) + row for row in rows[:_MOST_ROWS]]
    if not cells:
        axes.text(0.5, 0.5, "no data", ha="center", color=_MUTED)
        return
    table = axes.table(cellText=cells, loc="upper left", cellLoc="left", edges="horizontal")
    table.auto_set_font_size(False)
    table.set_fontsize(7)


_KINDS: dict[str, Callable[[Any, JSON], None]] = {
    "timeseries": _lines,
    "stat": _number,
    "table": _table,
}


def _legend(target: JSON, labels: dict[str, str]) -> str:
    if target["legendFormat"] == "__auto":
        return ", ".join(v for k, v in labels.items() if k != "__name__") or "value"
    return _LEGEND.sub(lambda found: labels.get(found[1], ""), target["legendFormat"]).strip()


def _shown(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if abs(value) < 1 else f"{value:.3g} s"
    if unit == "ms":
        return f"{value:.3g} ms"
    return f"{value:.4g}"


def main() -> None:
    """Draw every dashboard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    args = parser.parse_args()
    for name, panels in asyncio.run(collect(args.seconds)).items():
        title = json.loads((ROOT / DASHBOARDS / f"{name}.json").read_text())["title"]
        draw(title, panels, args.out / f"dashboard-{name}.png")
        print(f"wrote {args.out / f'dashboard-{name}.png'}")


if __name__ == "__main__":
    main()

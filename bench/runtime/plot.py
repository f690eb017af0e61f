"""Draws the comparison; runs in the peers' Python, which has matplotlib.

PYTHON plot.py RESULTS.json TARGET.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Draw one panel for each scenario: a bar for each server with its spread."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "fairlead"  # the same figures give the same file
    results: dict[str, dict[str, dict[str, float]]] = json.loads(Path(sys.argv[1]).read_text())
    columns = 2
    rows = -(-len(results) // columns)
    figure = Figure(figsize=(11, 0.6 + 2.1 * rows), layout="constrained")
    panels: Any = figure.subplots(rows, columns, squeeze=False)
    flat = [panel for row in panels for panel in row]
    for panel, (scenario, servers) in zip(flat, results.items(), strict=False):
        names = list(servers)[::-1]
        middle = [servers[name]["rps"] for name in names]
        low = [servers[name]["rps"] - servers[name]["min"] for name in names]
        high = [servers[name]["max"] - servers[name]["rps"] for name in names]
        colours = ["#1f6f8b" if name.startswith("fairlead") else "#b8b8b8" for name in names]
        panel.barh(names, middle, xerr=[low, high], color=colours, ecolor="#555555", capsize=2)
        panel.set_title(scenario, loc="left", fontsize=10)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in flat[len(results) :]:
        panel.set_visible(False)
    figure.supxlabel("requests a second (median, least and most of all repetitions)", fontsize=9)
    figure.savefig(sys.argv[2], metadata={"Date": None})


if __name__ == "__main__":
    main()

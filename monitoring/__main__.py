"""`python -m monitoring --write|--check`: the page of metrics, dashboards and rules."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from fairlead_operator.api.generated import add_flags, write_or_check
from monitoring import envoy, page, rules
from monitoring.dashboards import ALL
from monitoring.panels import to_json

DASHBOARDS = "charts/fairlead/files/dashboards"
RULES = "charts/fairlead/files/rules.yaml"
LAPTOP = "monitoring/compose/rules.yaml"
KEPT = "charts/fairlead/files/router-metrics.txt"
PAGE = "docs/reference/metrics.md"


def texts() -> dict[str, str]:
    """Return every generated file by its path from the root."""
    found = {
        PAGE: page.text(),
        RULES: rules.text(),
        LAPTOP: rules.laptop_text(),
        KEPT: envoy.KEPT + "\n",
    }
    for dashboard in ALL:
        document = json.dumps(to_json(dashboard), indent=1)
        found[f"{DASHBOARDS}/{dashboard.name}.json"] = document + "\n"
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files or check them; return the exit status."""
    root = (Path(),)
    parser = argparse.ArgumentParser(prog="python -m monitoring")
    add_flags(parser, "monitoring files", root)
    args = parser.parse_args(argv)
    folders = tuple(args.directory or root)
    return write_or_check(texts(), folders, check=args.check, command="python -m monitoring")


if __name__ == "__main__":
    sys.exit(main())

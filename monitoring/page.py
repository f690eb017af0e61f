"""The reference page of all metrics."""

from __future__ import annotations

from collections.abc import Iterable

from monitoring import catalogue
from monitoring.catalogue import Entry
from monitoring.envoy import ROUTER

_HEAD = """\
<!-- Written by `python -m monitoring --write`; do not edit. -->
# Metrics

Every metric of Fairlead. A histogram has `_bucket`, `_sum` and `_count`. What scrapes adds labels
of its own: the PodMonitors of models and routers ([monitoring.md](../monitoring.md)) add
`namespace`, `pod`, `model_deployment` and `revision`, by which dashboards and alerts ask. Operator,
recorder and runtime also have Python's usual `process_*` (CPU, memory, open files).

Names of metrics and labels are an interface: a release that changes one says so in the changelog.
"""
_PARTS = (
    (
        "Operator",
        (
            "Port 9090, `/metrics`. Series about resources (`fairlead_model_deployment_*`, "
            "`fairlead_experiment_*`, `fairlead_rollout_*`) come from the replica that holds the "
            "Lease alone, so each is there once."
        ),
    ),
    (
        "Runtime",
        (
            "Port 9002 of a model's pods (8080 without `--metrics-port`), `/metrics`. "
            "[drift.md](../drift.md) says how scores are computed."
        ),
    ),
    (
        "Router",
        (
            "Port 9902 of a router's pods, `/stats/prometheus`: Envoy's own. These are the ones "
            "that Fairlead judges by, or shows; with them alone a scrape is small."
        ),
    ),
    ("Recorder", "Port 8080, `/metrics`."),
)


def text() -> str:
    """Return the page."""
    entries = (catalogue.operator(), catalogue.runtime(), ROUTER, catalogue.recorder())
    parts = [_HEAD]
    for (title, where), found in zip(_PARTS, entries, strict=True):
        parts.append(f"## {title}\n\n{where}\n\n{_table(found)}\n")
    return "\n".join(parts)


def _table(entries: Iterable[Entry]) -> str:
    rows = ["| Metric | Type | Labels | Unit | Meaning |", "|---|---|---|---|---|"]
    for each in entries:
        labels = ", ".join(f"`{label}`" for label in each.labels)
        meaning = each.meaning.replace("|", "\\|")
        rows.append(f"| `{each.name}` | {each.type} | {labels} | {each.unit} | {meaning} |")
    return "\n".join(rows)

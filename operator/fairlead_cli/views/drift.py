"""Drift: the operator's verdict in a status, and what the counts of the pods say together now."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fairlead_cli import output, reading
from fairlead_cli.reading import JSON
from fairlead_operator.stats import drift
from fairlead_operator.stats.drift_rules import DEFAULT, Rules, of_spec
from fairlead_operator.stats.drift_watch import samples
from fairlead_runtime.contract.drift_counts import MergeError, merge
from fairlead_runtime.contract.drift_report import Report, ReportError, from_document

_SHOWN = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one pod said.

    Attributes:
        pod: Its name.
        revision: Short hash of its revision.
        report: Its counts; None where it has none.
        message: Why it has none.
    """

    pod: str
    revision: str
    report: Report | None = None
    message: str = ""


def parse(pod: str, revision: str, body: bytes) -> Told:
    """Return what a pod's page says; a page that makes no sense is no counts."""
    try:
        document = json.loads(body)
        if isinstance(document, dict) and document.get("profile", "") is None:
            return Told(pod=pod, revision=revision, message=str(document.get("message")))
        return Told(pod=pod, revision=revision, report=from_document(document))
    except (ReportError, ValueError, RecursionError) as error:
        return Told(pod=pod, revision=revision, message=f"its page makes no sense: {error}")


def describe(model: Mapping[str, Any], told: Sequence[Told]) -> JSON:
    """Return the operator's verdict, and one look at the counts of each revision."""
    status = reading.status(model)
    found: JSON = {
        "name": reading.name(model),
        **dict(reading.pairs(status, "drift", "measuredAt")),
    }
    condition = reading.condition(model, "Drifted")
    if condition:
        found["condition"] = condition
    counted = [each for each in told if each.report is not None]
    rules = _rules(model)
    found["revisions"] = [
        _look(revision, [each for each in counted if each.revision == revision], rules)
        for revision in dict.fromkeys(each.revision for each in counted)
    ]
    found["withoutCounts"] = [
        {"pod": each.pod, "message": each.message} for each in told if each.report is None
    ]
    return found


def _rules(model: Mapping[str, Any]) -> Rules:
    """Return what the model's looks go by; a spec that makes no sense leaves the usual rules."""
    try:
        return of_spec(reading.mapping(reading.mapping(model.get("spec")).get("drift")))
    except (TypeError, ValueError):
        return DEFAULT


def _look(revision: str, told: Sequence[Told], rules: Rules) -> JSON:
    """Add the counts of a revision's pods and judge them once: scores cannot be averaged."""
    reports = [each.report for each in told if each.report is not None]
    found: JSON = {
        "revision": revision,
        "version": reports[0].version,
        "pods": [each.pod for each in told],
    }
    windows = [
        window
        for report in reports
        for window in (*report.windows, *([report.current] if report.current else ()))
    ]
    if not any(window.rows for window in windows):
        return {**found, "rows": 0, "features": []}
    try:
        window = merge(windows)
        judged = drift.judge(
            samples(reports[0].features, window),
            alpha=rules.alpha,
            material=rules.material,
            minimum_rows=rules.minimum_rows,
        )
    except (MergeError, ValueError) as error:
        return {**found, "message": str(error), "features": []}
    return {
        **found,
        "rows": window.rows,
        "rowsNeeded": rules.minimum_rows,
        "from": _instant(window.start_s),
        "until": _instant(window.end_s),
        "features": [
            {
                "feature": each.name,
                "drifting": each.drifting,
                "psi": round(each.psi, 4),
                "limit": round(each.limit, 4),
                "significant": each.significant,
                "rows": each.rows,
                "referenceRows": each.reference_rows,
            }
            for each in sorted(judged, key=lambda one: (-one.drifting, -one.psi, one.name))
        ],
    }


def _instant(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def text(document: Mapping[str, Any]) -> RenderableType:
    """Return what a person sees: the verdict, and the features with the most drift."""
    parts: list[RenderableType] = []
    word = document.get("drift")
    if word is not None:
        tone = {"no": "good", "unknown": "dim"}.get(str(word).lower(), "bad")
        line = Text("drift  ").append_text(output.styled(word, tone))
        message = reading.mapping(document.get("condition")).get("message")
        parts.append(line.append(f": {message}") if message else line)
    for each in document["revisions"]:
        parts += [Text(""), Text(_title(each))]
        if each["features"]:
            parts.append(_table(each["features"]))
    parts += [
        output.styled(f"{each['pod']} has no counts: {each['message']}", "dim")
        for each in document["withoutCounts"]
    ]
    return Group(*parts) if parts else Text("No pod runs, and the status says nothing of drift.")


def _title(each: Mapping[str, Any]) -> str:
    pods = len(each["pods"])
    title = f"revision {each['revision']} version {each['version']}"
    if each.get("message"):
        return f"{title}: {each['message']}"
    several = "1 pod" if pods == 1 else f"{pods} pods"
    since = f" from {each['from']} until {each['until']}" if each["rows"] else ""
    needed = each.get("rowsNeeded", DEFAULT.minimum_rows)
    wait = f"; {needed} are needed to judge" if each["rows"] < needed else ""
    return f"{title}: {each['rows']} rows of {several}{since}{wait}"


def _table(features: Sequence[JSON]) -> RenderableType:
    rows = [
        [
            Text(each["feature"]),
            output.styled("drifting", "bad") if each["drifting"] else Text("no"),
            Text(f"{each['psi']:.3f}"),
            Text(f"{each['limit']:.3f}"),
            Text(str(each["rows"])),
            Text(str(each["referenceRows"])),
        ]
        for each in features[:_SHOWN]
    ]
    return output.table(("feature", "drift", "psi", "limit", "rows", "reference"), rows)

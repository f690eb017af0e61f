"""Drift: the operator's verdict in a status, and the scores in a pod's metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fairlead_cli import output, reading
from fairlead_cli.reading import JSON

_METRICS = {
    "model_input_drift": "shift",
    "model_prediction_drift": "shift",
    "model_drift_score": None,
}
"""Metrics about drift, and what they measure where no label says it."""
_SHOWN = 15
NONE = (
    "No pod reports drift: the model has no profile to compare with (see spec.model.profileUri), "
    "or it has not seen enough rows yet."
)


def verdict(model: Mapping[str, Any]) -> JSON:
    """Return what the status says of drift: the column, and anything more that is there."""
    status = reading.status(model)
    found = dict(reading.pairs(status, "drift", "measuredAt"))
    found |= {
        key: value
        for key, value in status.items()
        if key.lower().startswith("drift") and key != "drift" and value
    }
    return found


def scores(text: str) -> list[JSON]:
    """Return the scores in a text of Prometheus' format; not a number is left out."""
    from prometheus_client.parser import text_string_to_metric_families

    found = []
    for family in text_string_to_metric_families(text):
        if family.name not in _METRICS:
            continue
        for sample in family.samples:
            if sample.value != sample.value:  # noqa: PLR0124 - not a number
                continue
            output_only = family.name == "model_prediction_drift"
            feature = "(prediction)" if output_only else sample.labels.get("feature_name", "")
            statistic = sample.labels.get("statistic") or _METRICS[family.name] or ""
            found.append({"feature": feature, "statistic": statistic, "score": float(sample.value)})
    return found


def text(document: Mapping[str, Any]) -> RenderableType:
    """Return what a person sees: the verdict, and the largest scores of each statistic."""
    parts: list[RenderableType] = []
    word = document.get("drift")
    if word is not None:
        tone = "good" if str(word).lower() in ("none", "no", "false") else "busy"
        parts.append(Text("drift  ").append_text(output.styled(word, tone)))
    for key, value in document.items():
        if key.startswith("drift") and key != "drift":
            parts.append(Text(f"{key}  {value}"))
    if document["scores"]:
        rows = [
            [each["feature"], each["statistic"], f"{each['score']:.4g}", each["pod"]]
            for each in _largest(document["scores"])
        ]
        parts.append(output.table(("feature", "statistic", "score", "pod"), rows))
    elif not document["unread"]:
        parts.append(Text(NONE))
    parts += [
        output.styled(f"{each['pod']} was not read: {each['message']}", "bad")
        for each in document["unread"]
    ]
    return Group(*parts)


def _largest(found: Sequence[JSON]) -> list[JSON]:
    """Return the largest scores of each statistic; those of several cannot be compared."""
    kept: list[JSON] = []
    for statistic in dict.fromkeys(each["statistic"] for each in found):
        same = [each for each in found if each["statistic"] == statistic]
        kept += sorted(same, key=lambda each: -float(each["score"]))[:_SHOWN]
    return kept

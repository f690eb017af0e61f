"""An Experiment: its summary, its document, and its tree."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from rich.text import Text
from rich.tree import Tree

from fairlead_cli import reading
from fairlead_cli.output import styled
from fairlead_cli.reading import JSON
from fairlead_cli.views import conditions, rollout

_SUMMARY = ("phase", "reason", "arms", "units", "leader", "lift", "pValue", "ratio")
_MORE = ("startedAt", "endedAt", "measuredAt", "decision", "recommendation", "evidence", "plan",
         "sampleRatio", "guardrails", "results", "variants")  # fmt: skip
_PHASES = {"Running": "good", "Decided": "good", "Stopped": "dim", "Invalid": "bad"}
_ARM = ("modelDeployment", "slots", "units", "crossovers", "unavailableSince")
_RESULT = ("units", "outcomes", "value", "interval", "lift", "liftInterval", "pValue",
           "probabilityBest")  # fmt: skip


def summary(resource: Mapping[str, Any]) -> JSON:
    """Return the columns of an Experiment."""
    return {
        "name": reading.name(resource),
        **dict(reading.pairs(reading.status(resource), *_SUMMARY)),
    }


def describe(resource: Mapping[str, Any]) -> JSON:
    """Return what is known of an Experiment; what its status lacks is left out."""
    status, meta = reading.status(resource), reading.meta(resource)
    assignment = reading.mapping(status.get("assignment"))
    return {
        "kind": "Experiment",
        "namespace": meta.get("namespace"),
        "name": meta.get("name"),
        "target": reading.mapping(resource.get("spec")).get("target"),
        "current": reading.current(resource),
        **dict(reading.pairs(status, *_SUMMARY)),
        "conditions": reading.conditions(resource),
        **dict(reading.pairs(status, *_MORE)),
        **({"epochs": assignment["epochs"]} if assignment.get("epochs") else {}),
    }


def line(found: Mapping[str, Any]) -> Text:
    """Return a summary in one line."""
    phase = str(found.get("phase", "not seen yet"))
    text = Text(f"experiment {found['name']}  ")
    text.append_text(styled(phase, _PHASES.get(phase, "busy")))
    words = {"arms": "", "units": "units ", "leader": "leader ", "lift": "", "pValue": "p ",
             "ratio": "ratio "}  # fmt: skip
    for key, word in words.items():
        if found.get(key) is not None:
            text.append(f"  {word}{found[key]}")
    return text


def tree(found: Mapping[str, Any], now: dt.datetime) -> Tree:
    """Return the tree of a document of `describe`."""
    title = Text(f"Experiment {found['namespace']}/{found['name']}", style="bold")
    phase = str(found.get("phase", "not seen yet"))
    title.append("  ").append_text(styled(phase, _PHASES.get(phase, "busy")))
    root = Tree(title, guide_style="dim")
    root.add(Text(f"target  {found.get('target')}"))
    for each in found["conditions"]:
        root.add(conditions.line(each, now))
    if not found["current"]:
        root.add(styled("the operator has not looked at this generation yet", "busy"))
    for each in reading.items(found.get("variants")):
        root.add(_facts(f"arm {each.get('name')}", each, _ARM))
    for metric in reading.items(found.get("results")):
        words = " ".join(str(value) for _, value in reading.pairs(metric, "type", "goal"))
        branch = root.add(Text(f"metric {metric.get('name')}  {words}"))
        for arm in reading.items(metric.get("arms")):
            branch.add(_facts(str(arm.get("variant")), arm, _RESULT))
    for each in reading.items(found.get("guardrails")):
        name = " ".join(str(value) for _, value in reading.pairs(each, "metric", "variant"))
        root.add(Text("guardrail ").append_text(rollout.check_line({**each, "name": name})))
    for key in ("sampleRatio", "decision", "evidence"):
        if found.get(key):
            fields = reading.mapping(found[key])
            root.add(_facts(_words(key), fields, tuple(fields)))
    advice = reading.mapping(found.get("recommendation")).get("text")
    if advice:
        root.add(Text("recommendation  ").append_text(styled(advice, "good")))
    return root


def _facts(name: str, fields: Mapping[str, Any], shown: tuple[str, ...]) -> Text:
    text = Text(name, style="bold")
    plain = (pair for pair in reading.pairs(fields, *shown) if not isinstance(pair[1], dict))
    for key, value in plain:
        text.append(f"  {_words(key)} ", style="dim").append(str(value))
    return text


def _words(key: str) -> str:
    return "".join(f" {char.lower()}" if char.isupper() else char for char in key)

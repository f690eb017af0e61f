"""The rollout in a status: its phase, its checks, what was said to it, and those before it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from rich.text import Text
from rich.tree import Tree

from fairlead_cli import reading
from fairlead_cli.output import styled
from fairlead_cli.reading import JSON

_SHOWN = (
    "phase", "since", "hash", "version", "step", "weight", "paused", "startedAt", "message",
    "reason", "verdict", "ending",
)  # fmt: skip
_TONES = {"pass": "good", "fail": "bad", "breach": "bad"}
_REFUSALS = ("ignored", "refused")


def describe(status: Mapping[str, Any]) -> JSON:
    """Return the rollout of a status; empty where it has none."""
    found = reading.mapping(status.get("rollout"))
    shown = dict(reading.pairs(found, *_SHOWN))
    checks = _checks(status)
    if checks:
        shown["checks"] = checks
    return shown


def _checks(status: Mapping[str, Any]) -> list[JSON]:
    for holder in (reading.mapping(status.get("rollout")), status):
        found = reading.items(holder.get("checks"))
        if found:
            return found
    return []


def add(root: Tree, found: Mapping[str, Any], now: dt.datetime) -> None:
    """Add a rollout's branch to a tree."""
    phase = str(found.get("phase", "under way"))
    line = Text("rollout  ").append_text(styled(phase, _phase_tone(phase)))
    since = reading.age(found.get("since"), now)
    for word in (f"for {since}" if since else "", "paused" if found.get("paused") else ""):
        if word:
            line.append_text(styled(f"  {word}", "busy"))
    message = found.get("message") or reading.mapping(found.get("ending")).get("message")
    if message:
        line.append(f": {message}")
    branch = root.add(line)
    for check in found.get("checks", ()):
        branch.add(check_line(check))


def _phase_tone(phase: str) -> str:
    return "bad" if "back" in phase.lower() else "busy"


def check_line(check: Mapping[str, Any]) -> Text:
    """Return one check in a line: what, verdict, value and limit, and what it rests on."""
    name = check.get("gate") or check.get("name") or check.get("metric") or "check"
    verdict = str(check.get("verdict") or "shown")
    line = Text(f"{name}  ").append_text(styled(verdict, _TONES.get(verdict.lower(), "dim")))
    unit = str(check.get("unit") or "")
    for key, word in (("value", ""), ("limit", "limit "), ("threshold", "limit ")):
        if check.get(key) is not None:
            line.append(f"  {word}{check[key]}{unit}")
    if check.get("samples") is not None:
        line.append_text(styled(f"  {check['samples']} samples", "dim"))
    end = check.get("end") or check.get("until") or check.get("windowEnd")
    if end:
        line.append_text(styled(f"  until {end}", "dim"))
    if check.get("message"):
        line.append(f": {check['message']}")
    return line


def refused(action: Mapping[str, Any]) -> bool:
    """Whether an imperative had no effect."""
    return str(action.get("result") or "").startswith(_REFUSALS)


def action_line(action: Mapping[str, Any], now: dt.datetime) -> Text:
    """Return the last imperative in a line."""
    ago = reading.age(action.get("at"), now)
    line = Text(f"last action  {action.get('verb', '?')}: ")
    line.append_text(styled(action.get("result", "?"), "bad" if refused(action) else ""))
    return line.append_text(styled(f"  {ago} ago" if ago else "", "dim"))


def history(model: Mapping[str, Any]) -> list[JSON]:
    """Return the rollouts that have ended, the last one first."""
    status = reading.status(model)
    for holder in (reading.mapping(status.get("rollout")), status):
        found = reading.items(holder.get("history"))
        if found:
            return found[::-1]
    return []

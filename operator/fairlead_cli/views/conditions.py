"""Conditions, in the tone of what they mean."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from fairlead_cli import reading
from fairlead_cli.output import styled

_FINE = {
    "Ready": "True",
    "Available": "True",
    "Stalled": "False",
    "Reconciling": "False",
    "Drifted": "False",
}
_BAD = {"Reconciling": "busy"}
"""Tones of those that are not as bad as the others where they are not fine."""


def line(condition: Mapping[str, Any], now: dt.datetime) -> Text:
    """Return a condition in one line, in the tone of what it means."""
    kind, state = str(condition["type"]), str(condition.get("status"))
    text = Text(f"{kind} ").append_text(styled(state, _tone(kind, state)))
    if condition.get("reason"):
        text.append(f" {condition['reason']}")
    since = reading.age(condition.get("lastTransitionTime"), now)
    if since:
        text.append_text(styled(f" for {since}", "dim"))
    if condition.get("message"):
        text.append(f": {condition['message']}")
    return text


def _tone(kind: str, state: str) -> str:
    if state == "Unknown":
        return "busy"
    if kind not in _FINE:  # another version's: nobody knows which way is good
        return ""
    return "good" if _FINE[kind] == state else _BAD.get(kind, "bad")

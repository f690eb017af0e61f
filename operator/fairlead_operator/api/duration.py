"""Durations as Go writes them, in whole seconds: `90s`, `5m`, `336h`, `1h30m`."""

from __future__ import annotations

import re

PATTERN = "^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"
"""What the API takes; an empty text is refused by a least length."""
_UNITS = {"h": 3600, "m": 60, "s": 1}


def seconds(text: str) -> int:
    """Return the seconds of a duration.

    Raises:
        ValueError: It is not a duration as the API takes it.
    """
    if not text or not re.fullmatch(PATTERN, text):
        raise ValueError(f"{text!r} is not a duration: write for example 90s, 5m or 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)([hms])", text))


def text(seconds: float) -> str:
    """Return a duration in words for people: `45 s`, `5 min`, `1 h 30 min`."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min" + (f" {rest} s" if rest and minutes < 10 else "")
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h" + (f" {minutes} min" if minutes else "")

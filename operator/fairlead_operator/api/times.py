"""Instants as Kubernetes writes them, and durations as Go does: `90s`, `5m`, `336h`, `1h30m`."""

from __future__ import annotations

import datetime as dt
import re

DURATION = "^([0-9]{1,9}(h|m|s|ms))+$"
"""What the API takes: whole hours, minutes, seconds and milliseconds, one after the other."""
_PART = re.compile(r"([0-9]{1,9})(ms|h|m|s)")
_UNITS = {
    "h": dt.timedelta(hours=1),
    "m": dt.timedelta(minutes=1),
    "s": dt.timedelta(seconds=1),
    "ms": dt.timedelta(milliseconds=1),
}


def instant(text: str) -> dt.datetime:
    """Parse an instant as Kubernetes writes it.

    Raises:
        ValueError: It is not one.
    """
    return dt.datetime.fromisoformat(text)


def write_instant(moment: dt.datetime) -> str:
    """Write an instant as Kubernetes does: UTC, whole seconds."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(text: str) -> dt.timedelta:
    """Return a duration.

    Raises:
        ValueError: It is not one; the message has an example.
    """
    if not re.fullmatch(DURATION, text):
        raise ValueError(f"{text!r} is not a duration: write for example 90s, 5m or 336h")
    return sum((int(number) * _UNITS[unit] for number, unit in _PART.findall(text)), dt.timedelta())


def write_duration(length: dt.timedelta) -> str:
    """Return a duration in its largest units, whole seconds: `1h30m`, `75s`, `0s`."""
    left = int(length.total_seconds())
    hours, left = divmod(left, 3600)
    minutes, seconds = divmod(left, 60)
    parts = [f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if n]
    return "".join(parts) or "0s"

"""Numbers as people read them."""

from __future__ import annotations

import math

from fairlead_operator.stats.aggregates import Interval


def share(value: float) -> str:
    """Return a share as percent: `5.21%`, with more digits where it is small."""
    percent = 100 * value
    digits = 2 if abs(percent) >= 1 or percent == 0 else 4
    return f"{percent:.{digits}f}%"


def number(value: float) -> str:
    """Return a number with four significant digits, or all of its whole part."""
    if value != 0 and (abs(value) >= 1e15 or abs(value) < 1e-6):
        return f"{value:.3e}"
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.4g}"


def change(value: float) -> str:
    """Return a relative change: `+4.2%`."""
    return f"{100 * value:+.1f}%"


def p_value(value: float) -> str:
    """Return a p-value, to three digits and not below 0.0001."""
    if value < 0.0001:
        return "<0.0001"
    if value < 0.1:
        return f"{value:.4f}"
    return f"{value:.3f}"


def shares(interval: Interval | None) -> str | None:
    """Return an interval of shares."""
    return None if interval is None else f"[{share(interval.low)}, {share(interval.high)}]"


def numbers(interval: Interval | None) -> str | None:
    """Return an interval of numbers."""
    return None if interval is None else f"[{number(interval.low)}, {number(interval.high)}]"


def changes(interval: Interval | None) -> str | None:
    """Return an interval of relative changes."""
    if interval is None or not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return None
    return f"[{change(interval.low)}, {change(interval.high)}]"

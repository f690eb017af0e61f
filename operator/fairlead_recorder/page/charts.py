"""Drawings as SVG inside the page: colours come from its style sheet, no script is needed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from fairlead_recorder.page.analysis import Point

_WIDTH, _HEIGHT = 860, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 34
_MINUTE = 60 * 1_000_000
_STEPS_MIN = (1, 2, 5, 10, 30, 60, 120, 360, 720, 1_440, 2_880, 10_080, 43_200)


def lifts(series: Mapping[str, Sequence[Point]]) -> str:
    """Draw each treatment's lift with its interval over time; empty where nothing is known yet."""
    known = [p for points in series.values() for p in points if p.low is not None]
    if not known:
        return ""
    first = min(points[0].at for points in series.values())
    last = max(first + _MINUTE, *(points[-1].at for points in series.values()))
    bound = _bound(series)
    x = _scale(first, last, _LEFT, _WIDTH - _RIGHT)
    y = _scale(bound, -bound, _TOP, _HEIGHT - _BOTTOM)
    parts = [*_grid(bound, y), *_times(first, last, x)]
    parts.append(_line("zero", _LEFT, y(0), _WIDTH - _RIGHT, y(0)))
    parts.append('<g clip-path="url(#plot)">')
    for index, (name, points) in enumerate(series.items(), start=1):
        parts += _series(index % 8, name, points, x, y, bound)
    parts.append("</g>")
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Lift over time">'
        f'<defs><clipPath id="plot"><rect x="{_LEFT}" y="{_TOP}" width="{_WIDTH - _LEFT - _RIGHT}"'
        f' height="{_HEIGHT - _TOP - _BOTTOM}"/></clipPath></defs>{"".join(parts)}</svg>'
    )


def bar(index: int, share: float, mark: float | None = None) -> str:
    """Draw a bar of a share from 0 to 1, with a mark at another share."""
    width = max(0.0, min(1.0, share)) * 200
    line = "" if mark is None else _line("mark", 200 * min(1.0, mark), 0, 200 * min(1.0, mark), 12)
    return (
        '<svg class="bar" viewBox="0 0 200 12" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="back" width="200" height="12" rx="2"/>'
        f'<rect class="fill c{index % 8}" width="{width:.1f}" height="12" rx="2"/>{line}</svg>'
    )


class _scale:  # noqa: N801 - used as a function
    """Maps one range to another."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._start = low, start
        self._factor = (end - start) / (high - low)

    def __call__(self, value: float) -> float:
        return self._start + (value - self._low) * self._factor


def _bound(series: Mapping[str, Sequence[Point]]) -> float:
    """Return how far the axis goes, up and down: twice what the last interval needs."""
    ends = [0.01]
    for points in series.values():
        newest = next((p for p in reversed(points) if p.low is not None), None)
        if newest is not None and newest.low is not None and newest.high is not None:
            ends += [abs(newest.low) * 2, abs(newest.high) * 2]
    return _nice(max(ends))


def _nice(value: float) -> float:
    magnitude = float(10 ** math.floor(math.log10(value)))
    return next(step * magnitude for step in (1, 2, 5, 10) if value <= step * magnitude * 1.0001)


def _grid(bound: float, y: _scale) -> list[str]:
    parts = []
    for part in (-1, -0.5, 0, 0.5, 1):
        value = part * bound
        digits = 0 if bound >= 0.1 else 1
        parts.append(_line("grid", _LEFT, y(value), _WIDTH - _RIGHT, y(value)))
        text = "0" if value == 0 else f"{value * 100:+.{digits}f} %"
        parts.append(
            f'<text class="axis" x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{text}'
            "</text>"
        )
    return parts


def _times(first: int, last: int, x: _scale) -> list[str]:
    span = (last - first) / _MINUTE
    step = next((each for each in _STEPS_MIN if span / each <= 7), _STEPS_MIN[-1])
    parts = []
    for minutes in range(0, int(span) + 1, step):
        text = f"{minutes} min"
        if step >= 1_440:
            text = f"{minutes // 1_440} d"
        elif step >= 60:
            text = f"{minutes // 60} h"
        parts.append(
            f'<text class="axis" x="{x(first + minutes * _MINUTE):.1f}" y="{_HEIGHT - 12}"'
            f' text-anchor="middle">{text}</text>'
        )
    return parts


def _series(
    index: int, name: str, points: Sequence[Point], x: _scale, y: _scale, bound: float
) -> list[str]:
    known = [
        (x(p.at), p.lift, p.low, p.high)
        for p in points
        if p.lift is not None and p.low is not None and p.high is not None
    ]

    def at(value: float) -> float:
        # Far outside of the plot there is nothing to see, and renderers have their limits.
        return y(max(-10 * bound, min(10 * bound, value)))

    up = [f"{left:.1f},{at(high):.1f}" for left, _, _, high in known]
    down = [f"{left:.1f},{at(low):.1f}" for left, _, low, _ in reversed(known)]
    middle = [f"{left:.1f},{at(lift):.1f}" for left, lift, _, _ in known]
    band = f'<polygon class="band c{index}" points="{" ".join(up + down)}"/>'
    line = f'<polyline class="lift s{index}" points="{" ".join(middle)}">'
    return [band, f"{line}<title>{escape(name)}</title></polyline>"]


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'

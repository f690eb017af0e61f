"""The page itself: one file, its style inside, light and dark, nothing loaded from anywhere."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from fairlead_operator.stats.aggregates import Interval
from fairlead_recorder.page import charts
from fairlead_recorder.page.analysis import ArmView, MetricView, View
from fairlead_recorder.store.events import MICROSECONDS

STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
POLICY = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of the page: its own style and nothing else."""
_NONE = '<span class="none">&ndash;</span>'
_GOOD, _BAD = "good", "bad"


def page(view: View) -> str:
    """Return the page of one experiment."""
    definition = view.summary.definition
    title = f"{definition.namespace}/{definition.name}"
    body = [
        f"<header><h1>{escape(title)}</h1>{_phase(view)}</header>",
        _facts(view),
        _arms(view.metrics[0], view),
        _lift(view),
        _plan(view),
        _ratio(view),
        _guardrails(view),
        *[_other(metric, view) for metric in view.metrics[1:]],
        _quality(view),
        _footer(view),
    ]
    return document(title, "".join(body))


def _footer(view: View) -> str:
    return (
        f"<footer>As of {_instant(view.summary.at)}. Intervals and p-values hold at every look, "
        f"at {view.alpha:.0%} over all variants together.</footer>"
    )


def index(rows: list[tuple[str, str, bool]]) -> str:
    """Return the list of experiments: namespace, name, and whether it goes on."""
    lines = "".join(
        f'<tr><td><a href="/experiments/{escape(namespace)}/{escape(name)}">{escape(namespace)}/'
        f"{escape(name)}</a></td><td>{'running' if going else 'ended'}</td></tr>"
        for namespace, name, going in rows
    )
    table = f"<table><tbody>{lines}</tbody></table>" if rows else "<p>None is registered.</p>"
    return document(
        "Experiments", f"<header><h1>Experiments</h1></header><section>{table}</section>"
    )


def document(title: str, body: str) -> str:
    """Return a whole document."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>"
    )


def _phase(view: View) -> str:
    said = view.judged.get("phase") or ("Ended" if view.summary.ended else "Recording")
    kind = {"Decided": _GOOD, "Invalid": _BAD, "Stopped": _BAD}.get(said, "")
    return f'<span class="badge {kind}">{escape(said)}</span>'


def _facts(view: View) -> str:
    summary = view.summary
    facts = [("Registered", _instant(summary.registered))]
    if summary.ended is not None:
        facts.append(("Ended", _instant(summary.ended)))
    facts.append(("Epoch", str(summary.epochs[-1].number) if summary.epochs else "none"))
    if view.judged.get("leader"):
        facts.append(("Leader", str(view.judged["leader"])))
    listed = "".join(f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>" for name, text in facts)
    message = str(view.judged.get("message") or "")
    words = f"<p>{escape(message)}</p>" if message else ""
    advice = str(view.judged.get("recommendation") or "")
    patch = f"<pre>{escape(advice)}</pre>" if advice else ""
    return f"<section><dl>{listed}</dl>{words}{patch}</section>"


def _arms(metric: MetricView, view: View) -> str:
    goal = metric.metric.goal
    head = (
        f"<h2>{escape(metric.metric.name)} <small>{_kind(metric)}, to {escape(goal)}; "
        "it decides</small></h2>"
    )
    return f"<section>{head}{_table(metric, view)}</section>"


def _other(metric: MetricView, view: View) -> str:
    head = f"<h2>{escape(metric.metric.name)} <small>{_kind(metric)}, shown only</small></h2>"
    return f"<section>{head}{_table(metric, view)}</section>"


def _kind(metric: MetricView) -> str:
    """Say what a metric is: of a ratio, what is divided."""
    found = metric.metric
    if found.type != "ratio":
        return found.type
    return f"ratio, {escape(found.numerator)} / {escape(found.denominator)}"


def _table(metric: MetricView, view: View) -> str:
    binary = metric.metric.type == "binary"
    heads = ["Variant", "Traffic", "Units", *(["Successes"] if binary else [])]
    heads += ["Rate" if binary else "Mean", "Interval", "Lift", "Interval", "p-value"]
    rows = "".join(_row(index, arm, metric, view) for index, arm in enumerate(metric.arms))
    cells = "".join(f"<th>{name}</th>" for name in heads)
    table = f"<table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="scroll">{table}</div>'


def _row(index: int, arm: ArmView, metric: MetricView, view: View) -> str:
    binary = metric.metric.type == "binary"
    slots = view.summary.epochs[-1].slots if view.summary.epochs else {}
    share = f"{slots.get(arm.name, 0) / 100:g} %" if slots else _NONE
    cells = [
        f'<th scope="row"><span class="dot c{index % 8}"></span>{escape(arm.name)}</th>',
        share,
        f"{arm.units:,}",
        *([f"{arm.successes:,}"] if binary else []),
        _amount(arm.value, binary=binary),
        _range(arm.interval, binary=binary),
    ]
    if index == 0:
        cells += [_NONE, _NONE, _NONE]
    else:
        cells += [
            f'<span class="{_lift_kind(arm, metric.metric.goal)}">{_percent(arm.lift)}</span>',
            _percent_range(arm.lift_interval),
            _p_value(arm.p_value),
        ]
    return "<tr>" + cells[0] + "".join(f"<td>{cell}</td>" for cell in cells[1:]) + "</tr>"


def _lift_kind(arm: ArmView, goal: str) -> str:
    interval = arm.lift_interval
    if interval is None or 0 in interval:
        return ""
    return _GOOD if (interval.low > 0) is (goal == "increase") else _BAD


def _lift(view: View) -> str:
    drawn = charts.lifts(view.lifts)
    if not drawn:
        return (
            "<section><h2>Lift over time</h2><p>Not yet: the control's own rate cannot be told "
            "from 0.</p></section>"
        )
    keys = "".join(
        f'<span><span class="dot c{index % 8}"></span>{escape(name)}</span>'
        for index, name in enumerate(view.lifts, start=1)
    )
    name = escape(view.metrics[0].metric.name)
    return (
        f"<section><h2>Lift over time <small>of {name} against the control, with its confidence "
        f'sequence</small></h2>{drawn}<p class="key">{keys}</p></section>'
    )


def _plan(view: View) -> str:
    total = sum(view.units.values())
    least = int(dict(view.summary.definition.analysis).get("min_samples_per_variant", 0))
    rows = []
    most = max([*view.units.values(), least, 1])
    per_arm = view.planned / len(view.units) if view.planned else 0
    whole = max(most, per_arm)
    for index, (name, units) in enumerate(view.units.items()):
        mark = per_arm / whole if per_arm else (least / whole if least else None)
        rows.append(
            f'<tr><th scope="row">{escape(name)}</th><td>{units:,}</td>'
            f"<td>{charts.bar(index, units / whole, mark)}</td></tr>"
        )
    words = f"{total:,} units"
    if view.planned:
        words += f" of {view.planned:,} planned ({total / view.planned:.0%})"
    if least:
        words += f"; at least {least:,} for each variant before anything is decided"
    table = f"<table><tbody>{''.join(rows)}</tbody></table>"
    return f"<section><h2>Units</h2><p>{words}.</p>{table}</section>"


def _ratio(view: View) -> str:
    found = view.ratio
    if found is None:
        return "<section><h2>Sample ratio</h2><p>No slot table is known.</p></section>"
    kind, word = (_BAD, "mismatch") if found.mismatch else (_GOOD, "as assigned")
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{units:,}</td><td>{expected:,.0f}</td></tr>'
        for (name, units), expected in zip(view.units.items(), found.pearson.expected, strict=True)
    )
    fixed = _p_value(found.pearson.p_value)
    explained = (
        "Units do not come in the proportions in which they were assigned: nothing else on this "
        "page can be trusted."
        if found.mismatch
        else "Units come in the proportions in which they were assigned."
    )
    return (
        f'<section><h2>Sample ratio <span class="badge {kind}">{word}</span></h2>'
        f"<p>{explained} p {_p_value(found.p_value)} at every look, chi-squared p {fixed} once.</p>"
        "<table><thead><tr><th>Variant</th><th>Units</th><th>Expected</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></section>"
    )


def _guardrails(view: View) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(str(one.get("name", "")))}</th>'
        f"<td>{escape(str(one.get('value', '')))}</td><td>{escape(str(one.get('limit', '')))}</td>"
        f'<td><span class="{_verdict(str(one.get("verdict", "")))}">'
        f"{escape(str(one.get('verdict', '')))}</span></td></tr>"
        for one in view.judged.get("guardrails") or []
    )
    if not rows:
        return "<section><h2>Guardrails</h2><p>None is set.</p></section>"
    return (
        "<section><h2>Guardrails</h2><table><thead><tr><th>Guardrail</th><th>Value</th>"
        f"<th>Limit</th><th>Verdict</th></tr></thead><tbody>{rows}</tbody></table></section>"
    )


def _verdict(said: str) -> str:
    return {"FAIL": _BAD, "Breach": _BAD, "PASS": _GOOD, "Holds": _GOOD, "Kept": _GOOD}.get(
        said, ""
    )


def _quality(view: View) -> str:
    summary = view.summary
    words = {
        "outcomes": "outcomes",
        "counted": "of units that were exposed, in time",
        "unexposed": "of units that were not exposed (yet)",
        "late": "too late after the exposure",
        "early": "from before the exposure",
        "conflicts": "keys sent again with something else",
        "fallbacks": "requests that the control answered for another variant",
        "lost": "exposures that could not be written",
        "forgotten": "units removed on demand",
    }
    rows = "".join(
        f'<tr><th scope="row">{summary.counters[name]:,}</th><td class="text">{text}</td></tr>'
        for name, text in words.items()
    )
    departed = sum(arm.departed for epoch in summary.epochs for arm in epoch.arms.values())
    crossed = sum(arm.crossed for epoch in summary.epochs for arm in epoch.arms.values())
    rows += (
        f'<tr><th scope="row">{departed:,}</th><td class="text">units that left because their slot'
        f' moved</td></tr><tr><th scope="row">{crossed:,}</th><td class="text">units seen on'
        " another variant later</td></tr>"
    )
    gaps = summary.gaps
    seconds = gaps.lasted / MICROSECONDS
    gaps_said = "one gap" if gaps.count == 1 else f"{gaps.count:,} gaps"
    lost = f"<p>Exposures were lost in {gaps_said}, {seconds:,.1f} s in all.</p>"
    latest = "".join(
        f'<tr><td>{_instant(gap.started)}</td><td>{_instant(gap.ended)}</td><td class="text">'
        f"{escape(gap.reason)}</td></tr>"
        for gap in gaps.latest[:5]
    )
    table = f"<table><tbody>{latest}</tbody></table>" if latest else ""
    return (
        f"<section><h2>Data</h2><table><tbody>{rows}</tbody></table>"
        f"{lost if gaps.count else '<p>No gap: nothing was lost here.</p>'}{table}</section>"
    )


def _instant(at: int) -> str:
    try:
        made = datetime.fromtimestamp(at // MICROSECONDS, UTC)
    except (OverflowError, ValueError, OSError):
        return str(at)
    return made.strftime("%Y-%m-%d %H:%M:%S UTC")


def _amount(value: float | None, *, binary: bool) -> str:
    if value is None:
        return _NONE
    return f"{value:.2%}" if binary else f"{value:,.4g}"


def _range(interval: Interval | None, *, binary: bool) -> str:
    if interval is None:
        return _NONE
    low = max(0.0, interval.low) if binary else interval.low
    high = min(1.0, interval.high) if binary else interval.high
    return f"{_amount(low, binary=binary)} to {_amount(high, binary=binary)}"


def _p_value(value: float | None) -> str:
    if value is None:
        return _NONE
    return f"{value:.4f}" if value >= 0.0001 else "&lt; 0.0001"


def _percent(value: float | None) -> str:
    return _NONE if value is None else f"{value:+.1%}"


def _percent_range(interval: Interval | None) -> str:
    if interval is None:
        return _NONE
    return f"{interval.low:+.1%} to {interval.high:+.1%}"

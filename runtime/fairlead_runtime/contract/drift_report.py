"""What `GET /fairlead/v1/drift` answers: a replica's counts, for the operator to add and judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairlead_runtime.contract.drift_counts import FeatureCounts, Window
from fairlead_runtime.contract.drift_names import PATH
from fairlead_runtime.contract.drift_profile import Profile

__all__ = [
    "MAX_REPORT_BYTES",
    "PATH",
    "SCHEMA",
    "Reference",
    "Report",
    "ReportError",
    "from_document",
    "references",
    "to_document",
]

SCHEMA = "fairlead.dev/drift-report/v1"
MAX_REPORT_BYTES = 16 << 20
"""A reader takes no more: some 4 MiB are 512 features over eight sub-windows."""

_MOST_SECONDS = 253402300799.0  # the end of the year 9999
_MOST_ROWS = 1 << 53  # beyond, a float has not every whole number


class ReportError(ValueError):
    """A report cannot be read; the message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One feature of the profile, as far as a judgement needs it.

    Attributes:
        name: The feature's.
        role: input or output.
        kind: number or category.
        bins: The reference's counts by coarse bin.
        missing: The reference's rows without a value.
        cut: How values are cut into bins: the same text, the same bins; empty where unknown.
    """

    name: str
    role: str
    kind: str
    bins: tuple[int, ...]
    missing: int
    cut: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A replica's counts on coarse bins.

    Attributes:
        instance: Another one for each start of a process, so that a restart is not double counted.
        version: The model's version.
        model: The model's digest.
        profile: The profile's digest.
        rows: Rows counted since the process started.
        skipped: Rows that were not counted, because counting takes little of the CPU at most.
        features: The profile's features.
        counted: All that was counted since the process started, from the minute of the first row to
            the moment of the report. It only grows: the difference of two reports is what was
            counted between them, whatever has become of the sub-windows.
        windows: Closed sub-windows, the oldest first: they never change, but may be merged with
            their neighbours.
        current: The one that is still counted, and grows; None where it has no row yet.
    """

    instance: str
    version: str
    model: str
    profile: str
    rows: int
    skipped: int
    features: tuple[Reference, ...]
    counted: Window
    windows: tuple[Window, ...]
    current: Window | None = None


def references(profile: Profile) -> tuple[Reference, ...]:
    """Return the profile's features as a report has them."""
    return tuple(
        Reference(
            name=each.name,
            role=each.role,
            kind=each.kind,
            cut=each.cut,
            bins=tuple(int(count) for count in each.grouped(each.reference)),
            missing=each.missing,
        )
        for each in profile.features
    )


def to_document(report: Report) -> dict[str, Any]:
    """Return a report as JSON's values."""
    return {
        "schema": SCHEMA,
        "instance": report.instance,
        "model": {"version": report.version, "digest": report.model},
        "profile": {"digest": report.profile},
        "rows": report.rows,
        "skipped": report.skipped,
        "features": [
            {
                "name": each.name,
                "role": each.role,
                "kind": each.kind,
                "cut": each.cut,
                "reference": list(each.bins),
                "missing": each.missing,
            }
            for each in report.features
        ],
        "counted": _window_document(report.counted),
        "windows": [_window_document(window) for window in report.windows],
        "current": None if report.current is None else _window_document(report.current),
    }


def _window_document(window: Window) -> dict[str, Any]:
    return {
        "start": window.start_s,
        "end": window.end_s,
        "rows": window.rows,
        "counts": [list(each.bins) for each in window.features],
        "missing": [each.missing for each in window.features],
        # Beyond 2^53 many JSON readers lose digits of a number.
        "totals": [str(each.total) for each in window.features],
    }


def from_document(document: object) -> Report:
    """Check a document and return its report.

    Raises:
        ReportError: It is none; the message names the field.
    """
    try:
        return _report(_object(document))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ReportError(f"this is no drift report: {error!r}") from error


def _report(given: Mapping[str, Any]) -> Report:
    if given["schema"] != SCHEMA:
        raise ReportError(f"schema is {given['schema']!r}, not {SCHEMA!r}")
    features = tuple(_reference(_object(each)) for each in given["features"])
    profile = str(given["profile"]["digest"])
    current = given.get("current")
    return Report(
        instance=str(given["instance"]),
        version=str(given["model"]["version"]),
        model=str(given["model"]["digest"]),
        profile=profile,
        rows=_count(given["rows"]),
        skipped=_count(given["skipped"]),
        features=features,
        counted=_window(_object(given["counted"]), profile, features),
        windows=tuple(_window(_object(each), profile, features) for each in given["windows"]),
        current=None if current is None else _window(_object(current), profile, features),
    )


def _reference(given: Mapping[str, Any]) -> Reference:
    bins = tuple(_count(each) for each in given["reference"])
    if not bins:
        raise ReportError(f"feature {given['name']!r} has no bins")
    return Reference(
        name=str(given["name"]),
        role=str(given["role"]),
        kind=str(given["kind"]),
        cut=str(given.get("cut", "")),
        bins=bins,
        missing=_count(given["missing"]),
    )


def _window(given: Mapping[str, Any], profile: str, features: Sequence[Reference]) -> Window:
    counted = tuple(
        FeatureCounts(
            bins=tuple(_count(each) for each in bins), missing=_count(missing), total=int(total)
        )
        for bins, missing, total in zip(
            given["counts"], given["missing"], given["totals"], strict=True
        )
    )
    if [len(each.bins) for each in counted] != [len(each.bins) for each in features]:
        raise ReportError("a window's bins are not those of the reference")
    return Window(
        profile=profile,
        start_s=_instant(given["start"]),
        end_s=_instant(given["end"]),
        rows=_count(given["rows"]),
        features=counted,
    )


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ReportError("it must be an object")
    return value


def _instant(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ReportError("an instant is no number")
    if not 0 <= value <= _MOST_SECONDS:  # nor is NaN
        raise ReportError("an instant is out of range")
    return float(value)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ReportError("a count is no whole number")
    if not 0 <= value <= _MOST_ROWS:
        raise ReportError("a count is out of range")
    return value

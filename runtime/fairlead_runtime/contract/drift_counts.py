"""Counts of what a model was asked and answered: whole numbers, so that they merge exactly.

The counts of two replicas, or of two minutes, are added. However the rows of a stream were dealt
out, the sum is the same to the last bit, and so is every score. That holds for means as well: a
value is turned into a whole number of 2^-32 standard deviations before it is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairlead_runtime.contract import drift
from fairlead_runtime.contract.drift import Counts
from fairlead_runtime.contract.drift_profile import Feature, Profile

MOMENT_BITS = 32
"""A sum counts in 2^-32 standard deviations of the reference."""
MOMENT_LIMIT = 1024.0
"""The most that one value may add, in standard deviations: one broken value is not the mean."""
MINIMUM_ROWS = 100
"""No mean shift is shown for fewer values of a feature."""


class MergeError(ValueError):
    """Counts cannot be added; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureCounts:
    """What was counted of one feature.

    Attributes:
        bins: Rows by bin, as many as the reference has; or by coarse bin, where the report says so.
        missing: Rows without a value.
        total: Sum of (x - mean) / deviation in units of 2^-32; 0 for categories.
    """

    bins: tuple[int, ...]
    missing: int
    total: int

    @property
    def values(self) -> int:
        """Rows with a value."""
        return sum(self.bins)

    @property
    def array(self) -> Counts:
        """The bins as an array."""
        return np.array(self.bins, dtype=np.int64)

    @property
    def rows(self) -> int:
        """All rows."""
        return self.values + self.missing

    def __add__(self, other: FeatureCounts) -> FeatureCounts:
        if len(self.bins) != len(other.bins):
            raise MergeError(f"{len(self.bins)} bins and {len(other.bins)} bins cannot be added")
        return FeatureCounts(
            bins=tuple(a + b for a, b in zip(self.bins, other.bins, strict=True)),
            missing=self.missing + other.missing,
            total=self.total + other.total,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Counts of all features over a stretch of time.

    Attributes:
        profile: Digest of the profile whose bins these are.
        start_s: When it began, in seconds since 1970.
        end_s: When it ended.
        rows: Rows that were counted.
        features: In the profile's order.
    """

    profile: str
    start_s: float
    end_s: float
    rows: int
    features: tuple[FeatureCounts, ...]

    def __add__(self, other: Window) -> Window:
        return merge([self, other])


def empty(profile: Profile, now_s: float, *, coarse: bool = False) -> Window:
    """Return a window without rows."""
    return Window(
        profile=profile.digest,
        start_s=now_s,
        end_s=now_s,
        rows=0,
        features=tuple(
            FeatureCounts(
                bins=(0,) * len(each.coarse if coarse else each.counts), missing=0, total=0
            )
            for each in profile.features
        ),
    )


def merge(windows: Iterable[Window]) -> Window:
    """Add the counts of replicas, or of consecutive windows.

    Raises:
        MergeError: There are none, or they are not of one profile.
    """
    given = list(windows)
    if not given:
        raise MergeError("there are no counts to add")
    digests = sorted({window.profile for window in given})
    if len(digests) > 1:
        raise MergeError(
            f"counts of different profiles cannot be added: {digests[0]} and {digests[1]}"
        )
    if len({len(window.features) for window in given}) > 1:
        raise MergeError("counts of different numbers of features cannot be added")
    features = []
    for each in zip(*(window.features for window in given), strict=True):
        first, *others = each
        features.append(sum(others, start=first))
    return Window(
        profile=digests[0],
        start_s=min(window.start_s for window in given),
        end_s=max(window.end_s for window in given),
        rows=sum(window.rows for window in given),
        features=tuple(features),
    )


def difference(later: Window, earlier: Window) -> Window:
    """Return what was counted between two readings of counts that only grow.

    Raises:
        MergeError: They are not of one profile, or the later ones have less of something.
    """
    if later.profile != earlier.profile or len(later.features) != len(earlier.features):
        raise MergeError("counts of different profiles cannot be subtracted")
    features = tuple(map(_difference, later.features, earlier.features))
    if later.rows < earlier.rows or any(min(*f.bins, f.missing) < 0 for f in features):
        raise MergeError("a replica's counts have become less")
    return Window(
        profile=later.profile,
        start_s=min(earlier.end_s, later.end_s),
        end_s=later.end_s,
        rows=later.rows - earlier.rows,
        features=features,
    )


def _difference(later: FeatureCounts, earlier: FeatureCounts) -> FeatureCounts:
    if len(later.bins) != len(earlier.bins):
        raise MergeError("counts of different bins cannot be subtracted")
    return FeatureCounts(
        bins=tuple(a - b for a, b in zip(later.bins, earlier.bins, strict=True)),
        missing=later.missing - earlier.missing,
        total=later.total - earlier.total,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How far a feature's window is from its reference.

    Attributes:
        name: The feature's.
        role: input or output.
        rows: Values in the window; missing ones are not among them.
        missing: Share of the rows that have no value.
        outside: Share of the values outside of the reference's range, or in no known category.
        shift: The standardised mean shift, or the greatest shift of a category; None below
            MINIMUM_ROWS values.
        psi: On coarse bins and one for missing values; None without rows.
        jensen_shannon: On coarse bins; None without values, as all that follow.
        kolmogorov_smirnov: The low bound on fine bins; None for categories.
        wasserstein: On fine bins, in standard deviations; None for categories.
        chi_squared: Two-sample statistic on coarse bins.
    """

    name: str
    role: str
    rows: int
    missing: float
    outside: float
    shift: float | None = None
    psi: float | None = None
    jensen_shannon: float | None = None
    kolmogorov_smirnov: float | None = None
    wasserstein: float | None = None
    chi_squared: float | None = None


def scores(feature: Feature, counted: FeatureCounts) -> Scores:
    """Return all scores of one feature, from counts of its fine bins."""
    window, reference = counted.array, feature.reference
    values, rows = counted.values, counted.rows
    found: dict[str, Any] = {
        "name": feature.name,
        "role": feature.role,
        "rows": values,
        "missing": counted.missing / rows if rows else 0.0,
        "outside": _outside(feature, window) / values if values else 0.0,
    }
    if rows == 0:
        return Scores(**found)
    coarse_reference, coarse = feature.grouped(reference), feature.grouped(window)
    found["psi"] = psi(feature, counted)
    if values == 0 or not reference.any():
        return Scores(**found)
    found["jensen_shannon"] = drift.jensen_shannon(coarse_reference, coarse)
    found["chi_squared"] = drift.chi_squared(coarse_reference, coarse).value
    if values >= MINIMUM_ROWS:
        found["shift"] = shift(feature, counted)
    if feature.kind == "number":
        scale = feature.deviation or 1.0
        found["kolmogorov_smirnov"] = drift.kolmogorov_smirnov(reference, window).low
        found["wasserstein"] = drift.wasserstein(reference, window, feature.points, scale=scale)
    return Scores(**found)


def psi(feature: Feature, counted: FeatureCounts) -> float:
    """Return the PSI on coarse bins and one for missing values; bins empty on both sides left out.

    Without any row it is 0.
    """
    reference = np.append(feature.grouped(feature.reference), feature.missing)
    window = np.append(feature.grouped(counted.array), counted.missing)
    return drift.psi(*drift.occupied(reference, window))


def shift(feature: Feature, counted: FeatureCounts) -> float | None:
    """Return the standardised mean shift; None without values."""
    if counted.values == 0:
        return None
    if feature.kind == "number":
        return abs(counted.total / counted.values) / (1 << MOMENT_BITS)
    if not any(feature.counts):
        return None
    return drift.share_shift(feature.reference, counted.array)


def coarse_counts(feature: Feature, counted: FeatureCounts) -> FeatureCounts:
    """Return the counts of the coarse bins."""
    grouped = feature.grouped(counted.array)
    return FeatureCounts(
        bins=tuple(int(each) for each in grouped), missing=counted.missing, total=counted.total
    )


def most_drifted(found: Sequence[Scores], most: int) -> list[Scores]:
    """Return the scores with the greatest PSI, greatest first."""
    return sorted(found, key=lambda each: (-(each.psi or 0.0), each.name))[:most]


def _outside(feature: Feature, window: Counts) -> int:
    if feature.kind == "category":
        return int(window[-1])
    return int(window[0] + window[-1])

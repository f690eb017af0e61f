"""What Prometheus sees of drift: scores of this replica's window, computed when it asks."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from fairlead_runtime.contract import drift_names
from fairlead_runtime.contract.drift_counts import (
    MINIMUM_ROWS,
    FeatureCounts,
    Scores,
    most_drifted,
    psi,
    scores,
    shift,
)
from fairlead_runtime.contract.drift_profile import Feature
from fairlead_runtime.drift.monitor import Monitor

MOST_FEATURES = 50
"""Features with series of all their scores: those with the greatest PSI."""
_STATISTICS = ("psi", "jensen_shannon", "kolmogorov_smirnov", "wasserstein", "chi_squared")


def collect(monitor: Monitor) -> Iterator[Metric]:
    """Yield all series as they are now; called in the thread that renders metrics."""
    window = monitor.whole()
    rows = CounterMetricFamily(
        drift_names.ROWS_TOTAL, "Rows that drift counting has counted.", value=monitor.rows
    )
    skipped = CounterMetricFamily(
        drift_names.ROWS_SKIPPED_TOTAL,
        "Rows that were not counted, because counting had used up its share of the CPU.",
        value=monitor.skipped,
    )
    yield rows
    yield skipped
    yield GaugeMetricFamily(
        drift_names.WINDOW_ROWS, "Rows in the window that is scored.", value=window.rows
    )
    info = GaugeMetricFamily(
        drift_names.PROFILE_INFO, "The profile that drift is measured against.",
        labels=["digest"],
    )  # fmt: skip
    info.add_metric([monitor.profile.digest], 1)
    yield info
    pairs = list(zip(monitor.profile.features, window.features, strict=True))
    yield from _shifts(pairs)
    if window.rows >= MINIMUM_ROWS:
        yield from _scores(_worst(pairs))


def _shifts(pairs: list[tuple[Feature, FeatureCounts]]) -> Iterator[Metric]:
    inputs = GaugeMetricFamily(
        drift_names.INPUT_DRIFT,
        "Shift of a feature's mean from training, in standard deviations.",
        labels=["feature_name"],
    )
    first: list[float] = []
    tensor = next((each.tensor for each, _ in pairs if each.role == "output"), None)
    for feature, counted in pairs:
        moved = shift(feature, counted) if counted.values >= MINIMUM_ROWS else None
        if moved is None:
            continue
        if feature.role == "input":
            inputs.add_metric([feature.name], moved)
        elif feature.tensor == tensor:
            first.append(moved)
    yield inputs
    predictions = GaugeMetricFamily(
        drift_names.PREDICTION_DRIFT,
        "Shift of the mean of the model's first output, of that element which moved most.",
    )
    if first:
        predictions.add_metric([], max(first))
    yield predictions


def _worst(pairs: list[tuple[Feature, FeatureCounts]]) -> list[Scores]:
    """Return all scores of the features with the greatest PSI."""
    if len(pairs) <= MOST_FEATURES:
        return most_drifted([scores(*pair) for pair in pairs], MOST_FEATURES)
    ranked = sorted(pairs, key=lambda pair: -psi(*pair))
    return [scores(*pair) for pair in ranked[:MOST_FEATURES]]


def _scores(found: list[Scores]) -> Iterator[Metric]:
    each_score = GaugeMetricFamily(
        drift_names.SCORE,
        "Scores of the features that have drifted most; see docs/drift.md for each.",
        labels=["feature_name", "statistic"],
    )
    missing = GaugeMetricFamily(
        drift_names.MISSING_RATIO, "Share of the rows without a value.", labels=["feature_name"]
    )
    outside = GaugeMetricFamily(
        drift_names.OUTSIDE_RATIO,
        "Share of the values outside of training's range, or in no category that it had.",
        labels=["feature_name"],
    )
    for score in found:
        for statistic in _STATISTICS:
            value: float | None = getattr(score, statistic)
            if value is not None:
                each_score.add_metric([score.name, statistic], value)
        missing.add_metric([score.name], score.missing)
        outside.add_metric([score.name], score.outside)
    yield each_score
    yield missing
    yield outside

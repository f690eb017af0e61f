"""Which of the measured settings to use. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fairlead_runtime.workbench.timing import Timing

CLOSE = 0.95
"""Settings that reach this share of the best throughput count as equal to it: that is noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of a sweep and what it reached."""

    threads: int
    batch_size: int
    timing: Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """The setting to use.

    Attributes:
        setting: The setting.
        why: One sentence.
    """

    setting: Setting
    why: str


def recommend(
    settings: Sequence[Setting], *, max_latency_ms: float | None
) -> Recommendation | None:
    """Choose the setting with the most rows a second whose p99 keeps the limit.

    Among those that are as good as the best, fewer threads win (they leave processors to other
    requests), then the lower p99.

    Returns:
        None where no setting keeps the limit.
    """
    allowed = [
        each for each in settings if max_latency_ms is None or each.timing.p99_ms <= max_latency_ms
    ]
    if not allowed:
        return None
    best = max(each.timing.rows_per_s for each in allowed)
    close = [each for each in allowed if each.timing.rows_per_s >= CLOSE * best]
    chosen = min(close, key=lambda each: (each.threads, each.timing.p99_ms))
    limit = "" if max_latency_ms is None else f" with p99 at most {max_latency_ms:g} ms"
    others = f", and the fewest threads of {len(close)} as good" if len(close) > 1 else ""
    return Recommendation(setting=chosen, why=f"most rows a second{limit}{others}")

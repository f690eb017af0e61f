"""How often the alarm on a model's performance errs, and how soon it is right: simulated.

Outcomes come by the hour. `well` is the error share of the reference; `at the limit` is the worst
that is allowed, which is where the guarantee is about; then the share rises at a random window.
Run: python -m bench.drift.outcomes [--weeks N] [--seed N]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence

import numpy as np

from fairlead_operator.stats.aggregates import Binary
from fairlead_operator.stats.performance import Rules, Window, allowed, trace

REFERENCE = Binary(1000, 50)
WEEK = 168
RULES = Rules(reference=REFERENCE, margin=0.02)
RISES = (0.10, 0.12, 0.15, 0.20)
_BEFORE = 24
_MOST = 400


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=400)
    parser.add_argument("--onsets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=24)
    args = parser.parse_args()
    random = np.random.default_rng(args.seed)
    limit = allowed(REFERENCE, RULES.margin)
    print(f"# reference {REFERENCE.successes} of {REFERENCE.count}; allowed {limit:.4f}")
    for count in (20, 100):
        for name, share in (("well", 0.05), ("limit", limit)):
            # A false alarm ends the week: R goes on from where it is, which is no second one.
            alarms = sum(
                first_alarm(random.binomial(count, share, WEEK).tolist(), count) is not None
                for _ in range(args.weeks)
            )
            print(f"outcomes_{count}_{name}_false_alarms_per_model_week: {alarms / args.weeks:.4g}")
        for share in RISES:
            delays = [delay(random, count, share) for _ in range(args.onsets)]
            print(
                f"outcomes_{count}_share_{share:.2f}_median_windows: {statistics.median(delays):g}"
            )
    return 0


def delay(random: np.random.Generator, count: int, share: float) -> int:
    """Return the windows from a rise of the share to the alarm."""
    before = random.binomial(count, 0.05, _BEFORE).tolist()
    after = random.binomial(count, share, _MOST).tolist()
    found = first_alarm([*before, *after], count)
    return _MOST if found is None else max(1, found + 1 - _BEFORE)


def first_alarm(errors: Sequence[int], count: int) -> int | None:
    """Return the window that raises the first alarm; None without one."""
    windows = (
        Window(start_s=float(place), count=count, errors=each) for place, each in enumerate(errors)
    )
    return next(
        (
            int(since_s)
            for _, since_s in trace(windows, allowed(REFERENCE, RULES.margin), RULES.threshold)
            if since_s is not None
        ),
        None,
    )


if __name__ == "__main__":
    raise SystemExit(main())

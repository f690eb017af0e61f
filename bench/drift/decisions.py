"""How often drift alarms are false, and how soon they are right: simulated weeks, fixed seeds.

    python -m bench.drift.decisions [--models 60] [--onsets 600]

Every model has 1, 20 or 200 features; see `streams` for the traffic. A false alarm is a rise of a
model's alarm in a clean week. A detection is the alarm of the one feature that has moved by half
a standard deviation, in looks since the first one that has moved rows only. Fixed thresholds, and
the rule without its change (the larger of noise and size, not their sum), see the same streams.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.drift import rules, streams
from bench.drift.streams import Bank
from fairlead_operator.stats import drift

REFERENCES = (1_000, 10_000)
FEATURES = (1, 20, 200)
SEED = 20
_BEFORE = 2  # clean looks before the shift, so that no rule begins with an empty memory


def main() -> int:
    """Run it and print `name: value` lines."""
    parser = argparse.ArgumentParser(prog="bench.drift.decisions", description=__doc__)
    parser.add_argument("--models", type=int, default=60, help="of 200 features; a week each")
    parser.add_argument("--onsets", type=int, default=600, help="shifts, spread over the day")
    parser.add_argument("--bank", type=int, default=50_000, help="independent windows of rows")
    parser.add_argument("--cycle", type=float, default=streams.CYCLE_SD)
    parser.add_argument("--autoregression", type=float, default=streams.AUTOREGRESSION)
    args = parser.parse_args()
    started = time.monotonic()
    random = np.random.default_rng(SEED)
    bank = Bank(random, windows=args.bank, autoregression=args.autoregression)
    print(f"# looks of {streams.ROWS} rows, AR(1) {args.autoregression}, cycle {args.cycle} sd")
    for reference in REFERENCES:
        _agrees(bank, random, reference)
        _clean(bank, random, reference, args)
        _shifted(bank, random, reference, args)
    print(f"# {time.monotonic() - started:.0f} s")
    return 0


def _agrees(bank: Bank, random: np.random.Generator, reference: int) -> None:
    """Stop unless the arrays' formulas are those that ship."""
    edges = streams.edges(random, 5, reference, rules.BINS)
    counts = bank.looks(edges, streams.cycle(np.arange(8)))
    psis, log_es = rules.psi(counts, reference), rules.log_e(counts, reference)
    for look in range(8):
        samples = [
            drift.Sample(
                name=str(feature),
                reference=(reference // rules.BINS,) * rules.BINS,
                window=tuple(int(count) for count in counts[feature, look]),
            )
            for feature in range(5)
        ]
        for feature, found in enumerate(drift.judge(samples)):
            np.testing.assert_allclose(psis[feature, look], found.psi, rtol=1e-9)
            np.testing.assert_allclose(log_es[feature, look], found.log_e, rtol=1e-7, atol=1e-7)


def _clean(
    bank: Bank, random: np.random.Generator, reference: int, args: argparse.Namespace
) -> None:
    means = streams.cycle(np.arange(streams.WEEK), args.cycle)
    rises: dict[tuple[str, int], int] = defaultdict(int)
    alarmed: dict[tuple[str, int], int] = defaultdict(int)
    weeks: dict[tuple[str, int], int] = defaultdict(int)
    most = max(FEATURES)
    for model in range(args.models):
        edges = streams.edges(random, most, reference, rules.BINS, args.cycle)
        counts = bank.looks(edges, means)
        psis, log_es = rules.psi(counts, reference), rules.log_e(counts, reference)
        for features in FEATURES:
            shape = (most // features, features, streams.WEEK)
            for rule in rules.RULES:
                over = rule.over(psis.reshape(shape), log_es.reshape(shape), reference)
                alarm = np.any(rules.alarms(over, rule), axis=1)
                _add(rises, alarmed, weeks, (rule.name, features), alarm)
        if model % 10 == 0:  # a tenth is enough where nearly every look is one
            fine = streams.edges(random, most, reference, rules.FINE_BINS, args.cycle)
            _kolmogorov(bank, fine, means, reference, rises, alarmed, weeks)
        print(f"reference {reference}: week {model + 1} of {args.models}", file=sys.stderr)
    for key, count in weeks.items():
        name, features = key
        prefix = f"reference_{reference}_features_{features}_{name}"
        print(f"{prefix}_false_alarms_per_model_week: {rises[key] / count:.4g}")
        share = alarmed[key] / (count * streams.WEEK)
        print(f"# {rises[key]} in {count} weeks; in alarm at {share:.2%} of the looks")


def _add(
    rises: dict[tuple[str, int], int],
    alarmed: dict[tuple[str, int], int],
    weeks: dict[tuple[str, int], int],
    key: tuple[str, int],
    alarm: npt.NDArray[Any],
) -> None:
    before = np.concatenate([np.zeros((len(alarm), 1), bool), alarm[:, :-1]], axis=1)
    rises[key] += int((alarm & ~before).sum())
    alarmed[key] += int(alarm.sum())
    weeks[key] += len(alarm)


def _kolmogorov(
    bank: Bank,
    edges: streams.Floats,
    means: streams.Floats,
    reference: int,
    rises: dict[tuple[str, int], int],
    alarmed: dict[tuple[str, int], int],
    weeks: dict[tuple[str, int], int],
) -> None:
    over = np.concatenate(
        [
            rules.kolmogorov_p(bank.looks(part, means), reference) < 0.05
            for part in np.array_split(edges, 20)
        ]
    )
    for features in FEATURES:
        shape = (len(edges) // features, features, streams.WEEK)
        _add(rises, alarmed, weeks, ("ks_p_0.05", features), np.any(over.reshape(shape), axis=1))


def _shifted(
    bank: Bank, random: np.random.Generator, reference: int, args: argparse.Namespace
) -> None:
    looks = 2 * streams.LOOKS_PER_DAY
    onsets = np.arange(args.onsets) * streams.LOOKS_PER_DAY // args.onsets
    for features in FEATURES:
        soon: dict[str, list[float]] = defaultdict(list)
        for onset in onsets:
            means = np.tile(
                streams.cycle(onset + np.arange(-_BEFORE, looks), args.cycle), (features, 1)
            )
            means[0, _BEFORE:] += streams.SHIFT_SD
            # Most of the 200 features say nothing: fewer looks of them are enough.
            means = means[:, : _BEFORE + (looks if features < 200 else 48)]
            edges = streams.edges(random, features, reference, rules.BINS, args.cycle)
            counts = bank.looks(edges, means)[None]
            psis, log_es = rules.psi(counts, reference), rules.log_e(counts, reference)
            for rule in rules.RULES:
                over = rule.over(psis, log_es, reference)[:, :1]
                alarm = rules.alarms(over, rule)[0, 0, _BEFORE:]
                soon[rule.name].append(int(alarm.argmax()) + 1 if alarm.any() else np.inf)
        for name, found in soon.items():
            prefix = f"reference_{reference}_features_{features}_{name}"
            print(f"{prefix}_median_detection_windows: {np.median(found):g}")
            within = [(looks, np.mean(np.array(found) <= looks)) for looks in (3, 12, 48)]
            print("# " + ", ".join(f"within {looks}: {share:.0%}" for looks, share in within))


if __name__ == "__main__":
    raise SystemExit(main())

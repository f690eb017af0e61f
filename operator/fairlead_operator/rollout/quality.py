"""What is known of a model's answers beyond counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairlead_operator.api.times import instant, write_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A comparison of the candidate's distribution with the stable's of the same minutes.

    Attributes:
        milli: Population stability index in thousandths.
        samples: Rows of the candidate.
        significant: Whether it is more than chance.
        end: The end of the window.
        feature: Which input or prediction it is of: the worst.
    """

    milli: int
    samples: int
    significant: bool
    end: dt.datetime
    feature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Answers to copies of the same requests.

    Attributes:
        pairs: Pairs since the mirror began.
        differing: Those whose labels or numbers differ.
        end: The end of the window.
    """

    pairs: int
    differing: int
    end: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What is known of the model's answers beyond counts; None where nobody measures it."""

    mirror: Compared | None = None
    predictions: Score | None = None
    inputs: Score | None = None

    def after(self, before: Quality) -> Quality:
        """Return what is known with this after what was known before.

        An operator that starts anew compares what the pods have kept of the copies: until that is
        more than what was compared before it, that stays, and no pair counts twice.
        """
        pairs = [each for each in (before.mirror, self.mirror) if each is not None]
        return Quality(
            mirror=max(pairs, key=lambda each: (each.pairs, each.end), default=None),
            predictions=self.predictions or before.predictions,
            inputs=self.inputs or before.inputs,
        )


def to_json(quality: Quality) -> dict[str, list[int | str]]:
    """Write what is known, what is not known left out."""
    found: dict[str, list[int | str]] = {}
    if quality.mirror is not None:
        mirror = quality.mirror
        found["mirror"] = [mirror.pairs, mirror.differing, write_instant(mirror.end)]
    for name, score in (("predictions", quality.predictions), ("inputs", quality.inputs)):
        if score is not None:
            numbers = [score.milli, score.samples, int(score.significant)]
            found[name] = [*numbers, write_instant(score.end)]
    return found


def from_json(document: Mapping[str, Any]) -> Quality:
    """Read what `to_json` has written.

    Raises:
        KeyError, TypeError, ValueError: It is not what that writes.
    """
    mirror = None
    if "mirror" in document:
        pairs, differing, end = document["mirror"]
        mirror = Compared(pairs=int(pairs), differing=int(differing), end=instant(str(end)))
    return Quality(
        mirror=mirror,
        predictions=_score(document.get("predictions")),
        inputs=_score(document.get("inputs")),
    )


def _score(numbers: Sequence[Any] | None) -> Score | None:
    if numbers is None:
        return None
    milli, samples, significant, end = numbers
    return Score(
        milli=int(milli),
        samples=int(samples),
        significant=bool(significant),
        end=instant(str(end)),
    )

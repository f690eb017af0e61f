"""What is known of a model's answers beyond counts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A comparison of the candidate's distribution with the stable's of the same minutes.

    Attributes:
        milli: Population stability index in thousandths.
        samples: Rows of the candidate.
        significant: Whether it is more than chance.
        end: The end of the window.
    """

    milli: int
    samples: int
    significant: bool
    end: dt.datetime


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

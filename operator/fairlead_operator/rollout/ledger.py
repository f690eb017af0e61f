"""The evidence of a whole rollout, added up over its steps, in a form that status can hold.

A provider counts from a beginning of its own and gives the same window longer and longer. The
last one is kept apart and replaced, never added, so that a pass that was cut off and comes again
counts nothing twice. A window with a new beginning (a new step, another operator) closes the one
before: what lies between the two was not counted, and is missed rather than guessed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fairlead_operator.api.times import instant, write_instant
from fairlead_operator.rollout import quality as qualities
from fairlead_operator.rollout.quality import Quality
from fairlead_operator.stats.histogram import Histogram
from fairlead_operator.traffic.counts import STALE_AFTER_S, Counts, Window

if TYPE_CHECKING:
    from fairlead_operator.stats.eprocess import Events

_NUMBERS = (
    "requests",
    "errors",
    "client_errors",
    "predictions",
    "non_finite",
    "restarts",
    "oom_kills",
)


_NOTHING = Counts()
_UNKNOWN = Quality()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What both arms did."""

    control: Counts = _NOTHING
    candidate: Counts = _NOTHING

    def __add__(self, other: Sides) -> Sides:
        return Sides(
            control=self.control + other.control,
            candidate=self.candidate + other.candidate,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """Client errors under one pair of shares: what is compared with the control by its share."""

    control_share: int
    candidate_share: int
    control: int
    candidate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All evidence of a rollout.

    Attributes:
        closed: What was counted in windows that have ended.
        epochs: Client errors of those, by shares.
        requests: Requests of the candidate in the windows of this step that have ended.
        control_share: Slots of the control in this step.
        candidate_share: Slots, or basis points of copies, of the candidate in this step.
        begin: Where the open window begins.
        end: Where it ends: how old the evidence is.
        open: What was counted in it.
        unread: Pods that could not be read at its end.
        quality: Comparisons of answers, as known last.
        stale_after_s: How old the end may be; told with each window, and not stored.
        trouble: Why the last window could not be asked for; likewise.
    """

    closed: Sides = Sides()
    epochs: tuple[Epoch, ...] = ()
    requests: int = 0
    control_share: int = 0
    candidate_share: int = 0
    begin: dt.datetime | None = None
    end: dt.datetime | None = None
    open: Sides = Sides()
    unread: tuple[str, ...] = ()
    quality: Quality = _UNKNOWN
    stale_after_s: float = STALE_AFTER_S
    trouble: str = ""

    @property
    def all(self) -> Sides:
        """Everything that was counted."""
        return self.closed + self.open

    @property
    def step_requests(self) -> int:
        """Requests of the candidate in this step."""
        return self.requests + self.open.candidate.requests

    @property
    def events(self) -> list[Events]:
        """Client errors of both arms, by shares."""
        from fairlead_operator.stats.eprocess import Events

        rows = [*self.epochs, *self._epoch()]
        return [
            Events(
                control=row.control,
                treatment=row.candidate,
                control_share=row.control_share,
                treatment_share=row.candidate_share,
            )
            for row in rows
        ]

    def next(self, *, control_share: int, candidate_share: int) -> Ledger:
        """Return the ledger as a new step begins with it."""
        done = self._shut()
        return replace(
            done, requests=0, control_share=control_share, candidate_share=candidate_share
        )

    def read(self, window: Window, control: str, candidate: str, since: dt.datetime) -> Ledger:
        """Return the ledger with a window: the open one grown, or a new one.

        Args:
            window: What was counted.
            control: The stable's key.
            candidate: The candidate's key.
            since: Since when the shares are what they are; a window from before is left out, and
                so is one that overlaps with what was counted by somebody else.
        """
        left = replace(self, stale_after_s=window.stale_after_s, trouble=window.trouble)
        begin, end = _whole(window.begin), _whole(window.end)
        if begin < _whole(since) or (self.end is not None and end < self.end):
            return left
        sides = Sides(
            control=window.arms.get(control, _NOTHING),
            # What its pods say of themselves is among the arms, also while it only gets copies.
            candidate=window.arms.get(candidate, _NOTHING)
            + window.mirrored.get(candidate, _NOTHING),
        )
        known = left
        if self.begin != begin:
            if self.end is not None and begin < self.end:
                return left
            known = self._shut()
        return replace(
            known,
            begin=begin,
            end=end,
            open=sides,
            unread=tuple(window.unread[:5]),
            stale_after_s=window.stale_after_s,
            trouble=window.trouble,
        )

    def _shut(self) -> Ledger:
        return replace(
            self,
            closed=self.all,
            epochs=_merged((*self.epochs, *self._epoch())),
            requests=self.step_requests,
            begin=None,
            open=Sides(),
        )

    def _epoch(self) -> tuple[Epoch, ...]:
        if not (self.control_share and self.candidate_share):
            return ()
        return (
            Epoch(
                control_share=self.control_share,
                candidate_share=self.candidate_share,
                control=self.open.control.client_errors,
                candidate=self.open.candidate.client_errors,
            ),
        )


def to_json(ledger: Ledger) -> dict[str, Any]:
    """Write a ledger: integers, edges once, buckets that are empty not at all."""
    sides = {
        "closedControl": ledger.closed.control,
        "closedCandidate": ledger.closed.candidate,
        "openControl": ledger.open.control,
        "openCandidate": ledger.open.candidate,
    }
    edges = sorted({each.latency.edges for each in sides.values() if each.latency}, reverse=True)
    document: dict[str, Any] = {
        "requests": ledger.requests,
        "shares": [ledger.control_share, ledger.candidate_share],
        "epochs": [
            [row.control_share, row.candidate_share, row.control, row.candidate]
            for row in ledger.epochs
        ],
        # As text: the API has no floats, and these are read by nobody else.
        "edges": [" ".join(f"{edge:.12g}" for edge in each) for each in edges],
        **{name: _write(counts, edges) for name, counts in sides.items()},
    }
    if ledger.begin is not None:
        document["begin"] = write_instant(ledger.begin)
    if ledger.end is not None:
        document["end"] = write_instant(ledger.end)
    if ledger.unread:
        document["unread"] = list(ledger.unread)
    compared = qualities.to_json(ledger.quality)
    if compared:
        document["quality"] = compared
    return document


def from_json(document: Mapping[str, Any]) -> Ledger:
    """Read a ledger.

    Raises:
        KeyError, TypeError, ValueError: It is not what `to_json` writes.
    """
    edges = [tuple(float(edge) for edge in text.split()) for text in document["edges"]]

    def counts(name: str) -> Counts:
        return _read(document[name], edges)

    begin, end = document.get("begin"), document.get("end")
    return Ledger(
        closed=Sides(control=counts("closedControl"), candidate=counts("closedCandidate")),
        open=Sides(control=counts("openControl"), candidate=counts("openCandidate")),
        epochs=tuple(
            Epoch(control_share=a, candidate_share=b, control=c, candidate=d)
            for a, b, c, d in document["epochs"]
        ),
        requests=int(document["requests"]),
        control_share=int(document["shares"][0]),
        candidate_share=int(document["shares"][1]),
        begin=instant(begin) if begin else None,
        end=instant(end) if end else None,
        unread=tuple(map(str, document.get("unread") or ())),
        quality=qualities.from_json(document.get("quality") or {}),
    )


def _write(counts: Counts, edges: Sequence[tuple[float, ...]]) -> dict[str, Any]:
    document: dict[str, Any] = {"numbers": [getattr(counts, name) for name in _NUMBERS]}
    if counts.latency is not None:
        document["edges"] = edges.index(counts.latency.edges)
        filled = [(i, n) for i, n in enumerate(counts.latency.counts) if n]
        document["buckets"] = " ".join(f"{index}:{n}" for index, n in filled)
    return document


def _read(document: Mapping[str, Any], edges: Sequence[tuple[float, ...]]) -> Counts:
    numbers = map(int, document["numbers"])
    counts = Counts(
        requests=next(numbers),
        errors=next(numbers),
        client_errors=next(numbers),
        predictions=next(numbers),
        non_finite=next(numbers),
        restarts=next(numbers),
        oom_kills=next(numbers),
    )
    if "buckets" not in document:
        return counts
    own = edges[document["edges"]]
    filled = [0] * (len(own) + 1)
    for part in document["buckets"].split():
        index, n = part.split(":")
        filled[int(index)] = int(n)
    return replace(counts, latency=Histogram(edges=own, counts=tuple(filled)))


def _merged(epochs: Sequence[Epoch]) -> tuple[Epoch, ...]:
    """Return the epochs with equal shares added up, which bounds their number."""
    found: dict[tuple[int, int], Epoch] = {}
    for row in epochs:
        key = (row.control_share, row.candidate_share)
        known = found.get(key)
        found[key] = (
            row
            if known is None
            else replace(
                row, control=known.control + row.control, candidate=known.candidate + row.candidate
            )
        )
    return tuple(found.values())


def _whole(moment: dt.datetime) -> dt.datetime:
    """Return the instant as status will give it back."""
    return instant(write_instant(moment))

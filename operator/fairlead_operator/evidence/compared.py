"""Answers of two revisions to the same requests, joined by the request's id and compared.

The control's pods keep their answers to marked requests for a while, and so do the pods that got
the copies. Both are read every few seconds and overlap, so it is remembered up to where the
control's were compared; each is compared once.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fairlead_operator.evidence.scrape import Page, Scraper, Target
from fairlead_operator.traffic.counts import Differences
from fairlead_runtime.contract import names

UNMATCHED_AFTER_S = 10.0
"""So long after the control's answer the other's is given up."""
_LABELS = frozenset("iubO")


class AnswersError(ValueError):
    """A page that does not hold answers; the message says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one pod answered to a marked request.

    Attributes:
        seq: Its number in that pod, rising by 1.
        id: The request's id.
        age_s: How old it was when the pod was read, by the pod's own clock.
        outputs: Outputs by name: `kind` and `data` as the runtime writes them.
    """

    seq: int
    id: str
    age_s: float
    outputs: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The answers that one pod has kept.

    Attributes:
        pod: The pod's name.
        started: When its process began, in seconds since 1970 by its own clock.
        answers: The oldest first.
    """

    pod: str
    started: float
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was compared, and up to where.

    Attributes:
        begin: Since when.
        found: The differences.
        done: The process and the next number that is to be compared, by the control's pod.
    """

    begin: dt.datetime
    found: Differences = field(default_factory=Differences)
    done: Mapping[str, tuple[float, int]] = field(default_factory=dict)


def parse(pod: str, body: bytes) -> Kept:
    """Return the answers on a pod's page.

    Raises:
        AnswersError: It is none.
    """
    try:
        page = json.loads(body)
        now = float(page["now"])
        answers = tuple(
            Answer(
                seq=int(each["seq"]),
                id=str(each["id"]),
                age_s=now - float(each["time"]),
                outputs=dict(each["outputs"]),
            )
            for each in page["answers"]
        )
        return Kept(pod=pod, started=float(page["started"]), answers=answers)
    except (KeyError, TypeError, ValueError) as error:
        raise AnswersError(f"the answers of {pod} cannot be read: {error!r}") from error


def advance(
    known: Comparison,
    control: Sequence[Kept],
    other: Sequence[Kept],
    *,
    now: dt.datetime,
    tolerance_milli: int = 0,
) -> Comparison:
    """Return the comparison with what the pods have kept. Pure.

    Args:
        known: The comparison so far.
        control: The answers of the control's pods; a pod that could not be read is left out, and
            its answers wait.
        other: The answers of all ready pods that get copies. One that could not be read must not be
            left out quietly: its answers would be missed.
        now: When they were read.
        tolerance_milli: A number may differ by so many thousandths of 1, or of the control's
            number where that is larger.
    """
    answers: dict[str, list[Answer]] = {}
    for kept in other:
        for answer in kept.answers:
            answers.setdefault(answer.id, []).append(answer)
    often = Counter(answer.id for kept in control for answer in kept.answers)
    found, done = known.found, {}
    for kept in control:
        after = _next(known, kept, now)
        for answer in kept.answers:
            if answer.seq < after:
                continue
            partners = answers.get(answer.id, [])
            if not partners and answer.age_s < UNMATCHED_AFTER_S:
                break
            found += _judge(answer, partners, often[answer.id], tolerance_milli)
            after = answer.seq + 1
        done[kept.pod] = (kept.started, after)
    there = {kept.pod for kept in control}
    waiting = {pod: each for pod, each in known.done.items() if pod not in there}
    return replace(known, found=found, done={**waiting, **done})


async def read(
    known: Comparison,
    control: Sequence[Target],
    other: Sequence[Target],
    scraper: Scraper,
    *,
    tolerance_milli: int = 0,
) -> tuple[Comparison, tuple[str, ...]]:
    """Read both revisions' pods, and return the comparison and the pods that could not be read.

    Args:
        known: The comparison so far.
        control: Where the control's ready pods are; see `target`.
        other: Where the ready pods are that get copies.
        scraper: Who reads.
        tolerance_milli: As in `advance`.
    """
    pages = await scraper.read([*control, *other])
    kept: list[Kept | None] = []
    for target, page in zip((*control, *other), pages, strict=True):
        try:
            kept.append(parse(target.pod, page.body) if isinstance(page, Page) else None)
        except AnswersError:
            kept.append(None)
    unread = tuple(t.pod for t, each in zip((*control, *other), kept, strict=True) if each is None)
    mine = [each for each in kept[: len(control)] if each is not None]
    theirs = [each for each in kept[len(control) :] if each is not None]
    if len(theirs) < len(other) or not theirs:
        return known, unread
    now = dt.datetime.now(dt.UTC)
    grown = advance(known, mine, theirs, now=now, tolerance_milli=tolerance_milli)
    there = {target.pod for target in control}
    done = {pod: each for pod, each in grown.done.items() if pod in there}
    return replace(grown, done=done), unread


def target(pod: str, ip: str, port: int) -> Target:
    """Return where a pod shows its answers: on its metrics port."""
    return Target(pod=pod, ip=ip, port=port, path=names.COMPARED_PATH)


def _next(known: Comparison, kept: Kept, now: dt.datetime) -> int:
    """Return the number of a pod's first answer that is not compared yet."""
    started, number = known.done.get(kept.pod, (kept.started, None))
    if number is not None:
        return number if started == kept.started else 0
    # What was kept before the beginning is somebody else's comparison.
    oldest_s = (now - known.begin).total_seconds()
    younger = (each.seq for each in kept.answers if each.age_s <= oldest_s)
    last = kept.answers[-1].seq + 1 if kept.answers else 0
    return next(younger, last)


def _judge(answer: Answer, partners: Sequence[Answer], often: int, milli: int) -> Differences:
    if often > 1 or len(partners) > 1:
        return Differences(ambiguous=1)
    if not partners:
        return Differences(unmatched=1)
    return compare(answer.outputs, partners[0].outputs, tolerance_milli=milli)


def compare(
    mine: Mapping[str, Mapping[str, Any]],
    theirs: Mapping[str, Mapping[str, Any]],
    *,
    tolerance_milli: int = 0,
) -> Differences:
    """Return how two answers to the same request differ."""
    try:
        rows = _rows(mine, theirs, tolerance_milli)
    except _OtherShapeError:
        return Differences(pairs=1, mismatched=1)
    return Differences(
        pairs=1,
        rows=len(rows),
        differing_rows=sum(row.differs for row in rows),
        differing_labels=sum(row.label_differs for row in rows),
        largest=max((row.largest for row in rows), default=0.0),
    )


class _OtherShapeError(Exception):
    """Two answers that have not the same outputs, of the same shapes."""


class _Row:
    """How one row of two answers differs."""

    def __init__(self) -> None:
        self.differs = self.label_differs = False
        self.largest = 0.0

    def label(self, one: object, two: object) -> None:
        if one != two:
            self.differs = self.label_differs = True

    def number(self, one: object, two: object, milli: int) -> None:
        distance = _distance(one, two)
        scale = max(1.0, abs(one)) if isinstance(one, int | float) else 1.0
        self.largest = max(self.largest, distance)
        self.differs = self.differs or distance > milli / 1000 * scale


def _rows(
    mine: Mapping[str, Mapping[str, Any]], theirs: Mapping[str, Mapping[str, Any]], milli: int
) -> list[_Row]:
    if not mine or mine.keys() != theirs.keys():
        raise _OtherShapeError
    pairs = [(output, theirs[name]) for name, output in mine.items()]
    for one, two in pairs:
        if one.get("kind") != two.get("kind") or not isinstance(one.get("data"), list):
            raise _OtherShapeError
    lengths = {len(one["data"]) for one, _ in pairs}
    # Outputs of different lengths do not share their rows: then the answer is one row.
    shared = len(lengths) == 1
    rows = [_Row() for _ in range(lengths.pop() if shared else 1)]
    for one, two in pairs:
        label = one["kind"] in _LABELS
        for index, elements in enumerate(_side_by_side(one["data"], two.get("data"))):
            row = rows[index if shared else 0]
            for a, b in elements:
                if label:
                    row.label(a, b)
                else:
                    row.number(a, b, milli)
    return rows


def _side_by_side(one: object, two: object) -> Iterator[list[tuple[object, object]]]:
    """Return the elements of each row of two outputs."""
    if not isinstance(one, list) or not isinstance(two, list) or len(one) != len(two):
        raise _OtherShapeError
    for a, b in zip(one, two, strict=True):
        yield list(_elements(a, b))


def _elements(one: object, two: object) -> Iterator[tuple[object, object]]:
    if isinstance(one, dict) and isinstance(two, dict):
        if one.keys() != two.keys():
            raise _OtherShapeError
        one, two = list(one.values()), [two[key] for key in one]
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for a, b in zip(one, two, strict=True):
            yield from _elements(a, b)
    elif isinstance(one, list | dict) or isinstance(two, list | dict):
        raise _OtherShapeError
    else:
        yield one, two


def _distance(one: object, two: object) -> float:
    """Return how far two numbers are apart; null is what is not finite, and equals itself."""
    if isinstance(one, int | float) and isinstance(two, int | float):
        return abs(one - two)
    return 0.0 if one == two else math.inf

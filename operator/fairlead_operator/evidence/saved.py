"""A ledger as text for status, of a bounded size.

Another operator goes on with it, and what was counted while there was none is not lost: the pods
kept counting, and the ledger knows from where.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fairlead_operator.evidence.ledger import Ledger
from fairlead_operator.evidence.readings import Group, Reading
from fairlead_operator.stats.histogram import Histogram
from fairlead_operator.traffic.counts import Counts, coarser

Json = dict[str, Any]
MOST_BYTES = 4 << 20
"""Of a packed ledger, once it is unpacked; it has some hundred bytes for each pod."""
MOST_PODS = 64
"""Pods whose last reading is kept. Routers come first; what others count while no operator runs is
lost, as at the beginning."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)


def pack(ledger: Ledger) -> str:
    """Write a ledger as one line: in status each field of its own would cost a second time."""
    plain = json.dumps(to_json(ledger), separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(plain)).decode()


def unpack(text: str) -> Ledger | None:
    """Read a ledger; None where the text is not what `pack` writes, or of another version."""
    try:
        inflater = zlib.decompressobj()
        plain = inflater.decompress(base64.b64decode(text, validate=True), MOST_BYTES)
        return from_json(json.loads(plain))
    except (zlib.error, AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None


def to_json(ledger: Ledger, limits_ms: Sequence[float] | None = None) -> Json:
    """Write a ledger.

    Args:
        ledger: The ledger.
        limits_ms: Latency edges that are kept, if they are edges; None keeps all. Fewer edges make
            less to store, and a later limit between two of them cannot be judged exactly.
    """
    edges = _Edges(limits_ms)
    routers_first = sorted(ledger.seen.values(), key=lambda each: (each.arm != "", each.pod))
    kept = routers_first[:MOST_PODS]
    restarts = sorted(ledger.restarts.items())[:MOST_PODS]
    document: Json = {
        "begin": _milliseconds(ledger.begin),
        "end": _milliseconds(ledger.end),
        "arms": {key: _counts(each, edges) for key, each in sorted(ledger.arms.items())},
        "mirrored": {key: _counts(each, edges) for key, each in sorted(ledger.mirrored.items())},
        "served": {key: _counts(each, edges) for key, each in sorted(ledger.served.items())},
        "seen": {each.pod: _reading(each, edges) for each in kept},
        "restarts": dict(restarts),
        "unread": list(ledger.unread[:MOST_PODS]),
    }
    if len(routers_first) > len(kept) or len(ledger.restarts) > len(restarts):
        # Of those that are left out everything up to here is in the sums already.
        latest = max([ledger.end, *(each.at for each in routers_first)])
        document["young"] = _milliseconds(latest) + 1
    elif ledger.young is not None:
        document["young"] = _milliseconds(ledger.young)
    document["edges"] = edges.texts
    return document


def from_json(document: Mapping[str, Any]) -> Ledger:
    """Read a ledger.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: It is not what `to_json` writes.
    """
    edges = [tuple(float(edge) for edge in text.split()) for text in document["edges"]]
    return Ledger(
        begin=_instant(document["begin"]),
        end=_instant(document["end"]),
        arms={key: _read_counts(each, edges) for key, each in document["arms"].items()},
        mirrored={key: _read_counts(each, edges) for key, each in document["mirrored"].items()},
        served={key: _read_counts(each, edges) for key, each in document["served"].items()},
        seen={pod: _read_reading(pod, each, edges) for pod, each in document["seen"].items()},
        restarts={pod: int(times) for pod, times in document["restarts"].items()},
        unread=tuple(map(str, document["unread"])),
        young=_instant(document["young"]) if "young" in document else None,
    )


class _Edges:
    """The edges of all histograms of a document, each list once."""

    def __init__(self, limits_ms: Sequence[float] | None) -> None:
        self._limits = None if limits_ms is None else {float(each) for each in limits_ms}
        self._index: dict[tuple[float, ...], int] = {}

    @property
    def texts(self) -> list[str]:
        """The lists, as text: the API has no floats, and nobody else reads them."""
        return [" ".join(repr(edge) for edge in edges) for edges in self._index]

    def write(self, histogram: Histogram) -> Json:
        """Write a histogram: where its edges are, and the buckets that are not empty."""
        if self._limits is not None:
            kept = tuple(edge for edge in histogram.edges if edge in self._limits)
            histogram = coarser(histogram, kept)
        index = self._index.setdefault(histogram.edges, len(self._index))
        filled = (f"{at}:{count}" for at, count in enumerate(histogram.counts) if count)
        return {"edges": index, "buckets": " ".join(filled)}


def _counts(counts: Counts, edges: _Edges) -> Json:
    document: Json = {name: n for name, n in asdict(counts).items() if name != "latency" and n}
    if counts.latency is not None:
        document["latency"] = edges.write(counts.latency)
    return document


def _read_counts(document: Mapping[str, Any], edges: Sequence[tuple[float, ...]]) -> Counts:
    numbers = {name: int(n) for name, n in document.items() if name != "latency"}
    return Counts(latency=_read_histogram(document.get("latency"), edges), **numbers)


def _reading(reading: Reading, edges: _Edges) -> Json:
    groups: Json = {}
    for name, group in sorted(reading.groups.items()):
        written: Json = {each: n for each, n in group.numbers.items() if n}
        if group.latency is not None:
            written["latency"] = edges.write(group.latency)
        groups[name] = written
    return {
        "at": _milliseconds(reading.at),
        "started": _milliseconds(reading.started),
        "arm": reading.arm,
        "groups": groups,
    }


def _read_reading(
    pod: str, document: Mapping[str, Any], edges: Sequence[tuple[float, ...]]
) -> Reading:
    groups = {}
    for name, group in document["groups"].items():
        numbers = {each: int(n) for each, n in group.items() if each != "latency"}
        latency = _read_histogram(group.get("latency"), edges)
        groups[name] = Group(numbers=numbers, latency=latency)
    return Reading(
        pod=pod,
        at=_instant(document["at"]),
        started=_instant(document["started"]),
        arm=str(document["arm"]),
        groups=groups,
    )


def _read_histogram(
    document: Mapping[str, Any] | None, edges: Sequence[tuple[float, ...]]
) -> Histogram | None:
    if document is None:
        return None
    own = edges[document["edges"]]
    filled = [0] * (len(own) + 1)
    for part in document["buckets"].split():
        at, count = part.split(":")
        filled[int(at)] = int(count)
    return Histogram(own, tuple(filled))


def _milliseconds(moment: dt.datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _instant(milliseconds: int) -> dt.datetime:
    return _EPOCH + milliseconds * _MILLISECOND

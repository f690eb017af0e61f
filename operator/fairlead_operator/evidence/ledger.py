"""Counts added up from reading to reading, over pods that restart, are replaced or cannot be read.

Pure. Nothing is ever counted that did not happen after the beginning; lost is at most what a
process counted after the last reading of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fairlead_operator.evidence import meaning
from fairlead_operator.evidence.readings import Group, Life, Reading
from fairlead_operator.traffic.counts import Counts, Window

RESTARTED_AFTER = dt.timedelta(seconds=5)
"""A process that began later than the known one by more than this is another one. A router tells
its age in whole seconds, and how long the question took is not known."""
_NOTHING = Counts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What was counted since an instant, and what it was counted from.

    Attributes:
        begin: Since when.
        end: The oldest of the last readings of the pods that are to be read.
        arms: What was counted of users' requests, by the arm's key.
        mirrored: The same of copies.
        served: What model pods say of themselves.
        seen: The last reading of each pod.
        restarts: Restarts of each model pod's containers, as last seen.
        unread: Pods that were to be read and could not be.
        trouble: Why nobody could be read, where the counts are asked for elsewhere.
        young: A pod that is not in `seen` is counted from its process' beginning where that is no
            older; None is `begin`. Of a ledger that was stored without some pods it is later.
    """

    begin: dt.datetime
    end: dt.datetime
    arms: Mapping[str, Counts] = field(default_factory=dict)
    mirrored: Mapping[str, Counts] = field(default_factory=dict)
    served: Mapping[str, Counts] = field(default_factory=dict)
    seen: Mapping[str, Reading] = field(default_factory=dict)
    restarts: Mapping[str, int] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    trouble: str = ""
    young: dt.datetime | None = None

    def advance(
        self,
        readings: Sequence[Reading],
        lives: Sequence[Life],
        *,
        keys: Sequence[str],
        pods: Iterable[str],
        needed: Iterable[str],
    ) -> Ledger:
        """Return the ledger with new readings.

        Args:
            readings: What could be read.
            lives: What the cluster says about the model pods.
            keys: The arms' keys that are counted; the first is the control's.
            pods: All pods that exist: what is known of others is forgotten, but not their counts.
            needed: Those of them that should have been read, being ready.
        """
        sums = _Sums(self)
        for reading in readings:
            for name, grown in self._grown(reading).items():
                sums.add(reading, name, grown, keys)
        restarts = dict(self.restarts)
        for life in lives:
            sums.restarted(life, self._restarted(life), keys)
            restarts[life.pod] = max(life.restarts, restarts.get(life.pod, 0))
        seen = {**self.seen, **{each.pod: each for each in readings}}
        there = set(pods)
        wanted = [*needed]
        read = {each.pod for each in readings}
        last = [seen[pod].at if pod in seen else self.begin for pod in wanted]
        return replace(
            self,
            end=max(self.begin, min(last)) if last else self.end,
            arms=sums.arms,
            mirrored=sums.mirrored,
            served=sums.served,
            seen={pod: each for pod, each in seen.items() if pod in there},
            restarts={pod: n for pod, n in restarts.items() if pod in there},
            unread=tuple(sorted(pod for pod in wanted if pod not in read)),
        )

    def again(self) -> Ledger:
        """Return a ledger that begins where this one ends, with what it knows of the pods."""
        return replace(self, begin=self.end, arms={}, mirrored={}, served={})

    def window(self) -> Window:
        """Return what was counted, for whoever judges."""
        return Window(
            begin=self.begin,
            end=self.end,
            arms=_bounded(self.arms),
            mirrored=_bounded(self.mirrored),
            served=_bounded(self.served),
            unread=self.unread,
            trouble=self.trouble,
        )

    def _grown(self, reading: Reading) -> dict[str, Group]:
        """Return how much each group of a pod's counters grew; nothing where nobody can tell."""
        known = self.seen.get(reading.pod)
        if known is None:
            # What a pod counted before the beginning is not known; a younger one counted nothing.
            return dict(reading.groups) if reading.started >= self._young else {}
        anew = reading.started - known.started > RESTARTED_AFTER
        grown = {}
        for name, group in reading.groups.items():
            before = None if anew else known.groups.get(name)
            since = None if before is None else group.since(before)
            grown[name] = group if since is None else since
        return grown

    def _restarted(self, life: Life) -> int:
        known = self.restarts.get(life.pod)
        if known is None:
            known = 0 if life.created >= self._young else life.restarts
        return max(0, life.restarts - known)

    @property
    def _young(self) -> dt.datetime:
        return max(self.begin, self.young or self.begin)


class _Sums:
    """Counts of a ledger while it grows."""

    def __init__(self, ledger: Ledger) -> None:
        self.arms, self.mirrored = dict(ledger.arms), dict(ledger.mirrored)
        self.served = dict(ledger.served)

    def add(self, reading: Reading, name: str, grown: Group, keys: Sequence[str]) -> None:
        if reading.arm:
            judged, served = meaning.of_model(grown)
            _into(self.arms, reading.arm, judged, keys)
            _into(self.served, reading.arm, served, keys)
            return
        whose = meaning.cluster(name)
        if whose is not None:
            counts = meaning.of_router(whose, grown, control=whose.arm in keys[:1])
            _into(self.mirrored if whose.mirror else self.arms, whose.arm, counts, keys)

    def restarted(self, life: Life, times: int, keys: Sequence[str]) -> None:
        # The cluster tells how the last container ended only, so that of several one is counted.
        killed = 1 if times and life.out_of_memory else 0
        _into(self.arms, life.arm, Counts(restarts=times, oom_kills=killed), keys)


def _into(sums: dict[str, Counts], key: str, counts: Counts, keys: Sequence[str]) -> None:
    if key in keys:
        sums[key] = sums.get(key, _NOTHING) + counts


def _bounded(counts: Mapping[str, Counts]) -> dict[str, Counts]:
    """Return counts in which no part is more than its whole.

    Envoy counts a gRPC call's status when it ends and its HTTP status when it begins, so that a
    call in flight at the beginning is an error without a request.
    """
    return {key: _clamped(each) for key, each in counts.items()}


def _clamped(counts: Counts) -> Counts:
    errors = min(counts.errors, counts.requests)
    client_errors = min(counts.client_errors, counts.requests - errors)
    return replace(counts, errors=errors, client_errors=client_errors)


def new(begin: dt.datetime) -> Ledger:
    """Return an empty ledger that counts from an instant on."""
    return Ledger(begin=begin, end=begin)

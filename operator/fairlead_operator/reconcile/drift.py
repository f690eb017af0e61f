"""Reads what the pods have counted of drift, once a minute, and remembers the looks."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fairlead_operator.evidence import drift as pages
from fairlead_operator.evidence.drift import Told
from fairlead_operator.evidence.scrape import Scraper, Target
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.errors import KubeError
from fairlead_operator.kube.kinds import POD
from fairlead_operator.planning import names
from fairlead_operator.reconcile.looking import Looked, forget
from fairlead_operator.rollout.drift import DriftView
from fairlead_operator.rollout.quality import Quality
from fairlead_operator.rollout.revision import Revision, State
from fairlead_operator.rollout.snapshot import Snapshot
from fairlead_operator.stats.drift_rules import DEFAULT, Rules

if TYPE_CHECKING:
    from fairlead_runtime.contract.drift_report import Report

READ_EVERY_S = 50.0
"""What a replica counts after its last reading goes with it: less than a sub-window, a minute."""
READ_IN_SPLIT_S = 5.0
"""While a rollout is judged: what a candidate is fed wrongly should not go on for a minute."""
READ_GOING_S = 5.0
"""While pods go that still answer."""
_MOST_DOUBLINGS = 4
_LOOKS = 100
"""A rollout's windows slide by the minute, so each minute is a test of its own, which may be looked
at as it grows: alpha is shared by so many."""
ReadDrift = Callable[[Sequence[Target]], Awaitable[tuple[Told, ...]]]
"""Asks pods for their counts; one that cannot be asked is in the answer all the same."""


def reader(scraper: Scraper) -> ReadDrift:
    """Return how pods are asked."""

    async def read(wanted: Sequence[Target]) -> tuple[Told, ...]:
        return await pages.read(scraper, wanted)

    return read


@dataclass(slots=True)
class _Known(Looked):
    """What is remembered of one revision.

    Attributes:
        view: What its pods have told.
        none: Whether they have no profile.
        quality: The last comparison with another revision.
        silent: Readings in a row of which nothing came.
        wanted: Its replicas at the last pass.
        ready: Those that were ready.
        going: Whether pods of it are about to go.
    """

    view: DriftView | None = None
    none: bool = False
    quality: Quality | None = None
    silent: int = 0
    wanted: int = 0
    ready: int = 0
    going: bool = False

    @property
    def every_s(self) -> float:
        """How often pods are asked: seldom while none has ever told anything."""
        if self.going:
            return READ_GOING_S
        return READ_EVERY_S * (1 << min(self.silent, _MOST_DOUBLINGS))

    @property
    def shown(self) -> DriftView | None:
        """The view, once there is something in it."""
        if self.none or self.view is None:
            return None
        return self.view if self.view.refused or self.view.watch.profile else None


class DriftKeeper:
    """Remembers the drift of revisions; what it forgets with the process is counted again.

    A revision whose pods have no inner port costs nothing, one without a profile a single reading,
    and another where more of its pods are ready than before.
    """

    def __init__(self, cluster: Cluster, read: ReadDrift | None) -> None:
        self._cluster, self._read = cluster, read
        self._known: dict[tuple[str, str], _Known] = {}

    async def observe(
        self, snapshot: Snapshot, revision: Revision | None, now: dt.datetime
    ) -> DriftView | None:
        """Return what is known of the drift of the revision that has the address.

        Args:
            snapshot: What exists.
            revision: The revision; None where none has the address.
            now: The instant of the pass.

        Returns:
            None where nothing is counted. Where pods cannot be listed or read, what was known.
        """
        if self._read is None or revision is None or not _has_port(snapshot, revision):
            return None
        key = (str(snapshot.resource["metadata"]["uid"]), revision.hash)
        known = self._known.setdefault(key, _Known())
        known.used_at = now
        wanted, ready = snapshot.replicas(revision)
        fewer, more = wanted < known.wanted, ready > known.ready
        known.wanted, known.ready = wanted, ready
        if known.none and not more:
            return None
        known.none = False  # a pod that has come may have found a profile beside the model
        if fewer:  # some are about to go, with what they have counted
            known.read_at = None
        if known.due(now, known.every_s):
            with contextlib.suppress(KubeError):  # drift must not hold up a pass
                pods = await self._pods(snapshot, revision)
                known.going = fewer or pages.going(pods)
                _learn(known, await self._read(pages.targets(pods)), snapshot.drift, now)
            forget(self._known, now)
        return known.shown

    def wait_s(
        self, snapshot: Snapshot, revision: Revision | None, now: dt.datetime
    ) -> float | None:
        """Return when to look again; None where nothing is counted."""
        if revision is None:
            return None
        known = self._known.get((str(snapshot.resource["metadata"]["uid"]), revision.hash))
        return None if known is None or known.none else known.wait_s(now, known.every_s)

    async def compared(self, snapshot: Snapshot, now: dt.datetime) -> Snapshot:
        """Return the snapshot of a rollout that is judged, with both revisions' counts compared.

        Nobody is asked unless both revisions' pods have an inner port, and seldom where one of
        them has no profile. Where pods cannot be listed or read, the last comparison stays for the
        gates to judge.
        """
        if self._read is None or snapshot.evidence is None:
            return snapshot
        stable = next((r for r in snapshot.revisions if r.state is State.ACTIVE), None)
        candidate = next((r for r in snapshot.revisions if r.hash == snapshot.recognised), None)
        if stable is None or candidate is None or stable is candidate:
            return snapshot
        if not (_has_port(snapshot, stable) and _has_port(snapshot, candidate)):
            return snapshot
        key = (str(snapshot.resource["metadata"]["uid"]), f"{stable.hash} {candidate.hash}")
        known = self._known.setdefault(key, _Known())
        if known.due(now, READ_EVERY_S if known.none else READ_IN_SPLIT_S):
            with contextlib.suppress(KubeError):
                # Both at the same moment: minutes that are not over yet are compared as well.
                sides = await asyncio.gather(
                    self._told(self._read, snapshot, stable),
                    self._told(self._read, snapshot, candidate),
                )
                known.none = any(_nothing(side) for side in sides)
                reports = [[each.report for each in side if each.report] for side in sides]
                known.quality = _quality(*reports, alpha=snapshot.plan.limits.alpha / _LOOKS)
        if known.quality is None:
            return snapshot
        before = snapshot.quality or Quality()
        found = replace(before, inputs=known.quality.inputs, predictions=known.quality.predictions)
        return replace(snapshot, quality=found)

    async def _told(
        self, read: ReadDrift, snapshot: Snapshot, revision: Revision
    ) -> tuple[Told, ...]:
        return await read(pages.targets(await self._pods(snapshot, revision)))

    async def _pods(self, snapshot: Snapshot, revision: Revision) -> list[dict[str, Any]]:
        selector = names.selector(snapshot.name, revision.hash)
        return await self._cluster.list(
            POD,
            snapshot.resource["metadata"]["namespace"],
            labels=",".join(f"{label}={value}" for label, value in selector.items()),
        )


def _learn(known: _Known, told: Sequence[Told], rules: Rules, now: dt.datetime) -> None:
    if _nothing(told):
        known.none = True
        return
    heard = any(each.report is not None or each.reason == "ProfileRefused" for each in told)
    if not heard and known.view is None:
        known.silent += 1
        return
    known.silent = 0
    known.view = judged(known.view, told, now, rules)


def judged(
    known: DriftView | None, told: Sequence[Told], now: dt.datetime, rules: Rules = DEFAULT
) -> DriftView:
    """Return what is known after pods have been read."""
    from fairlead_operator.stats import drift_watch
    from fairlead_runtime.contract.drift_counts import MergeError

    view = replace(known or DriftView(watch=drift_watch.Watch()), rules=rules)
    refused = next((each.message for each in told if each.reason == "ProfileRefused"), "")
    reports = [each.report for each in told if each.report is not None]
    if not reports:
        return replace(view, refused=refused or view.refused)
    try:
        watch = drift_watch.take(view.watch, reports, now.timestamp())
        if drift_watch.due(watch, rules):
            watch = drift_watch.look(watch, reports[0].features, rules)
    except MergeError as error:
        return replace(view, refused=str(error), replicas=len(reports))
    return DriftView(watch=watch, replicas=len(reports), refused=refused, rules=rules)


def _nothing(told: Sequence[Told]) -> bool:
    """Whether pods were asked, and none of them has a profile."""
    return bool(told) and all(each.reason == "NoProfile" for each in told)


def _quality(
    stable: Sequence[Report], candidate: Sequence[Report], *, alpha: float
) -> Quality | None:
    from fairlead_operator.rollout.drift_gate import compared
    from fairlead_runtime.contract.drift_counts import MergeError

    try:
        return compared(Quality(), stable, candidate, alpha=alpha)
    except MergeError:  # a revision's pods with different profiles: no evidence
        return None


def _has_port(snapshot: Snapshot, revision: Revision) -> bool:
    deployment: Mapping[str, Any] = (
        snapshot.children.get(("Deployment", revision.child_name(snapshot.name))) or {}
    )
    template = (deployment.get("spec") or {}).get("template") or {}
    return pages.inner_port(template.get("spec") or {}) is not None

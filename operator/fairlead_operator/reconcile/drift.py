"""Reads what the pods have counted of drift, once a minute, and remembers the looks."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fairlead_operator.evidence import drift as pages
from fairlead_operator.evidence.drift import Told
from fairlead_operator.evidence.scrape import Scraper, Target
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.errors import KubeError
from fairlead_operator.kube.kinds import POD
from fairlead_operator.planning import names
from fairlead_operator.rollout.drift import DriftView
from fairlead_operator.rollout.revision import Revision
from fairlead_operator.rollout.snapshot import Snapshot

READ_EVERY_S = 60.0
_FORGET_AFTER_S = 3600.0
ReadDrift = Callable[[Sequence[Target]], Awaitable[tuple[Told, ...]]]
"""Asks pods for their counts; one that cannot be asked is in the answer all the same."""


def reader(scraper: Scraper) -> ReadDrift:
    """Return how pods are asked."""

    async def read(wanted: Sequence[Target]) -> tuple[Told, ...]:
        return await pages.read(scraper, wanted)

    return read


@dataclass(slots=True)
class _Known:
    """What is remembered of one revision."""

    view: DriftView | None = None
    read_at: dt.datetime | None = None
    none: bool = False
    used_at: dt.datetime | None = None

    @property
    def shown(self) -> DriftView | None:
        """The view, once there is something in it."""
        if self.none or self.view is None:
            return None
        return self.view if self.view.refused or self.view.watch.profile else None


class DriftKeeper:
    """Remembers the drift of revisions; what it forgets with the process is counted again.

    A revision whose pods have no inner port costs nothing, one without a profile a single reading.
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
        if known.none:
            return None
        if known.read_at is None or (now - known.read_at).total_seconds() >= READ_EVERY_S:
            known.read_at = now
            with contextlib.suppress(KubeError):  # drift must not hold up a pass
                await self._ask(known, self._read, snapshot, revision)
            self._forget(now)
        return known.shown

    def wait_s(
        self, snapshot: Snapshot, revision: Revision | None, now: dt.datetime
    ) -> float | None:
        """Return when to look again; None where nothing is counted."""
        if revision is None:
            return None
        known = self._known.get((str(snapshot.resource["metadata"]["uid"]), revision.hash))
        if known is None or known.none or known.read_at is None:
            return None
        return max(1.0, READ_EVERY_S - (now - known.read_at).total_seconds())

    async def _ask(
        self, known: _Known, read: ReadDrift, snapshot: Snapshot, revision: Revision
    ) -> None:
        selector = names.selector(snapshot.name, revision.hash)
        pods = await self._cluster.list(
            POD,
            snapshot.resource["metadata"]["namespace"],
            labels=",".join(f"{label}={value}" for label, value in selector.items()),
        )
        told = await read(pages.targets(pods))
        if told and all(each.reason == "NoProfile" for each in told):
            known.none = True
            return
        known.view = judged(known.view, told)

    def _forget(self, now: dt.datetime) -> None:
        for key, known in list(self._known.items()):
            if known.used_at and (now - known.used_at).total_seconds() > _FORGET_AFTER_S:
                del self._known[key]


def judged(known: DriftView | None, told: Sequence[Told]) -> DriftView:
    """Return what is known after pods have been read."""
    from fairlead_operator.stats import drift_watch
    from fairlead_runtime.contract.drift_counts import MergeError

    view = known or DriftView(watch=drift_watch.Watch())
    refused = next((each.message for each in told if each.reason == "ProfileRefused"), "")
    reports = [each.report for each in told if each.report is not None]
    if not reports:
        return replace(view, refused=refused or view.refused)
    try:
        watch = drift_watch.take(view.watch, reports)
        if drift_watch.due(watch):
            watch = drift_watch.look(watch, reports[0].features)
    except MergeError as error:
        return replace(view, refused=str(error), replicas=len(reports))
    return DriftView(watch=watch, replicas=len(reports), refused=refused)


def _has_port(snapshot: Snapshot, revision: Revision) -> bool:
    deployment: Mapping[str, Any] = (
        snapshot.children.get(("Deployment", revision.child_name(snapshot.name))) or {}
    )
    template = (deployment.get("spec") or {}).get("template") or {}
    return pages.inner_port(template.get("spec") or {}) is not None

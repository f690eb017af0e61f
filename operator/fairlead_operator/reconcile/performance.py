"""Reads from the recorder how often a model was right, once a minute, and judges it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fairlead_operator.evidence.recorder import Recorder, RecorderError
from fairlead_operator.planning import names
from fairlead_operator.reconcile.looking import Looked, forget
from fairlead_operator.rollout.performance import PerformanceView
from fairlead_operator.rollout.revision import Revision
from fairlead_operator.rollout.snapshot import Snapshot

if TYPE_CHECKING:
    from fairlead_operator.stats.performance import Window

READ_EVERY_S = 60.0
_REGISTER_EVERY_S = 3600.0


@dataclass(slots=True)
class _Known(Looked):
    """What is remembered of one revision; the recorder has all of it."""

    windows: dict[int, Window] = field(default_factory=dict)
    view: PerformanceView | None = None
    registered_at: dt.datetime | None = None
    registration: Mapping[str, Any] = field(default_factory=dict)


class PerformanceKeeper:
    """Remembers the windows that are over, so that only new ones are read.

    A ModelDeployment without `spec.performance` costs nothing.
    """

    def __init__(self, recorder: Recorder | None) -> None:
        self._recorder = recorder
        self._known: dict[tuple[str, str], _Known] = {}

    async def observe(
        self, snapshot: Snapshot, revision: Revision | None, now: dt.datetime
    ) -> PerformanceView | None:
        """Return what is known of the performance of the revision that has the address.

        Args:
            snapshot: What exists.
            revision: The revision; None where none has the address.
            now: The instant of the pass.

        Returns:
            None where nobody asked for it. Where the recorder cannot be asked, what was known, or
            why nothing is.
        """
        if snapshot.performance is None or self._recorder is None or revision is None:
            return None
        if not revision.runtime.get("recordPredictionsPercent"):
            return PerformanceView(revision=names.short(revision.hash), recorded=False)
        key = (str(snapshot.resource["metadata"]["uid"]), revision.hash)
        known = self._known.setdefault(key, _Known())
        if known.due(now, READ_EVERY_S):
            try:
                await self._ask(self._recorder, known, snapshot, revision, now)
            except (RecorderError, KeyError, TypeError, ValueError) as error:
                # What was judged stays judged; outcomes wait in the recorder.
                if known.view is None or known.view.finding is None:
                    why = f"the recorder cannot be asked: {error}"
                    known.view = PerformanceView(
                        revision=names.short(revision.hash), unavailable=why
                    )
            forget(self._known, now)
        return known.view

    def wait_s(
        self, snapshot: Snapshot, revision: Revision | None, now: dt.datetime
    ) -> float | None:
        """Return when to look again; None where nothing is judged."""
        if snapshot.performance is None or self._recorder is None or revision is None:
            return None
        known = self._known.get((str(snapshot.resource["metadata"]["uid"]), revision.hash))
        return None if known is None else known.wait_s(now, READ_EVERY_S)

    async def _ask(
        self,
        recorder: Recorder,
        known: _Known,
        snapshot: Snapshot,
        revision: Revision,
        now: dt.datetime,
    ) -> None:
        from fairlead_operator.stats import performance

        if snapshot.performance is None:
            return
        meta = snapshot.resource["metadata"]
        where = (str(meta["namespace"]), str(meta["name"]))
        registration = {"uid": str(meta["uid"]), **snapshot.performance.registration}
        if known.registration != registration:
            known.windows.clear()  # it begins anew: it answers another question
        due = known.registered_at is None or (
            (now - known.registered_at).total_seconds() >= _REGISTER_EVERY_S
        )
        if due or known.registration != registration:
            await recorder.register_model(*where, registration)
            known.registered_at, known.registration = now, registration
        # The newest may have grown since; what is before it never changes.
        document = await recorder.performance(*where, since=max(known.windows, default=0))
        if document["uid"] != registration["uid"]:
            raise RecorderError("it knows another ModelDeployment of this name")
        short = names.short(revision.hash)
        for each in dict(document["revisions"]).get(short, ()):
            start = int(each["start"])
            known.windows[start] = performance.Window(
                start_s=float(start),
                count=int(each["outcomes"]),
                errors=int(each["errors"]),
                distance=float(each["distance"]),
            )
        ordered = [known.windows[start] for start in sorted(known.windows)]
        finding = performance.judge(ordered, snapshot.performance.rules)
        known.view = PerformanceView(revision=short, finding=finding)

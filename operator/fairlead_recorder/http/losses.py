"""Exposures that came and could not be written: counted until they can be noted as a gap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from fairlead_recorder.store import experiments, gaps, sums
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.gaps import Gap

_MOST = 1_000
Lost = tuple[Counter[str], int]
"""How many by the experiment's UID, and since when."""


class Losses:
    """What was lost since something was written last."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._since = 0

    def add(self, counts: Mapping[str, int], since: int) -> None:
        """Note losses."""
        self._since = min(self._since or since, since)
        for uid, number in counts.items():
            if uid in self._counts or len(self._counts) < _MOST:
                self._counts[uid] += number

    def take(self) -> Lost:
        """Return what has to be written with the next change."""
        taken = self._counts, self._since
        self._counts, self._since = Counter(), 0
        return taken

    def give_back(self, lost: Lost) -> None:
        """Take back what was not written after all."""
        counts, since = lost
        if counts:
            self.add(counts, since)

    @staticmethod
    def write(session: Session, lost: Lost, now: int) -> None:
        """Write losses as a gap, and count them for their experiments."""
        counts, since = lost
        if not counts:
            return
        gaps.note(session, Gap(since, now, "refused"))
        for uid, number in sorted(counts.items()):
            experiment = experiments.of_uid(session, uid)
            if experiment is not None:
                sums.count(session, experiment.id, "lost", number)

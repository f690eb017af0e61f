"""What is done from time to time: heartbeats, units that leave, snapshots, data that expires."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from fairlead_recorder.http.recorder import Recorder, now
from fairlead_recorder.store import (
    departures,
    experiments,
    forgetting,
    gaps,
    pairs,
    snapshots,
    summary,
)
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.errors import StoreError
from fairlead_recorder.store.events import MICROSECONDS

log = logging.getLogger(__name__)
_BEAT_S = 2.0
_SNAPSHOT_S = 15.0
_EXPIRE_S = 600.0
_PAUSE_S = 0.02


class Upkeep:
    """Background work; each part is a small change like any other."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._begun = False

    async def run(self) -> None:
        """Work until cancelled."""
        await asyncio.gather(
            self._beat(),
            self._repeat(departures.advance, _BEAT_S),
            self._repeat(self._expire, _EXPIRE_S),
            self._snapshots(),
        )

    async def _beat(self) -> None:
        while True:
            try:
                await self._recorder.write(self._begin if not self._begun else self._go_on)
                if not self._begun:
                    log.info("the database takes events")
                self._begun = True
                self._recorder.beaten = time.monotonic()
            except StoreError as error:
                log.warning("the database takes nothing: %s", error)
            await asyncio.sleep(_BEAT_S)

    def _begin(self, session: Session) -> None:
        gap = gaps.started(session, now(), self._recorder.settings.replica)
        if gap is not None:
            lasted = (gap.ended - gap.started) / MICROSECONDS
            self._recorder.metrics.gaps.inc(lasted)
            log.info("exposures of the last %.1f s are lost", lasted)

    def _go_on(self, session: Session) -> None:
        gaps.beat(session, now(), self._recorder.settings.replica)

    async def _repeat(self, part: Callable[[Session], bool], every_s: float) -> None:
        """Call a part until it says that nothing is left, again and again."""
        while True:
            try:
                more = await self._recorder.write(part, 1_000)
            except StoreError:
                more = False
            await asyncio.sleep(_PAUSE_S if more else every_s)

    def _expire(self, session: Session) -> bool:
        before = now() - int(self._recorder.settings.retention_s * MICROSECONDS)
        return forgetting.expire(session, before) or pairs.expire(session, now(), before)

    async def _snapshots(self) -> None:
        while True:
            try:
                for one in await self._recorder.read(experiments.listed):
                    if one.ended is None:
                        await self._snapshot(one.definition.uid)
            except StoreError:
                pass  # the heartbeat says so
            await asyncio.sleep(_SNAPSHOT_S)

    async def _snapshot(self, uid: str) -> None:
        at = now()

        def change(session: Session) -> None:
            experiment = experiments.of_uid(session, uid)
            if experiment is not None:
                snapshots.take(
                    session,
                    experiment,
                    at,
                    lambda: snapshots.encode(summary.read(session, experiment, at).epochs),
                )

        await self._recorder.write(change)

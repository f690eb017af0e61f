"""`POST /v1/logs` of routers: each entry is an exposure, or is counted as what it is instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from aiohttp import web

from fairlead_recorder.http import otlp
from fairlead_recorder.http.errors import RefusedError
from fairlead_recorder.http.losses import Losses
from fairlead_recorder.http.recorder import Recorder, now
from fairlead_recorder.http.wire import LONGEST_UNIT
from fairlead_recorder.store import experiments, exposures, sums
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.errors import StoreError
from fairlead_recorder.store.events import Exposure
from fairlead_recorder.store.experiments import Experiment

_TYPE = "application/x-protobuf"
_MOST_EXPERIMENTS = 1_000


class Ingest:
    """Takes exposures."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._losses = Losses()

    async def logs(self, request: web.Request) -> web.Response:
        """Answer when all exposures of the request are durable.

        The router counts what is not answered with 200 as dropped, and sends it no more: so what is
        lost is counted at both ends.
        """
        if request.content_type != _TYPE:
            raise RefusedError(415, f"send {_TYPE}")
        try:
            found = otlp.entries(await request.read())
        except ValueError as error:
            raise RefusedError(400, str(error)) from error
        came = now()
        lost = self._losses.take()
        rows = sum(len(entries) for entries in found.values())

        def change(session: Session) -> Counter[str]:
            self._losses.write(session, lost, came)
            counted: Counter[str] = Counter()
            for uid, entries in list(found.items())[:_MOST_EXPERIMENTS]:
                counted.update(record(session, uid, entries))
            return counted

        try:
            counted = await self._recorder.write(change, rows)
        except StoreError:
            self._losses.give_back(lost)
            self._losses.add({uid: len(entries) for uid, entries in found.items()}, came)
            self._recorder.metrics.exposures.labels("lost").inc(rows)
            raise
        for result, number in counted.items():
            self._recorder.metrics.exposures.labels(result).inc(number)
        return web.Response(body=b"", content_type=_TYPE)


def record(session: Session, uid: str, entries: Sequence[otlp.Entry]) -> Counter[str]:
    """Record entries of one experiment and return what they were."""
    experiment = experiments.of_uid(session, uid)
    if experiment is None or experiment.ended is not None:
        return Counter(unknown=len(entries))
    counted: Counter[str] = Counter()
    taken: list[Exposure] = []
    for entry in entries:
        verdict = exposure(experiment, entry)
        if isinstance(verdict, Exposure):
            taken.append(verdict)
        else:
            counted[verdict] += 1
    for name, counter in (("fallback", "fallbacks"), ("refused", "refused")):
        if counted[name]:
            sums.count(session, experiment.id, counter, counted[name])
    if taken:
        seen = exposures.record(session, experiment, taken)
        counted["new"], counted["again"] = seen.new, seen.again
    return counted


def exposure(experiment: Experiment, entry: otlp.Entry) -> Exposure | str:
    """Return the exposure that an entry is, or `fallback` or `refused`."""
    if entry.unit is None:
        return "refused"
    salt, _, user = entry.unit.partition(f"{experiment.definition.salt}:")
    if salt or not user or len(user) > LONGEST_UNIT or entry.epoch < 0:
        return "refused"
    if any(ord(character) < 32 or ord(character) == 127 for character in user):
        return "refused"
    if entry.variant not in experiment.variants:
        # No pod answered: there was nothing to be exposed to.
        return "refused"
    if entry.variant != entry.arm:
        return "fallback"
    return Exposure(user, entry.variant, entry.epoch, entry.at)
